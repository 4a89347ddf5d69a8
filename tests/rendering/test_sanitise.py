"""HTML from an app is safe and whole after `sanitise`, by our own list and by an independent referee."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import bleach
import pytest
from hypothesis import given

from router.rendering.layout import lay_out
from router.rendering.normalise import MAX_ELEMENTS, normalise
from router.rendering.policy import SCHEMES, TAGS, allows
from router.rendering.sanitise import sanitise
from router.rendering.text import to_text
from router.rendering.tree import Element, read, to_html, walk
from tests.rendering import strict_html
from tests.rendering.hostile import XSS, examples, soup
from tests.rendering.referee import seen_by_nh3, seen_by_us


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("<b>Card declined</b> for order 42", "<b>Card declined</b> for order 42"),
        ("fish &amp; chips &lt; 5 &euro;", "fish &amp; chips &lt; 5 €"),
        ("AT&T, a < b, x & y; ?a=1&copy=2", "AT&amp;T, a &lt; b, x &amp; y; ?a=1&amp;copy=2"),
        ("un<b>closed", "un<b>closed</b>"),
        ("stray</b></p></div> ends", "stray ends"),
        ("<p>one<p>two", "<p>one</p><p>two</p>"),
        ("<ul><li>1<li>2<ul><li>3</ul></ul>", "<ul><li>1</li><li>2<ul><li>3</li></ul></li></ul>"),
        ("<table><td>a<td>b<tr><td>c</table>d", None),
        ("<table><tr><td>a<table><tr><td>b</table>c</table>", None),
        ("a<script>alert(1)</script>b<style>p{}</style>c", "abc"),
        ("<html><head><title>T</title></head><body><p>x</p></body></html>", "<p>x</p>"),
        ("a<!-- secret -->b<!doctype html>c<?php x ?>d", "abcd"),
        ("mail <john@example.org> or <https://example.org/a?b=1&c=2>",
         "mail &lt;john@example.org&gt; or &lt;https://example.org/a?b=1&amp;c=2&gt;"),
        ("<a href='x>click</a> more", "<a>click</a> more"),
        ("this <b has no end", "this &lt;b has no end"),
        ("<strike>a</strike><ins>b</ins><kbd>c</kbd><section>d</section>", "<s>a</s><u>b</u><code>c</code><div>d</div>"),
        ("<FONT COLOR=red>a</FONT><o:p>b</o:p><blink>c</blink>", "abc"),
        ("<pre>\n  a\n\n  b</pre>", "<pre>  a\n\n  b</pre>"),
        ("a\x00b\x1b[31mc\x07\ud800d", "ab[31mc\ufffdd"),
        ("&#0;&#xD800;&#x1b;&#99999999999;&#38;", "\ufffd\ufffd&amp;#99999999999;&amp;"),
        ("<a href='http://x.example/\ud800'>x</a>", "<a href=\"http://x.example/\ufffd\">x</a>"),
        ("line\u2028two\u2029three\u0085four", "line\u2028two\u2029three\u0085four"),
        ("", ""),
    ],
)  # fmt: skip
def test_each_kind_of_markup(raw: str, clean: str | None) -> None:
    made = sanitise(raw)
    strict_html.check(made)
    if clean is not None:
        assert made == clean


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ("a href='https://x.example/a?b=1&amp;c=2'", ' href="https://x.example/a?b=1&amp;c=2"'),
        ("a href='HTTP://X.example'", ' href="HTTP://X.example"'),
        ("a href=' mailto:a@x.example '", ' href="mailto:a@x.example"'),
        ("a href='magnet:?xt=urn:btih:1'", ' href="magnet:?xt=urn:btih:1"'),
        ("a href='ftp://x.example' target=_blank", ' href="ftp://x.example" target="_blank"'),
        ("a target=_top", ""),
        ("a href='#top'", ""),
        ("a href='/orders/42'", ""),
        ("a href='//x.example'", ""),
        ("a href='https:x.example'", ""),
        ("a href='https://'", ""),
        ("a href='mxc://a/b'", ""),
        ("a href='tel:+49'", ""),
        (f"a href='https://x.example/{'a' * 5000}'", ""),
        ("ol start=7", ' start="7"'),
        ("ol start=-7", ' start="-7"'),
        ("ol start=seven", ""),
        ("code class=language-c++", ' class="language-c++"'),
        ("code class='language-c big'", ""),
        ("code class=big", ""),
        ("span data-mx-color=#a0B1c2", ' data-mx-color="#a0B1c2"'),
        ("span data-mx-color=red", ""),
        ("span data-mx-bg-color='#fff'", ""),
        ("span data-mx-spoiler='the end'", ' data-mx-spoiler="the end"'),
        ("span style='color:red' class=x id=y", ""),
        ("p align=center onclick=alert(1)", ""),
        ("div data-mx-maths='x^2'", ' data-mx-maths="x^2"'),
    ],
)
def test_each_attribute(attributes: str, kept: str) -> None:
    tag = attributes.split()[0]
    inside = "<li>x</li>" if tag == "ol" else "x"
    assert sanitise(f"<{attributes}>{inside}</{tag}>") == f"<{tag}{kept}>{inside}</{tag}>"


@pytest.mark.parametrize(
    ("picture", "kept"),
    [
        ("<img src=mxc://a/b alt=Chart width=20 height=10>", 'src="mxc://a/b" alt="Chart" width="20" height="10"'),
        ("<img src=mxc://a/b width=100%>", 'src="mxc://a/b"'),
        ("<img src=https://x.example/y.png alt=Chart>", 'alt="Chart"'),
        ("<img src=data:image/png;base64,AAAA>", None),
    ],
)  # fmt: skip
def test_pictures_come_from_matrix_only(picture: str, kept: str | None) -> None:
    assert sanitise(picture) == (f"<img {kept}>" if kept else "<img>")


@pytest.mark.parametrize("raw", XSS)
def test_known_attacks_leave_nothing_for_the_referee(raw: str) -> None:
    made = sanitise(raw)
    strict_html.check(made)
    assert seen_by_nh3(made) == seen_by_us(made)
    tree = read(made)
    for node in walk(tree):
        if isinstance(node, Element):
            assert not node.attributes.get("href", "").lower().lstrip().startswith(("javascript", "vbscript", "data"))
            assert node.attributes.get("src", "mxc:").startswith("mxc:")


def test_attacks_all_at_once() -> None:
    made = sanitise("".join(XSS))
    strict_html.check(made)
    assert seen_by_nh3(made) == seen_by_us(made)


def test_the_referee_does_object_to_what_is_unsafe() -> None:
    for bad in ("<img src=x onerror=alert(1)>", '<a href="javascript:alert(1)">x</a>', "<b onclick=x>y</b>"):
        assert seen_by_nh3(bad) != seen_by_us(bad)


@examples
@given(soup)
def test_any_soup_is_strict_and_leaves_nothing_for_the_referee(raw: str) -> None:
    made = sanitise(raw)
    strict_html.check(made)
    assert seen_by_nh3(made) == seen_by_us(made)


@examples
@given(soup, soup)
def test_a_text_is_cleaned_as_if_it_were_the_first(before: str, raw: str) -> None:
    sanitise(before)
    fresh = bleach.clean(normalise(raw), tags=TAGS, attributes=allows, protocols=SCHEMES | {"mxc"}, strip=True)
    assert sanitise(raw) == fresh


def test_texts_may_be_cleaned_in_many_threads() -> None:
    texts = [f"<ul class=x><li>{number}<li><b>{number}</ul>" * 20 for number in range(40)]
    one_by_one = [sanitise(text) for text in texts]
    interval_seconds = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(sanitise, texts, timeout=60)) == one_by_one
    finally:
        sys.setswitchinterval(interval_seconds)


@examples
@given(soup)
def test_bleach_has_nothing_to_mend(raw: str) -> None:
    """What `normalise` makes is of such a shape that the parser in bleach moves nothing: it only takes attributes away."""
    normal = normalise(raw)
    assert _ATTRIBUTES.sub(r"\1", sanitise(raw)) == _ATTRIBUTES.sub(r"\1", normal)


@examples
@given(soup)
def test_writing_what_was_read_keeps_it(raw: str) -> None:
    tree = read(sanitise(raw))
    written = to_html(tree)
    strict_html.check(written)
    assert read(sanitise(written)) == tree


_ATTRIBUTES = re.compile(r"(?<=<)([a-z0-9]+) [^>]*")


def _characters(markup: str) -> str:
    return "".join(node for node in walk(read(markup)) if isinstance(node, str)).replace("\n", "")


def test_ten_thousand_divs_keep_their_text() -> None:
    made = sanitise("<div>" * 10_000 + "deep" + "</div>" * 10_000 + "after")
    assert to_text(lay_out(read(made))) == "deep\nafter"
    strict_html.check(made)


def test_what_is_cut_off_is_seen_to_be_cut_off() -> None:
    assert _characters(sanitise("<p>" + "word " * 50_000)).endswith("…")
    assert not _characters(sanitise("<p>" + "word " * 5_000)).endswith("…")
    assert _characters(sanitise("x<br>" * (MAX_ELEMENTS + 10))).endswith("x…")


def test_a_cut_does_not_split_an_entity_or_a_character() -> None:
    made = sanitise("<p>" + "&lt;" * 50_000)
    strict_html.check(made)
    made = sanitise("<p>" + "👩‍👩‍👧" * 50_000)
    assert set(_characters(made).removesuffix("…").split("👩‍👩‍👧")) == {""}
