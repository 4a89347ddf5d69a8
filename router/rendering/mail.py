"""A mail: its one-line subject, its text part, and what its HTML part shows."""

from typing import Final

from router.documents.delivery import Priority
from router.documents.message import Link
from router.rendering.body import Body
from router.rendering.characters import one_line
from router.rendering.compose import link_line, link_text
from router.rendering.forms import MailBody
from router.rendering.mail_page import page
from router.rendering.policy import BLOCKS, TABLE_PARTS
from router.rendering.shorten import shorten
from router.rendering.tree import Element, Node, to_html, walk

MAX_SUBJECT_CHARS: Final = 250
"""Of a longer subject the start goes into the header, and all of it into the mail."""

MAX_DERIVED_SUBJECT_CHARS: Final = 78
"""A subject that is made from the body's first line fits one line of a header (RFC 5322, 2.1.1)."""

_PREVIEW_CHARS: Final = 140

_CODE = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:14px"
_STYLES: Final = {
    "p": "margin:0 0 14px",
    "h1": "margin:22px 0 10px;font-size:20px;line-height:1.3",
    "h2": "margin:20px 0 10px;font-size:18px;line-height:1.3",
    "h3": "margin:18px 0 8px;font-size:16px;line-height:1.3",
    "h4": "margin:16px 0 8px;font-size:16px",
    "h5": "margin:16px 0 8px;font-size:14px",
    "h6": "margin:16px 0 8px;font-size:14px",
    "a": "color:#1a5fb4;text-decoration:underline",
    "ul": "margin:0 0 14px;padding:0 0 0 24px",
    "ol": "margin:0 0 14px;padding:0 0 0 24px",
    "li": "margin:0 0 4px",
    "blockquote": "margin:0 0 14px;padding:2px 0 2px 14px;border-left:3px solid #c9ced6;color:#57606a",
    "pre": f"margin:0 0 14px;padding:12px 14px;background:#f2f4f7;border-radius:6px;overflow-x:auto;white-space:pre-wrap;"
    f"word-break:break-word;line-height:1.45;{_CODE}",
    "code": f"padding:1px 4px;background:#f2f4f7;border-radius:4px;{_CODE}",
    "sup": "font-size:75%;line-height:0",
    "sub": "font-size:75%;line-height:0",
    "hr": "margin:20px 0;border:0;border-top:1px solid #dfe3e8",
    "table": "margin:0 0 14px;border-collapse:collapse",
    "caption": "padding:0 0 6px;text-align:left;font-weight:600",
    "th": "padding:6px 12px;border:1px solid #dfe3e8;background:#f2f4f7;text-align:left;font-weight:600",
    "td": "padding:6px 12px;border:1px solid #dfe3e8;text-align:left;vertical-align:top",
}
"""Inline, because Gmail and Outlook drop style sheets in many places."""


def to_mail(subject: str, body: Body, link: Link | None, priority: Priority) -> MailBody:
    """The mail for a tidied one-line `subject` (may be empty, then the body's first line serves)."""
    text = body.text
    first_line = next((line for line in map(one_line, text.split("\n")) if line), "")
    header = shorten(subject, MAX_SUBJECT_CHARS) if subject else shorten(first_line, MAX_DERIVED_SUBJECT_CHARS)
    # The reader sees the subject above the mail; it is repeated only if it is all there is, or was cut there.
    words = subject if subject and (header != subject or not text) else ""
    if text and words:
        words += "\n\n"
    plain = "\n\n".join(filter(None, (words + text, link_line(link))))
    return MailBody(
        subject=header,
        text=plain + "\n",
        html=page(
            title=header,
            heading=subject,
            preview=shorten(one_line(text[: 4 * _PREVIEW_CHARS]), _PREVIEW_CHARS),
            content=_content(body),
            button=None if link is None else (link.url, link_text(link)),
            priority=priority,
        ),
    )


def _content(body: Body) -> str:
    """The body's HTML with what mail programs need. A run of plain words is set as a paragraph."""
    out: list[str] = []
    run = Element("p")
    for node in [*body.tree.children, None]:
        if node is None or (isinstance(node, Element) and node.name in _STANDS_ALONE):
            if any(isinstance(inside, Element) or inside.strip() for inside in run.children):
                if any(isinstance(inside, Element) and inside.name in BLOCKS for inside in walk(run)):
                    # A paragraph cannot hold a block.
                    run.name = "div"
                out.append(_html(run))
            run = Element("p")
        if isinstance(node, Element) and node.name in _STANDS_ALONE:
            out.append(_html(node))
        elif node is not None:
            run.children.append(node)
    return "\n".join(out)


_STANDS_ALONE = BLOCKS - TABLE_PARTS


def _html(node: Element) -> str:
    return to_html(Element("", {}, [_for_mail(node)]), _attributes)


def _for_mail(node: Node, *, in_pre: bool = False) -> Node:
    """`node` without what mail programs cannot show: `mxc:` pictures give their description, details stand open."""
    if isinstance(node, str):
        return node
    if node.name == "img":
        return node.attributes.get("alt", "")
    name = {"details": "div", "summary": "div"}.get(node.name, node.name)
    if in_pre and name == "code":
        name = "span"
    children = [_for_mail(child, in_pre=in_pre or name == "pre") for child in node.children]
    if node.name == "summary":
        children = [Element("strong", {}, children)]
    return Element(name, node.attributes, children)


def _attributes(element: Element) -> dict[str, str]:
    kept = {key: value for key, value in element.attributes.items() if key in ("href", "start")}
    style = _STYLES.get(element.name)
    return {**kept, "style": style} if style else kept
