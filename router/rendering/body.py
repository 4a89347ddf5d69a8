"""A message's body, read once: as text, as laid-out lines and as a tree."""

import re
from functools import cached_property
from typing import Literal

from router.rendering import tree
from router.rendering.characters import tidy
from router.rendering.layout import lay_out
from router.rendering.lines import Line, lines_of_text
from router.rendering.normalise import MAX_KEPT_CHARS, MAX_RAW_CHARS
from router.rendering.sanitise import sanitise
from router.rendering.shorten import shorten
from router.rendering.text import to_text
from router.rendering.tree import Element

_MARKUP = re.compile(r"<[A-Za-z/!?]|&(?:#[0-9xX]|[A-Za-z][A-Za-z0-9]*;)")


class FormattedBody:
    """A body that came as HTML."""

    formatted = True

    def __init__(self, root: Element) -> None:
        self.tree = root

    @cached_property
    def lines(self) -> list[Line]:
        """The body's lines."""
        return lay_out(self.tree)

    @cached_property
    def text(self) -> str:
        """The body as plain text."""
        return to_text(self.lines)

    @cached_property
    def size(self) -> int:
        """How far `shortened` can count."""
        return tree.size_of(self.tree)

    def shortened(self, size: int) -> "FormattedBody":
        """The first `size` characters and elements of it, and an ellipsis."""
        return FormattedBody(tree.cut(self.tree, size))


class PlainBody:
    """A body that came as text, and is shown as it stands."""

    formatted = False

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def lines(self) -> list[Line]:
        """The body's lines."""
        return lines_of_text(self.text)

    @cached_property
    def tree(self) -> Element:
        """The body as HTML shows it."""
        return tree.from_text(self.text) if self.text else Element("")

    @property
    def size(self) -> int:
        """How far `shortened` can count."""
        return len(self.text)

    def shortened(self, size: int) -> "PlainBody":
        """The first `size` characters of it, an ellipsis among them."""
        return PlainBody(shorten(self.text, size))


Body = FormattedBody | PlainBody


def read_body(raw: str | None, body_format: Literal["html", "text"]) -> Body:
    """The body as an app wrote it, made safe. HTML that has no markup in it is text, with its line breaks."""
    if raw is None:
        return PlainBody("")
    if body_format == "html" and _MARKUP.search(raw):
        return FormattedBody(tree.read(sanitise(raw)))
    return PlainBody(shorten(tidy(raw[:MAX_RAW_CHARS]).strip("\n"), MAX_KEPT_CHARS))
