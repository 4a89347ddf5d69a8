"""Brings any HTML into a small balanced form, so that bleach never has to mend anything.

bleach's parser (html5lib) mends broken HTML as a browser does, and takes time that grows much faster than the nesting (it had
not ended after ten minutes on 200,000 open `div`s). What it gets from here is balanced, entities read, of bounded length,
depth and number of elements. This is about size and shape only; what is safe is for bleach to say.
"""

import html
from collections import Counter
from collections.abc import Iterable
from typing import Final

from router.rendering.characters import tidy
from router.rendering.policy import ATTRIBUTES, BLOCKS, HEADINGS, MAX_DEPTH, TABLE_PARTS, TAGS, VOID
from router.rendering.shorten import ELLIPSIS, largest, safe_cut
from router.rendering.tokens import Start, Token, tokens

MAX_RAW_CHARS: Final = 1_000_000
"""Of a longer body the rest is not looked at."""

MAX_KEPT_CHARS: Final = 65_536
"""Of what stays, this much is kept: ten thousand words. Gmail shows 102 kB of a mail, the other channels show far less."""

MAX_ELEMENTS: Final = 4_000
"""And this many elements: a table of six hundred rows. bleach's time grows with the square of how many stand side by side;
of this many it is well below a second."""

_MAX_ATTRIBUTE_CHARS: Final = 4_000
"""A longer attribute is left out: half an address leads nowhere."""

_DEPTH: Final = MAX_DEPTH - 10
"""Leaves room for the rows and cells that are put in where a table lacks them."""

_ALIASES: Final = {
    **dict.fromkeys(("strike",), "s"),
    **dict.fromkeys(("ins",), "u"),
    **dict.fromkeys(("kbd", "samp", "tt", "var"), "code"),
    **dict.fromkeys(("cite", "dfn"), "i"),
    **dict.fromkeys(("listing", "plaintext", "xmp"), "pre"),
    **dict.fromkeys(("dir", "menu"), "ul"),
    "tfoot": "tbody",
    **dict.fromkeys(
        ("address", "article", "aside", "center", "dd", "dialog", "dl", "dt", "fieldset", "figcaption"), "div"
    ),
    **dict.fromkeys(
        ("figure", "footer", "form", "header", "hgroup", "legend", "main", "nav", "option", "section"), "div"
    ),
}
"""Tags outside the list that have a near relation in it: their shape stays, their name does not."""

_ENDS_PARAGRAPH = BLOCKS - TABLE_PARTS
_TABLE_PARENTS: Final[dict[str, frozenset[str]]] = {
    "caption": frozenset({"table"}),
    "thead": frozenset({"table"}),
    "tbody": frozenset({"table"}),
    "tr": frozenset({"thead", "tbody"}),
    "td": frozenset({"tr"}),
    "th": frozenset({"tr"}),
}
_BETWEEN_CELLS = frozenset({"table", "thead", "tbody", "tr"})
_LISTS = frozenset({"ul", "ol"})
_NO_TEXT = _BETWEEN_CELLS | _LISTS
_STANDS_IN_LIST = _LISTS | {"li"}
_SCOPE = frozenset({"table", "td", "th", "caption"})
"""What an end tag, told or implied, does not reach across."""
_ITEM_SCOPE = _SCOPE | _LISTS | {"blockquote", "details"}
_PARAGRAPH = frozenset({"p"})
_ITEM = frozenset({"li"})
_LINK = frozenset({"a"})


def normalise(raw: str) -> str:
    """The balanced form of `raw`: allowed tags only, each closed, texts escaped. Ends in `…` if something was cut off."""
    balancer = _Balancer()
    return balancer.run(tokens(tidy(raw[:MAX_RAW_CHARS])), cut=len(raw) > MAX_RAW_CHARS)


