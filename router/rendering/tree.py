"""A small tree over sanitised HTML: read it, cut it, write it again."""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from router.rendering.policy import MAX_DEPTH, VOID
from router.rendering.shorten import ELLIPSIS, safe_cut


@dataclass(slots=True)
class Element:
    """An element; the tree's root is one without a name."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)


Node = Element | str


# As bleach writes tags: names in small letters, each value in quotes, `<` escaped everywhere else.
_TAG = re.compile(r"""<(/?)([a-z][a-z0-9]*)((?: [^\s=<>"']+=(?:"[^"]*"|'[^']*'))*) ?/?>""")
_ATTRIBUTE = re.compile(r""" ([^\s=<>"']+)=(?:"([^"]*)"|'([^']*)')""")

_NOTHING_WITHOUT_ATTRIBUTES = frozenset({"span", "a"})


class _Reader:
    """Builds the tree of balanced HTML."""

    def __init__(self) -> None:
        self.root = Element("")
        self._top = self.root
        """The innermost element that is open."""
        self._open: list[Element | None] = []
        """For each start tag without its end tag yet, where its end tag leads back to; None for one that was left out."""
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "img" and "src" not in attributes:
            # A picture that may not be shown is its description.
            self.text(attributes.get("alt") or attributes.get("title") or "")
            return
        left_out = self._depth >= MAX_DEPTH or (name in _NOTHING_WITHOUT_ATTRIBUTES and not attributes)
        element = None if left_out else Element(name, attributes)
        if element is not None:
            self._top.children.append(element)
        if name in VOID:
            return
        self._open.append(self._top if element is not None else None)
        if element is not None:
            self._top = element
            self._depth += 1

    def end(self, name: str) -> None:
        outer = self._open.pop() if self._open and name not in VOID else None
        if outer is not None:
            self._top = outer
            self._depth -= 1

    def text(self, text: str) -> None:
        children = self._top.children
        if children and isinstance(children[-1], str):
            children[-1] += text
        elif text:
            children.append(text)


def read(sanitised: str) -> Element:
    """The tree of HTML that `sanitise` made: links without address, plain spans and hidden pictures dissolved."""
    reader = _Reader()
    place = 0
    for tag in _TAG.finditer(sanitised):
        if tag.start() > place:
            reader.text(html.unescape(sanitised[place : tag.start()]))
        place = tag.end()
        if tag[1]:
            reader.end(tag[2])
        else:
            found = _ATTRIBUTE.findall(tag[3]) if tag[3] else ()
            reader.start(tag[2], {name: html.unescape(double or single) for name, double, single in found})
    reader.text(html.unescape(sanitised[place:]))
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
