"""Pure: signed links by which a user who gets a mail wants no more like it (RFC 8058)."""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hmac import compare_digest, digest
from typing import Final

from pydantic import SecretStr

from router.channels.base import Outgoing
from router.channels.credentials import split_address
from router.documents.json_types import JsonValue

PATH: Final = "/unsubscribe/"
"""Where the HTTP API answers these links."""
MAX_LINK_CHARS: Final = 900
"""A header line has at most 998 characters (RFC 5322 section 2.1.1), and an address cannot be folded."""
SHORTEST_SECRET_BYTES: Final = 32
_CHECK_BYTES: Final = 16
_PURPOSE: Final = b"unsubscribe:"
"""So that nothing else that is signed with the same secret passes for a link."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants no more mail about what."""

    user: str
    customer: str | None
    """As one of whose users; None for whatever is not about a customer."""
    group: str | None
    """The notification group; None for all mail."""


@dataclass(frozen=True, slots=True)
class UnsubscribeLinks:
    """Makes the links, and reads them."""

    base_url: str
    secret: SecretStr

    def link_for(self, outgoing: Outgoing) -> str | None:
        """The link for one delivery; None where there is nobody to unsubscribe, or nothing that could be switched off."""
        if outgoing.user is None or outgoing.is_mandatory:
            return None
        content = outgoing.content.content
        token = self.token(Wish(outgoing.user, content.customer_id, content.type))
        link = f"{self.base_url.rstrip('/')}{PATH}{token}"
        return link if len(link) <= MAX_LINK_CHARS else None

    def token(self, wish: Wish) -> str:
        """What stands at the end of a link."""
        said = json.dumps([wish.user, wish.customer, wish.group], ensure_ascii=False, separators=(",", ":")).encode()
        return urlsafe_b64encode(self._check(said) + said).decode("ascii").rstrip("=")

    def read(self, token: str) -> Wish:
        """What the end of a link means. Raises ValueError when we did not make it."""
        try:
            raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (ValueError, UnicodeEncodeError, binascii.Error):
            raw = b""
        check, said = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        if not compare_digest(check, self._check(said)):
            raise ValueError("this link is not one of ours, or was cut off on its way")
        value: JsonValue = json.loads(said)
        match value:
            case [str() as user, str() | None as customer, str() | None as group]:
                return Wish(user, customer, group)
        raise ValueError("this link is of another version")

    def _check(self, said: bytes) -> bytes:
        return digest(self.secret.get_secret_value().encode(), _PURPOSE + said, "sha256")[:_CHECK_BYTES]


def unsubscribe_links(url: str | None, secret: SecretStr | None) -> UnsubscribeLinks | None:
    """The links by these settings; None when neither is set. Raises ValueError with a sentence that names what to mend."""
    if url is None and secret is None:
        return None
    if url is None or secret is None:
        lacking = "ROUTER_EMAIL__UNSUBSCRIBE_URL" if url is None else "ROUTER_EMAIL__UNSUBSCRIBE_SECRET"
        raise ValueError(f"set {lacking} too, or mails cannot have a link to unsubscribe")
    parts = split_address(url)
    if parts is None or parts.query or parts.fragment or "@" in parts.netloc or not url.isascii():
        raise ValueError("ROUTER_EMAIL__UNSUBSCRIBE_URL must be an address such as https://notify.example.org")
    if len(secret.get_secret_value().encode()) < SHORTEST_SECRET_BYTES:
        raise ValueError(
            f"ROUTER_EMAIL__UNSUBSCRIBE_SECRET must have at least {SHORTEST_SECRET_BYTES} bytes; make one: openssl rand -hex 32"
        )
    return UnsubscribeLinks(url, secret)
