"""The forms that a message takes on its way to a channel, as plain values."""

from dataclasses import dataclass

from router.documents.json_types import JsonObject


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
class MailBody:
    """What goes into a mail: a one-line subject, a text part and an HTML part (a whole document)."""

    subject: str
    text: str
    html: str
