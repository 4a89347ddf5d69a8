"""The tree of sanitised HTML holds what the stdlib's parser reads there."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rendering.policy import MAX_DEPTH, VOID
from router.rendering.sanitise import sanitise
from router.rendering.tree import Element, read
from tests.rendering.hostile import XSS, any_text, examples, soup

Seen = list[tuple[str, dict[str, str]] | str]
"""What stands in a text, in order: tags (end tags with a slash and no attributes), and texts between them as one."""


class _Referee(HTMLParser):
    """Leaves out what the tree leaves out: links and spans without attributes, pictures without an address."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: Seen = []
        self._kept: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "img" and "src" not in attributes:
            self.handle_data(attributes.get("alt") or attributes.get("title") or "")
            return
        kept = bool(attributes) or tag not in ("a", "span")
        if kept:
            self.seen.append((tag, attributes))
        if tag not in VOID:
            self._kept.append(kept)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self._kept.pop():
            self.seen.append((f"/{tag}", {}))

    def handle_data(self, data: str) -> None:
        _add_text(self.seen, data)


def _add_text(seen: Seen, text: str) -> None:
    last = seen[-1] if seen else None
    if isinstance(last, str):
        seen[-1] = last + text
    elif text:
        seen.append(text)


def seen_by_the_stdlib(markup: str) -> Seen:
    referee = _Referee()
    referee.feed(markup)
    referee.close()
    return referee.seen


def seen_in(element: Element) -> Seen:
    seen: Seen = []

    def look(inside: Element) -> None:
        for child in inside.children:
            if isinstance(child, str):
                _add_text(seen, child)
            else:
                seen.append((child.name, child.attributes))
                look(child)
                if child.name not in VOID:
                    seen.append((f"/{child.name}", {}))

    look(element)
    return seen


PICTURES = st.lists(any_text, max_size=2).map(
    lambda alts: "".join(f"<img src='mxc://a/{alt}' alt='{alt}'>" for alt in alts)
)


@examples
@given(st.one_of(soup, st.builds("{}<b>{}{}".format, any_text, any_text, PICTURES)))
def test_the_stdlib_reads_the_same(raw: str) -> None:
    clean = sanitise(raw)
    assert seen_in(read(clean)) == seen_by_the_stdlib(clean)


@pytest.mark.parametrize("raw", XSS)
def test_the_stdlib_reads_the_same_in_attacks(raw: str) -> None:
    clean = sanitise(raw)
    assert seen_in(read(clean)) == seen_by_the_stdlib(clean)


def test_what_stands_too_deep_is_dissolved() -> None:
    floors = MAX_DEPTH + 5
    tree = read("<div>" * floors + "x<br>" + "</div>" * floors + "y")
    assert seen_in(tree) == [*[("div", {})] * MAX_DEPTH, "x", *[("/div", {})] * MAX_DEPTH, "y"]


@examples
@given(any_text)
def test_what_is_no_html_of_ours_is_text(raw: str) -> None:
    """Nothing else is ever given to it; it still must not raise."""
    read(raw)
