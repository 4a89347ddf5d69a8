"""A Slack message: blocks for subject, body and link, and the fallback text (wire-formats.md 2, Limits)."""

from typing import Final

from router.documents.json_types import JsonObject
from router.documents.message import Link
from router.rendering.body import Body
from router.rendering.compose import compose_within, link_text
from router.rendering.forms import SlackBody
from router.rendering.lines import Line, Span
from router.rendering.mrkdwn import escape, split
from router.rendering.shorten import shorten, utf16_units

_MAX_HEADER_CHARS: Final = 150
_MAX_SECTION_CHARS: Final = 3000
_MAX_BUTTON_CHARS: Final = 75
_MAX_BUTTON_URL_CHARS: Final = 3000
_MAX_BLOCKS_CHARS: Final = 12_000
"""All blocks together; Slack refuses a message somewhere above 13,000 (slackapi/bolt-js issue 2509)."""


def to_slack(subject: str, body: Body, link: Link | None, max_text_chars: int) -> SlackBody:
    """The message with body and fallback text of at most `max_text_chars` each, after escaping."""
    text = compose_within(subject, body.text, link, max_text_chars, lambda part: utf16_units(escape(part)))
    blocks: list[JsonObject] = []
    lines = body.lines
    if subject:
        header = shorten(subject, _MAX_HEADER_CHARS, utf16_units)
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": header}})
        if header != subject:
            lines = [Line((Span(subject),)), *lines]
    button = None if link is None or utf16_units(link.url) > _MAX_BUTTON_URL_CHARS else _button(link)
    other_chars = _MAX_HEADER_CHARS + _MAX_BUTTON_CHARS + (_MAX_BUTTON_URL_CHARS if button else 0) + 500
    for part in split(lines, min(max_text_chars, _MAX_BLOCKS_CHARS - other_chars), _MAX_SECTION_CHARS):
        # Not verbatim, Slack would turn `@channel` in the text into a mention. Addresses are links by our own hand.
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": part, "verbatim": True}})
    if button is not None:
        blocks.append(button)
    return SlackBody(escape(text), blocks)


def _button(link: Link) -> JsonObject:
    text = shorten(link_text(link), _MAX_BUTTON_CHARS, utf16_units)
    button: JsonObject = {"type": "button", "text": {"type": "plain_text", "text": text}, "url": link.url}
    return {"type": "actions", "elements": [button]}
