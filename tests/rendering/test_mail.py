"""A mail has a one-line subject, a text part to read anywhere, and an HTML part that is whole, safe, and fit for the dark."""

import re
from html import escape, unescape
from html.parser import HTMLParser
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rendering.policy import VOID
from tests.rendering.hostile import XSS, any_text, few_examples, soup
from tests.rendering.making import LINK, rendered
from tests.rendering.referee import seen_by_nh3, seen_by_us
from tests.rendering.test_text import GOLDEN_HTML, GOLDEN_TEXT


class _Page(HTMLParser):
    """Raises for a tag that is not closed where it should be; keeps what the page shows."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[str] = []
        self.feed(markup)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.links.extend(value or "" for name, value in attrs if name in ("href", "src"))
        if tag not in VOID | {"meta"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def check_page(markup: str) -> _Page:
    page = _Page(markup)
    assert not page.tags & {"script", "iframe", "img", "link", "base", "form", "object", "details"}
    assert not [name for name in page.attributes if name.startswith("on")]
    assert all(re.match(r"(?:https?|ftp|mailto|magnet):", link, re.IGNORECASE) for link in page.links)
    # Nothing is fetched to show the mail, so nobody learns that it was opened.
    assert "url(" not in _style_sheet(markup)
    assert "@import" not in _style_sheet(markup)
    content = content_of(markup)
    assert seen_by_nh3(content, "style") == seen_by_us(content)
    return page


def _style_sheet(markup: str) -> str:
    return markup[markup.index("<style>") : markup.index("</style>")]


def content_of(markup: str) -> str:
    found = re.search(r'<div class="content">\n(.*?)\n</div>\n(?=<table role|</td>)', markup, re.DOTALL)
    return found[1] if found else ""


def heading_of(markup: str) -> str:
    found = re.search(r'<h1 class="heading"[^>]*>(.*?)</h1>', markup)
    return unescape(found[1]) if found else ""


def test_the_whole_mail() -> None:
    mail = rendered("<b>Card declined</b> for order 42", "Order 42 failed", LINK).mail
    assert mail.subject == "Order 42 failed"
    assert mail.text == "Card declined for order 42\n\nOpen order: https://shop.example.org/orders/42?a=1&b=2\n"
    page = check_page(mail.html)
    assert mail.html.startswith("<!doctype html>\n")
    assert mail.html.endswith("</html>\n")
    assert heading_of(mail.html) == "Order 42 failed"
    assert "<b>Card declined</b> for order 42" in content_of(mail.html)
    assert page.links == ["https://shop.example.org/orders/42?a=1&b=2"]
    assert re.search(
        r'<a href="https://shop.example.org/orders/42\?a=1&amp;b=2" style="[^"]*">Open order</a>', mail.html
    )


def test_a_golden_text_part() -> None:
    assert rendered(GOLDEN_HTML, "Backup").mail.text == GOLDEN_TEXT + "\n"


def test_it_is_ready_for_dark() -> None:
    html = rendered("<p>x</p>", "S").mail.html
    assert '<meta name="color-scheme" content="light dark">' in html
    dark = html[html.index("@media (prefers-color-scheme: dark)") : html.index("</style>")]
    # Every inline colour that the dark sheet takes back must be taken back with force.
    assert all("!important" in rule for rule in re.findall(r"\{([^{}]*)\}", dark))


@pytest.mark.parametrize(
    ("subject", "body", "shown"),
    [
        ("Order 42 failed", "x", "Order 42 failed"),
        ("  two\r\nlines\x00\tand\u2028more ", "x", "two lines and more"),
        ("Bcc: a@x.example\r\nBcc: b@x.example", "x", "Bcc: a@x.example Bcc: b@x.example"),
        ("half \ud800", "x", "half \ufffd"),
        (None, "<p></p><h1>The first line</h1><p>more</p>", "The first line"),
        (None, "First\nSecond", "First"),
        ("", "  \n  First", "First"),
        (None, "word " * 40, "word " * 14 + "word…"),
        ("word " * 80, "x", "word " * 49 + "word…"),
        (None, "<script>x</script>", "(This message has nothing to show.)"),
    ],
)
def test_each_subject(subject: str | None, body: str, shown: str) -> None:
    assert rendered(body, subject).mail.subject == shown


def test_a_subject_that_is_cut_in_the_header_is_whole_in_the_mail() -> None:
    subject = "word " * 80 + "end"
    mail = rendered("<p>Text</p>", subject).mail
    assert mail.text == f"{subject}\n\nText\n"
    assert heading_of(mail.html) == subject


def test_a_subject_alone() -> None:
    mail = rendered(None, "Only <this> & that").mail
    assert mail.text == "Only <this> & that\n"
    assert heading_of(mail.html) == "Only <this> & that"
    assert content_of(mail.html) == ""
    check_page(mail.html)


def test_text_keeps_its_shape_in_html() -> None:
    content = content_of(rendered("a <b>\n\n    c & d\n  e", text=True).mail.html)
    nbsp = "\u00a0"
    assert re.sub(r' style="[^"]*"', "", content) == f"<p>a &lt;b&gt;</p>\n<p>{nbsp * 3} c &amp; d<br>{nbsp} e</p>"


@pytest.mark.parametrize(
    ("html", "content"),
    [
        ("loose <b>words</b><ul><li>x</ul>more", "<p>loose <b>words</b></p>\n<ul><li>x</li></ul>\n<p>more</p>"),
        ("word <b>b<p>c</p></b>", "<div>word <b>b<p>c</p></b></div>"),
        ("<p>a</p>\n<p>b</p>", "<p>a</p>\n<p>b</p>"),
        ("<details><summary>More</summary>x</details>", "<div><div><strong>More</strong></div>x</div>"),
        ("<img src=mxc://a/b alt='A <chart>'>", "<p>A &lt;chart&gt;</p>"),
        ("<img src=https://x.example/y.png alt=Chart>", "<p>Chart</p>"),
        ("<span data-mx-color=#ff0000>red</span>", "<p><span>red</span></p>"),
        ("<pre><code class=language-c>x</code></pre>", "<pre><span>x</span></pre>"),
        ("<ol start=4><li>x</ol>", '<ol start="4"><li>x</li></ol>'),
        ("<a href='https://x.example' target=_blank>x</a>", '<p><a href="https://x.example">x</a></p>'),
    ],
)
def test_html_becomes_what_mail_programs_show(html: str, content: str) -> None:
    assert re.sub(r' style="[^"]*"', "", content_of(rendered(html, "S").mail.html)) == content


@pytest.mark.parametrize("priority", ["low", "normal", "critical"])
def test_each_priority_has_its_colour(priority: Literal["low", "normal", "critical"]) -> None:
    html = rendered("x", "S", LINK, priority=priority).mail.html
    check_page(html)
    colour = {"low": "#8a94a3", "normal": "#2563eb", "critical": "#d92d20"}[priority]
    assert html.count(colour) == 3  # the card's edge, the button's cell, the button


@pytest.mark.parametrize("raw", XSS)
def test_known_attacks(raw: str) -> None:
    link = LINK.model_copy(update={"text": raw, "url": 'https://x.example/"><script>alert(1)</script>'})
    mail = rendered(raw, raw, link).mail
    check_page(mail.html)
    assert escape(link.url) in mail.html


@few_examples
@given(st.one_of(soup, any_text), any_text, any_text, st.booleans())
def test_any_message_makes_a_whole_page(raw: str, subject: str, link_text: str, as_text: bool) -> None:
    mail = rendered(raw, subject, LINK.model_copy(update={"text": link_text}), text=as_text).mail
    check_page(mail.html)
    assert mail.subject.strip() == mail.subject != ""
    assert len(mail.subject.splitlines()) == 1
    assert len(mail.subject) <= 250
    for part in (mail.subject, mail.text, mail.html):
        part.encode()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", part)
