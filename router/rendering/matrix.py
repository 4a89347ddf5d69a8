"""A Matrix message: `body` and `formatted_body`, within a number of bytes together."""

import html
import json

from router.documents.message import Link
from router.rendering.body import Body
from router.rendering.compose import compose, compose_within, link_text
from router.rendering.forms import MatrixBody
from router.rendering.policy import BLOCKS
from router.rendering.shorten import largest
from router.rendering.tree import Element, to_html


def json_bytes(text: str) -> int:
    """Length of `text` in Canonical JSON, quotes and escapes counted, which is what Matrix limits (wire-formats.md 3, Size)."""
    return len(json.dumps(text, ensure_ascii=False).encode())


def to_matrix(subject: str, body: Body, link: Link | None, max_bytes: int) -> MatrixBody:
    """The message in at most `max_bytes` of Canonical JSON: shortened if it is too long, and without formatting if it must be."""
    whole = _build(subject, body, link)
    if _size(whole) <= max_bytes:
        return whole
    # No character and no element takes less than a byte.
    size = largest(
        lambda count: _size(_build(subject, body.shortened(count), link)) <= max_bytes, min(body.size, max_bytes)
    )
    shortened = _build(subject, body.shortened(size), link)
    if _size(shortened) <= max_bytes:
        return shortened
    return MatrixBody(compose_within(subject, body.text, link, max_bytes, json_bytes), None)


def _size(message: MatrixBody) -> int:
    return json_bytes(message.body) + (0 if message.formatted_body is None else json_bytes(message.formatted_body))


def _build(subject: str, body: Body, link: Link | None) -> MatrixBody:
    text = compose(subject, body.text, link)
    if not subject and link is None and not body.formatted:
        return MatrixBody(text, None)
    formatted = to_html(body.tree)
    if subject:
        strong = f"<strong>{html.escape(subject, quote=False)}</strong>"
        first = body.tree.children[0] if body.tree.children else ""
        starts_with_block = isinstance(first, Element) and first.name in BLOCKS
        formatted = (
            f"<p>{strong}</p>{formatted}" if starts_with_block else f"{strong}<br>{formatted}" if formatted else strong
        )
    if link is not None:
        formatted += f'<p><a href="{html.escape(link.url)}">{html.escape(link_text(link), quote=False)}</a></p>'
    return MatrixBody(text, formatted)
