"""Pure: one delivery as the bytes of a mail, the same on every attempt."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime

from router.channels.base import Outgoing
from router.channels.email.headers import fixed_line, list_line, mailbox_line, text_line
from router.channels.email.mailbox import Mailbox
from router.channels.email.unsubscribe import UnsubscribeLinks
from router.documents.message import USER_SIGN

_SAFE_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_SLUG_CHARS = 40


@dataclass(frozen=True, slots=True)
class Sender:
    """On whose behalf mails leave."""

    mailbox: Mailbox
    list_domain: str
    """The domain in List-Id, ASCII."""
    unsubscribe: UnsubscribeLinks | None = None
    """The links of mails to users; None where there are none."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it goes over the wire, and its envelope."""

    sender: Mailbox
    recipient: Mailbox
    content: bytes
    """Lines end in CR LF. ASCII, unless an address needs SMTPUTF8: then UTF-8 in headers."""

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 (RFC 6531) can take it."""
        return self.sender.needs_smtputf8 or self.recipient.needs_smtputf8


def compose(outgoing: Outgoing, recipient: Mailbox, sender: Sender) -> Mail:
    """Make the mail of one delivery: multipart/alternative, text and HTML."""
    rendered = outgoing.content.mail
    head = "".join(
        (
            mailbox_line("From", sender.mailbox),
            mailbox_line("To", recipient),
            text_line("Subject", rendered.subject),
            fixed_line("Date", format_datetime(outgoing.created_at.astimezone(UTC))),
            fixed_line("Message-ID", f"<{outgoing.uuid}@{sender.mailbox.domain}>"),
            # RFC 3834 section 5, and what Exchange heeds instead: no holiday notice comes back. `Precedence: bulk` would
            # say the same to old servers, but newer ones take it as leave to deliver late or into the bulk folder.
            fixed_line("Auto-Submitted", "auto-generated"),
            fixed_line("X-Auto-Response-Suppress", "All"),
            list_line("List-Id", (name := _list_name(outgoing)), list_id(name, sender.list_domain)),
            _unsubscribe_lines(outgoing, sender.unsubscribe),
        )
    )
    body = _multipart(rendered.parts, boundary=f"=_{outgoing.uuid.hex}")
    return Mail(sender.mailbox, recipient, head.encode() + body)


def _list_name(outgoing: Outgoing) -> str:
    """What the mail is one of: its group, or where it is for a user by name, what such mails are about."""
    if not outgoing.group.startswith(USER_SIGN):
        return outgoing.group
    return f"#{outgoing.content.content.type or 'notifications'}"


def _unsubscribe_lines(outgoing: Outgoing, links: UnsubscribeLinks | None) -> str:
    link = links.link_for(outgoing) if links is not None else None
    if link is None:
        return ""
    # RFC 8058 section 3.1. Both have to be under the DKIM signature, which the mail server makes.
    return fixed_line("List-Unsubscribe", f"<{link}>") + fixed_line(
        "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"
    )


def list_id(group: str, domain: str) -> str:
    """The identifier in List-Id (RFC 2919): `#admins` as `admins.example.org`.

    It compares without regard to case and has few characters; a group that it cannot hold as it is gets a digest at
    its end, so that two groups never share one.
    """
    name = group.removeprefix("#")
    if _SAFE_LABEL.fullmatch(name):
        return f"{name}.{domain}"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_MAX_SLUG_CHARS].rstrip("-") or "group"
    digest = hashlib.sha256(group.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{slug}-{digest}.{domain}"


def _multipart(parts: Iterable[bytes], boundary: str) -> bytes:
    """Parts as a multipart/alternative (RFC 2046 section 5.1), its own MIME headers first."""
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'
    first, between, last = f"--{boundary}\r\n", f"\r\n--{boundary}\r\n", f"\r\n--{boundary}--\r\n"
    return b"".join(((head + first).encode(), between.encode().join(parts), last.encode()))
