"""A shortened text keeps to its limit, ends in an ellipsis, and is never cut inside a character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rendering.compose import compose_within
from router.rendering.matrix import json_bytes
from router.rendering.sanitise import sanitise
from router.rendering.shorten import Measure, safe_cut, shorten, utf8_bytes, utf16_units
from router.rendering.tree import cut, from_text, read, size_of, to_html, walk
from tests.rendering import strict_html
from tests.rendering.hostile import examples, soup
from tests.rendering.making import LINK

WHOLE = [
    "👩‍👩‍👧",
    "🇩🇪",
    "e\u0301",
    "👍🏽",
    "❤️",
    "한",
    "\u1112\u1161\u11ab",
    "क्षि",
    "🏴\U000e0067\U000e0062\U000e007f",
    "a",
    "é",
]
"""What a person sees as one character each."""

MEASURES = [len, utf8_bytes, utf16_units, json_bytes]


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("short", 5, "short"),
        ("shorter", 5, "shor…"),
        ("two words here", 10, "two words…"),
        ("two words here", 8, "two wor…"),
        ("averyveryverylongword", 10, "averyvery…"),
        ("a b", 2, "a…"),
        ("word", 1, "…"),
        ("word", 0, ""),
        ("", 0, ""),
        ("line\nbreak", 6, "line…"),
    ],
)
def test_each_cut(text: str, limit: int, short: str) -> None:
    assert shorten(text, limit) == short


@pytest.mark.parametrize("character", WHOLE)
@pytest.mark.parametrize("measure", MEASURES)
def test_no_cut_falls_inside_a_character(character: str, measure: Measure) -> None:
    text = character * 12
    for limit in range(measure(text)):
        short = shorten(text, limit, measure)
        assert not short or measure(short) <= limit
        kept = short.removesuffix("…")
        assert kept == character * (len(kept) // len(character))


@examples
@given(st.lists(st.sampled_from(WHOLE)), st.integers(0, 60))
def test_a_safe_cut_is_between_characters(characters: list[str], place: int) -> None:
    text = "".join(characters)
    starts = {sum(map(len, characters[:count])) for count in range(len(characters) + 1)}
    assert safe_cut(text, place) in starts


@examples
@given(st.text(), st.integers(0, 100), st.sampled_from(MEASURES))
def test_the_limit_holds(text: str, limit: int, measure: Measure) -> None:
    short = shorten(text, limit, measure)
    assert short == "" or measure(short) <= limit
    assert short == text or short == "" or (short.endswith("…") and text.startswith(short[:-1]))
    if limit >= measure("…") and text:
        assert short


@examples
@given(soup, st.integers(0, 200))
def test_a_cut_tree_is_strict_html(raw: str, size: int) -> None:
    tree = read(sanitise(raw))
    short = cut(tree, size)
    strict_html.check(to_html(short))
    if size >= size_of(tree):
        assert short == tree
    assert size_of(short) <= size + 1


def test_where_the_ellipsis_of_a_cut_tree_stands() -> None:
    tree = read(
        "<p>one <b>two</b></p><ul><li>three</li><li>four</li></ul><table><tbody><tr><td>x</td></tr></tbody></table>"
    )
    assert to_html(cut(tree, 6)) == "<p>one <b>…</b></p>"
    assert to_html(cut(tree, 7)) == "<p>one <b>t…</b></p>"
    assert to_html(cut(tree, 9)) == "<p>one <b>two</b></p>…"
    assert to_html(cut(tree, 16)) == "<p>one <b>two</b></p><ul><li>three</li></ul>…"[:-1].replace("three", "three…")
    assert to_html(cut(from_text("abc"), 2)) == "<p>a…</p>"


@examples
@given(soup, st.integers(0, 100))
def test_a_cut_tree_shows_where_it_was_cut(raw: str, size: int) -> None:
    tree = read(sanitise(raw))
    text = "".join(node for node in walk(tree) if isinstance(node, str))
    short = "".join(node for node in walk(cut(tree, size)) if isinstance(node, str))
    assert short == text or "…" in short or not text.startswith(short) or not text[len(short) :].strip()


@pytest.mark.parametrize(
    ("limit", "made"),
    [
        (
            200,
            "Order 42 failed\nThe card was declined by the bank\nOpen order: https://shop.example.org/orders/42?a=1&b=2",
        ),
        (90, "Order 42 failed\nThe card was…\nOpen order: https://shop.example.org/orders/42?a=1&b=2"),
        (70, "Order 42 failed\nThe card…\nhttps://shop.example.org/orders/42?a=1&b=2"),
        (55, "Order 42…\nhttps://shop.example.org/orders/42?a=1&b=2"),
        (43, "https://shop.example.org/orders/42?a=1&b=2"),
        (42, "https://shop.example.org/orders/42?a=1&b=2"),
        (41, "Order 42 failed\nThe card was declined…"),
        (12, "Order 42…"),
        (3, "…"),
        (2, ""),
    ],
)
def test_the_text_gives_way_before_the_link(limit: int, made: str) -> None:
    text = compose_within("Order 42 failed", "The card was declined by the bank", LINK, limit, utf8_bytes)
    assert text == made
    assert utf8_bytes(text) <= limit