class _Balancer:
    """Writes tags as they come and keeps account of what is open."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._room = MAX_KEPT_CHARS
        self._elements = 0
        self._full = False
        """Whether something was left out for want of room."""
        self._open: list[str] = []
        self._too_deep: Counter[str] = Counter()
        """Start tags left out for their depth, whose end tags must be left out too."""

    def run(self, items: Iterable[Token], *, cut: bool) -> str:
        for item in items:
            if self._full or self._room <= 0 or self._elements >= MAX_ELEMENTS:
                self._full = True
                break
            if isinstance(item, str):
                self._text(item)
            elif isinstance(item, Start):
                self._start(_ALIASES.get(item.name, item.name), item.attributes)
            else:
                self._end(_ALIASES.get(item.name, item.name))
        if cut or self._full:
            self._open_holder()
            self._out.append(ELLIPSIS)
        self._pop_to(0)
        return "".join(self._out)

    def _write(self, markup: str) -> None:
        if markup:
            self._out.append(markup)
            self._room -= len(markup)

    def _text(self, text: str) -> None:
        if self._out and self._out[-1] == "<pre>":
            # HTML drops one line feed there, html5lib not always, and empty lines there say nothing.
            text = text.lstrip("\n")
        if self._open and self._open[-1] in _NO_TEXT and not text.strip():
            return
        self._open_holder()
        room = max(self._room, 0)
        escaped = html.escape(text[: room + 1], quote=False)
        if len(escaped) > room:
            fitting = largest(lambda n: len(html.escape(text[:n], quote=False)) <= room, room)
            escaped = html.escape(text[: safe_cut(text, fitting)], quote=False)
            self._full = True
        self._write(escaped)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name not in TAGS:
            return
        if name not in VOID and len(self._open) >= _DEPTH:
            self._too_deep[name] += 1
            self._write("" if self._open[-1] in _NO_TEXT else " ")
            return
        if name in _TABLE_PARENTS:
            if not self._make_place_in_table(name):
                return
        elif not self._make_place(name):
            return
        kept = "".join(
            f' {key}="{html.escape(value.strip())}"'
            for key, value in attributes.items()
            if key in ATTRIBUTES.get(name, {}) and len(value) <= _MAX_ATTRIBUTE_CHARS
        )
        self._open_tag(name, kept)

    def _open_tag(self, name: str, attributes: str = "") -> None:
        self._write(f"<{name}{attributes}>")
        self._elements += 1
        if name not in VOID:
            self._open.append(name)

    def _make_place(self, name: str) -> bool:
        """Close what cannot stay open around `name`. False when `name` cannot stand here."""
        if self._open and self._open[-1] in _LISTS and name in ("br", "hr"):
            return False
        self._open_holder(name)
        if name in _ENDS_PARAGRAPH:
            self._close(_PARAGRAPH, _SCOPE)
        if name in HEADINGS:
            self._close(HEADINGS, _SCOPE)
        if name == "li":
            self._close(_ITEM, _ITEM_SCOPE)
        if name == "a":
            self._close(_LINK, _SCOPE)
            return "a" not in self._open
        return True

    def _make_place_in_table(self, name: str) -> bool:
        if "table" not in self._open:
            return False
        parents = _TABLE_PARENTS[name]
        table = _last(self._open, frozenset({"table"}))
        parent = _last(self._open, parents)
        if parent < table:
            # A cell without a row, a row without a table body.
            missing = "tbody" if name == "tr" else "tr"
            self._make_place_in_table(missing)
            self._open_tag(missing)
        else:
            self._pop_to(parent + 1)
        return True

    def _open_holder(self, name: str = "") -> None:
        """Text and most elements need a cell inside a table and an item inside a list: open it if it is not there."""
        if self._open and self._open[-1] in _BETWEEN_CELLS:
            self._make_place_in_table("td")
            self._open_tag("td")
        elif self._open and self._open[-1] in _LISTS and name not in _STANDS_IN_LIST:
            self._open_tag("li")

    def _end(self, name: str) -> None:
        if name == "br":
            self._start("br", {})
        elif self._too_deep[name]:
            self._too_deep[name] -= 1
        elif name in self._open:
            if name == "table":
                scope: frozenset[str] = frozenset()
            elif name in _TABLE_PARENTS:
                scope = frozenset({"table"})
            else:
                scope = _ITEM_SCOPE if name == "li" else _SCOPE
            self._close(frozenset({name}), scope)

    def _close(self, names: frozenset[str], scope: frozenset[str]) -> None:
        """Close everything down to the nearest of `names`, unless one of `scope` stands between."""
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place] in names:
                self._pop_to(place)
                return
            if self._open[place] in scope:
                return

    def _pop_to(self, length: int) -> None:
        while len(self._open) > length:
            self._write(f"</{self._open.pop()}>")


def _last(row: list[str], wanted: frozenset[str]) -> int:
    """The place of the last of `wanted` in `row`, -1 when there is none."""
    return next((place for place in range(len(row) - 1, -1, -1) if row[place] in wanted), -1)
