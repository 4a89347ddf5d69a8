"""The forms that a message takes on its way to a channel, as plain values."""

from dataclasses import dataclass
from functools import cached_property

from router.documents.json_types import JsonObject
from router.rendering.mime import text_part


@dataclass(frozen=True, slots=True)
class MatrixBody:
    """`body` and `formatted_body` of an `m.room.message`, within `max_bytes` together."""

    body: str
    formatted_body: str | None
    """None when the text needs no formatting."""


@dataclass(frozen=True, slots=True)
class SlackBody:
    """`text` (the fallback) and `blocks` of a Slack message."""

    text: str
    blocks: list[JsonObject]


@dataclass(frozen=True, slots=True)
class InboxBody:
    """Title and content of an in-app notification."""

    title: str
    """One line of plain text."""
    content: str
    """Sanitised HTML; empty when the title says it all."""


@dataclass(frozen=True)
class MailBody:
    """What goes into a mail: a one-line subject, a text part and an HTML part (a whole document)."""

    subject: str
    text: str
    html: str

    @cached_property
    def parts(self) -> tuple[bytes, bytes]:
        """Text and HTML as the parts of a multipart/alternative: the same bytes for every recipient, encoded once."""
        return text_part(self.text, "plain"), text_part(self.html, "html")
