"""Lays a tree out as lines: what stands where, before any format's own marks."""

import re
from typing import Final, NamedTuple

from router.rendering.lines import Line, Link, Span, Style, same_address
from router.rendering.policy import BLOCKS, HEADINGS
from router.rendering.tree import Element

_STYLES: Final[dict[str, Style]] = {
    "b": "bold",
    "strong": "bold",
    "th": "bold",
    "caption": "bold",
    "summary": "bold",
    **dict.fromkeys(HEADINGS, "bold"),
    "i": "italic",
    "em": "italic",
    "s": "strike",
    "del": "strike",
    "code": "code",
}
_APART = HEADINGS | {"blockquote", "details", "hr", "ol", "p", "pre", "table", "ul"}
"""Blocks with an empty line before and after; the others only start a new line."""

_MAX_LEVELS = 8
"""Deeper quotes and lists are not moved in any further."""

_SPACE = re.compile("[ \t\n\r\f]+")


def lay_out(root: Element) -> list[Line]:
    """The lines of a tree, in order."""
    writer = _Writer()
    writer.children(root, _Context())
    writer.end_line()
    return writer.lines


class _Context(NamedTuple):
    """What is around a node."""

    styles: frozenset[Style] = frozenset()
    link: Link | None = None
    quote: int = 0
    indent: int = 0
    levels: int = 0
    in_list: bool = False
    in_cell: bool = False


class _Writer:
    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._spans: list[Span] = []
        self._place = _Context()
        self._space: _Context | None = None
        """Where a space was met that stands only if more text follows in the line."""
        self._gap = False
        self._marker = ""
        self._links = 0

    def children(self, element: Element, context: _Context) -> None:
        for child in element.children:
            if isinstance(child, str):
                self._text(child, context)
            else:
                self._element(child, context)

    def end_line(self) -> None:
        """Close the line under way, if it says anything."""
        self._space = None
        if not any(span.text.strip() for span in self._spans):
            self._spans = []
        if self._spans:
            place = self._place
            self.lines.append(
                Line(
                    tuple(self._spans), "text", place.quote, place.indent, self._marker, self._gap and bool(self.lines)
                )
            )
            self._spans, self._marker, self._gap = [], "", False

    def _text(self, text: str, context: _Context) -> None:
        words = _SPACE.sub(" ", text)
        if words.startswith(" ") and self._spans and not self._spans[-1].text.endswith(" "):
            self._space = self._space or context
        if words.strip(" "):
            # The space belongs to where it was met: not to the link or the bold word behind it.
            if self._space is not None:
                self._put(" ", self._space)
            self._space = context if words.endswith(" ") else None
            self._put(words.strip(" "), context)

    def _put(self, text: str, context: _Context) -> None:
        if not text:
            return
        if not self._spans:
            self._place = context
        last = self._spans[-1] if self._spans else None
        if last is not None and (last.styles, last.link) == (context.styles, context.link):
            self._spans[-1] = last._replace(text=last.text + text)
        else:
            self._spans.append(Span(text, context.styles, context.link))

    def _element(self, element: Element, context: _Context) -> None:
        name = element.name
        if style := _STYLES.get(name):
            context = context._replace(styles=context.styles | {style})
        if name == "br":
            self._break(context)
        elif name == "img":
            self._text(element.attributes.get("alt", ""), context)
        elif name == "a":
            self._link(element, context)
        elif name == "sup":
            self._raised(element, context)
        elif context.in_cell and name in BLOCKS:
            self._text(" ", context)
            self.children(element, context)
            self._text(" ", context)
        elif name in BLOCKS:
            self._block(element, context)
        else:
            self.children(element, context)

    def _break(self, context: _Context) -> None:
        if context.in_cell:
            self._text(" ", context)
        elif self._spans:
            self.end_line()
        else:
            self._gap = not self._marker

    def _link(self, element: Element, context: _Context) -> None:
        self._links += 1
        link = Link(self._links, element.attributes.get("href", ""))
        inside = context._replace(link=link)
        before = len(self.lines), len(self._spans), self._spans[-1:]
        self.children(element, inside)
        if (len(self.lines), len(self._spans), self._spans[-1:]) == before:
            self._text(link.url, inside)

    def _raised(self, element: Element, context: _Context) -> None:
        # 10<sup>6</sup> must not read 106.
        if self._spans and self._spans[-1].text[-1].isalnum() and self._space is None:
            self._put("^", context)
        self.children(element, context)

    def _block(self, element: Element, context: _Context) -> None:
        name = element.name
        apart = name in _APART and not (name in ("ul", "ol") and context.in_list)
        self.end_line()
        if apart and not self._marker:
            self._gap = True
        if name == "pre":
            self._verbatim(element, context)
        elif name == "hr":
            self.lines.append(Line((), "rule", context.quote, context.indent, gap=bool(self.lines)))
        elif name in ("ul", "ol"):
            self._list(element, context)
        elif name == "tr":
            self._row(element, context)
        elif name == "blockquote":
            deeper = context.levels < _MAX_LEVELS
            self.children(element, context._replace(quote=context.quote + deeper, levels=context.levels + deeper))
        else:
            self.children(element, context)
        self.end_line()
        if apart:
            self._gap = True

    def _verbatim(self, element: Element, context: _Context) -> None:
        text = _characters(element).strip("\n")
        for number, line in enumerate(text.rstrip().split("\n") if text.strip() else ()):
            gap = number == 0 and self._gap and bool(self.lines)
            self.lines.append(Line((Span(line),), "pre", context.quote, context.indent, self._marker, gap))
            self._gap, self._marker = False, ""

    def _list(self, element: Element, context: _Context) -> None:
        number = int(element.attributes.get("start", "1"))
        deeper = context.levels < _MAX_LEVELS
        for count, item in enumerate(child for child in element.children if isinstance(child, Element)):
            self.end_line()
            if count:
                self._gap = False
            if item.name != "li":
                # A list right inside a list, as some editors write it.
                inside = context._replace(
                    indent=context.indent + 2 * deeper, levels=context.levels + deeper, in_list=True
                )
                self._element(item, inside)
                continue
            self._marker = f"{number}." if element.name == "ol" else "-"
            indent = context.indent + (len(self._marker) + 1 if deeper else 0)
            inside = context._replace(indent=indent, levels=context.levels + deeper, in_list=True)
            self.children(item, inside)
            self.end_line()
            self._marker = ""
            number += 1

    def _row(self, row: Element, context: _Context) -> None:
        for count, cell in enumerate(child for child in row.children if isinstance(child, Element)):
            self._space = None
            if count:
                self._put(" | ", context)
            inside = context._replace(in_cell=True)
            self.children(cell, inside._replace(styles=context.styles | {"bold"}) if cell.name == "th" else inside)
        if not "".join(span.text for span in self._spans).strip(" |"):
            self._spans = []


def _characters(element: Element) -> str:
    """All characters inside, as they stand; a link's address behind it."""
    text = ""
    for child in element.children:
        if isinstance(child, str):
            text += child
        elif child.name == "br":
            text += "\n"
        elif child.name == "img":
            text += child.attributes.get("alt", "")
        else:
            inside = _characters(child)
            url = child.attributes.get("href")
            text += inside if url is None or same_address(inside, url) else f"{inside} ({url})"
    return text
