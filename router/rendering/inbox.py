"""What an in-app notification shows: a title, and HTML that a front end may put into its page."""

from typing import Final

from router.rendering.body import Body
from router.rendering.characters import one_line
from router.rendering.forms import InboxBody
from router.rendering.shorten import largest, shorten
from router.rendering.tree import to_html

MAX_TITLE_CHARS: Final = 250
"""Longest title; an inbox shows one line."""
MAX_DERIVED_TITLE_CHARS: Final = 80
"""Longest title that is made from the body's first line."""


def to_inbox(subject: str, body: Body, max_bytes: int) -> InboxBody:
    """The notification for a tidied one-line `subject` (may be empty, then the body's first line serves), its content in at
    most `max_bytes` of UTF-8."""
    first_line = next((line for line in map(one_line, body.text.split("\n")) if line), "")
    title = shorten(subject, MAX_TITLE_CHARS) if subject else shorten(first_line, MAX_DERIVED_TITLE_CHARS)
    if not subject and body.text.strip() == title and not body.formatted:
        # It says it all.
        return InboxBody(title, "")
    content = to_html(body.tree)
    if _size(content) > max_bytes:
        # No character and no element takes less than a byte.
        size = largest(lambda count: _size(to_html(body.shortened(count).tree)) <= max_bytes, min(body.size, max_bytes))
        content = to_html(body.shortened(size).tree)
    return InboxBody(title, content if _size(content) <= max_bytes else "")


def _size(content: str) -> int:
    return len(content.encode("utf-8", "replace"))
