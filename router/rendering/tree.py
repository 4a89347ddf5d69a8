"""A small tree over sanitised HTML: read it, cut it, write it again."""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from router.rendering.policy import MAX_DEPTH, VOID
from router.rendering.shorten import ELLIPSIS, safe_cut


@dataclass(slots=True)
class Element:
    """An element; the tree's root is one without a name."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)


Node = Element | str


class _Reader(HTMLParser):
    """Builds the tree. Needs balanced HTML, which is what bleach writes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("")
        self._open: list[Element | None] = [self.root]
        """What is open, None for an element left out whose children stay."""

    def _top(self) -> Element:
        return next(element for element in reversed(self._open) if element is not None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "img" and "src" not in attributes:
            # A picture that may not be shown is its description.
            self.handle_data(attributes.get("alt") or attributes.get("title") or "")
            return
        element = None if tag in _NOTHING_WITHOUT_ATTRIBUTES and not attributes else Element(tag, attributes)
        if element is not None and sum(e is not None for e in self._open) > MAX_DEPTH:
            element = None
        if element is not None:
            self._top().children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and len(self._open) > 1:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        children = self._top().children
        if children and isinstance(children[-1], str):
            children[-1] += data
        elif data:
            children.append(data)


_NOTHING_WITHOUT_ATTRIBUTES = frozenset({"span", "a"})


def read(sanitised: str) -> Element:
    """The tree of HTML that `sanitise` made: links without address, plain spans and hidden pictures dissolved."""
    reader = _Reader()
    reader.feed(sanitised)
    reader.close()
    return reader.root


_EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_LOST_SPACE = re.compile(r"(?m)^ | (?= )")


def from_text(text: str) -> Element:
    """The tree that shows plain `text` with its paragraphs, line breaks and indents."""
    root = Element("")
    for paragraph in _EMPTY_LINES.split(text.strip("\n")):
        element = Element("p")
        for number, line in enumerate(_LOST_SPACE.sub("\u00a0", paragraph.expandtabs(4)).split("\n")):
            if number:
                element.children.append(Element("br"))
            if line:
                element.children.append(line)
        root.children.append(element)
    return root


def cut(root: Element, size: int) -> Element:
    """`root` with the first `size` of its characters and elements, in order, and an ellipsis where it was cut."""
    return _Cutter(size).copy(root)


class _Cutter:
    """Copies a tree until there is no more room."""

    def __init__(self, size: int) -> None:
        self._room = size
        self._lost = False
        self._marked = False

    def copy(self, element: Element) -> Element:
        made = Element(element.name, element.attributes)
        for child in element.children:
            if self._room <= 0:
                self._lost = True
                break
            if isinstance(child, Element):
                self._room -= 1
                made.children.append(self.copy(child))
            elif len(child) > self._room and not child.strip():
                self._room = 0
                self._lost = True
                break
            elif len(child) > self._room:
                made.children.append(child[: safe_cut(child, self._room)].rstrip() + ELLIPSIS)
                self._room = 0
                self._lost = self._marked = True
                break
            else:
                self._room -= len(child)
                made.children.append(child)
        if self._lost and not self._marked and made.name not in VOID:
            self._marked = _mark(made)
        return made


_HOLDS_NO_TEXT = frozenset({"table", "thead", "tbody", "tr", "ul", "ol"})


def _mark(element: Element) -> bool:
    """Put an ellipsis at the end of `element`, or of its last part where only that may hold text; False when there is none."""
    if element.name not in _HOLDS_NO_TEXT:
        element.children.append(ELLIPSIS)
        return True
    last = next((child for child in reversed(element.children) if isinstance(child, Element)), None)
    return last is not None and last.name not in VOID and _mark(last)


def size_of(root: Element) -> int:
    """Characters and elements in `root`, as `cut` counts them."""
    return sum(len(node) if isinstance(node, str) else 1 for node in walk(root))


def walk(element: Element) -> Iterator[Node]:
    """Everything inside `element`, in order."""
    for child in element.children:
        yield child
        if isinstance(child, Element):
            yield from walk(child)


def to_html(element: Element, attributes_of: Callable[[Element], Mapping[str, str]] = lambda e: e.attributes) -> str:
    """`element` as HTML, a root as its content. `attributes_of` may give an element others than its own."""
    out: list[str] = []

    def write(node: Element) -> None:
        for child in node.children:
            if isinstance(child, str):
                out.append(html.escape(child, quote=False))
                continue
            attributes = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes_of(child).items())
            out.append(f"<{child.name}{attributes}>")
            if child.name not in VOID:
                if child.name == "pre" and _starts_with_line_feed(child):
                    out.append("\n")
                write(child)
                out.append(f"</{child.name}>")

    write(element)
    return "".join(out)


def _starts_with_line_feed(pre: Element) -> bool:
    # HTML drops a line feed right behind <pre>.
    return bool(pre.children) and isinstance(pre.children[0], str) and pre.children[0].startswith("\n")
