"""A text as lines and spans: how each piece is meant, before any format's own marks."""

import re
from typing import Literal, NamedTuple

Style = Literal["bold", "italic", "strike", "code"]


class Link(NamedTuple):
    """Where a span leads. Spans of one `<a>` have the same number."""

    number: int
    url: str


class Span(NamedTuple):
    """A piece of a line, all of it meant in one way."""

    text: str
    styles: frozenset[Style] = frozenset()
    link: Link | None = None


class Line(NamedTuple):
    """One line, which no format wraps."""

    spans: tuple[Span, ...]
    kind: Literal["text", "pre", "rule"] = "text"
    quote: int = 0
    """How many quotes it stands in."""
    indent: int = 0
    """Columns that its text is moved in; a marker ends just before."""
    marker: str = ""
    """A list item's own: `-` or `2.`."""
    gap: bool = False
    """Whether an empty line comes before."""

    @property
    def text(self) -> str:
        """The line's characters without marks."""
        return "".join(span.text for span in self.spans)


def lines_of_text(text: str) -> list[Line]:
    """The lines of plain text, each as it stands."""
    lines: list[Line] = []
    gap = False
    for line in text.split("\n"):
        if line.strip():
            lines.append(Line((Span(line),), gap=gap))
        gap = not line.strip()
    return lines


def same_address(text: str, url: str) -> bool:
    """Whether `text` says as much as `url`: the same but for the scheme and a slash at the end."""
    return _bare(text) == _bare(url)


_SCHEME = re.compile(r"^(?:https?://|mailto:)")


def _bare(address: str) -> str:
    return _SCHEME.sub("", address.strip().lower()).removesuffix("/")
