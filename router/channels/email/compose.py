"""Pure: one delivery as the bytes of a mail, the same on every attempt."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from router.channels.base import Outgoing
from router.channels.email.headers import fixed_line, list_line, mailbox_line, text_line
from router.channels.email.mailbox import Mailbox

# Bodies are always encoded, never left as they are: no server then has to offer 8BITMIME, no line is too long for one,
# and no body can hold the boundary, which has a `=_` that neither encoding can produce (RFC 2045 section 6.7).
_BODY_POLICY = SMTP.clone(max_line_length=76, cte_type="7bit")
_SAFE_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_SLUG_CHARS = 40


@dataclass(frozen=True, slots=True)
class Sender:
    """On whose behalf mails leave."""

    mailbox: Mailbox
    list_domain: str
    """The domain in List-Id, ASCII."""


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
            list_line("List-Id", outgoing.group, list_id(outgoing.group, sender.list_domain)),
        )
    )
    body = _body(rendered.text, rendered.html, boundary=f"=_{outgoing.uuid.hex}")
    return Mail(sender.mailbox, recipient, head.encode() + body)


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


def _body(text: str, html: str, boundary: str) -> bytes:
    """Both forms as multipart/alternative, its own MIME headers first."""
    text, html = _encodable(text), _encodable(html)
    message = EmailMessage(policy=_BODY_POLICY)
    message.set_content(text, cte=_encoding(text))
    message.add_alternative(html, subtype="html", cte=_encoding(html))
    message.set_boundary(boundary)
    return message.as_bytes()


def _encoding(text: str) -> str:
    """The shorter one: quoted-printable makes three characters of a byte beyond ASCII, base64 four of any three bytes."""
    size = len(text.encode())
    beyond_ascii = size - sum(char.isascii() for char in text)
    return "base64" if beyond_ascii * 3 + (size - beyond_ascii) > size * 4 / 3 else "quoted-printable"


def _encodable(text: str) -> str:
    """`text` without the lone halves of surrogate pairs that JSON may smuggle in: they have no UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
