"""Slack's mrkdwn says what the HTML says, holds no link or mention but our own links, and keeps to Slack's limits."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.documents.json_types import JsonObject
from router.rendering.body import read_body
from router.rendering.forms import SlackBody
from router.rendering.mrkdwn import split, to_mrkdwn
from tests.peers.slack_blocks import check_blocks
from tests.rendering.hostile import XSS, any_text, examples, few_examples, soup
from tests.rendering.making import LINK, rendered
from tests.rendering.test_text import GOLDEN_HTML

_OUR_LINK = re.compile(r"<(?:https?|ftp|mailto|magnet):[^<>|\s]*(?:\|[^<>]*)?>")
_OUR_QUOTE = re.compile(r"(?m)^>(?= |$)")
_ENTITY = re.compile(r"&(?:amp|lt|gt);")

GOLDEN_MRKDWN = """\
*Nightly backup*

The backup of *db-7* finished with _2 warnings_.
It took 41\u00a0minutes.

See the <https://runbook.example.org/backup|runbook>, or write to <mailto:ops@example.org|ops@example.org>.

9. Look at the log
   • on db-7
   • on the _standby_

     (it may be late)
10. Run it again

> warning: 3 files vanished
>
> warning: slow disk

```
$ backup --verify
  ok: 812 files
```

*Sizes*
*Host* | *Size*
db-7 | 41 GB
db-8 |

———

*More*
10^6 rows, ~old~ new, H2O"""


def test_what_fits_is_neither_cut_nor_split() -> None:
    lines = read_body("<p>one <b>two</b></p><p>three</p>" * 20, "html").lines
    whole = to_mrkdwn(lines)
    assert split(lines, len(whole), 2_500) == [whole]
    [cut] = split(lines, len(whole) - 1, 2_500)
    assert cut.endswith("…")
    long = read_body("<p>" + "three " * 415 + "</p>" + "<p>four</p>", "html").lines
    assert split(long, 12_000, len(to_mrkdwn(long))) == [to_mrkdwn(long)]
    assert len(split(long, 12_000, len(to_mrkdwn(long)) - 1)) == 2


LINKED = "<a href='https://x.example/?a&b'>x</a> "


def mrkdwn(html: str) -> str:
    return to_mrkdwn(read_body(html, "html").lines)


def check_mrkdwn(text: str) -> None:
    """Fails for any `<`, `>` or `&` that Slack would read as more than a character, our own links and quotes apart."""
    bare = _ENTITY.sub("", _OUR_QUOTE.sub("", _OUR_LINK.sub("", text)))
    assert not set(bare) & set("<>&"), bare


def section_texts(body: SlackBody) -> list[str]:
    return [text for block in body.blocks if block["type"] == "section" for text in [_inner(block)]]


def _inner(block: JsonObject) -> str:
    text = block["text"]
    assert isinstance(text, dict)
    assert text["type"] == "mrkdwn"
    assert text["verbatim"] is True
    assert isinstance(text["text"], str)
    return text["text"]


def test_a_golden_example() -> None:
    assert mrkdwn(GOLDEN_HTML) == GOLDEN_MRKDWN


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<b>bold</b> <i>italic</i> <s>gone</s> <code>code</code>", "*bold* _italic_ ~gone~ `code`"),
        ("<b>bold <i>both</i></b>", "*bold* *_both_*"),
        ("a<b> spaced </b>b", "a *spaced* b"),
        ("un<b>believ</b>able", "unbelievable"),
        ("(<b>bold</b>)", "(*bold*)"),
        ("<b></b>x<b> </b>y", "x y"),
        ("<code>a`b</code>", "a`b"),
        ("<b><code>x</code></b>", "*`x`*"),
        ("<pre>a\n  &lt;b&gt;</pre>", "```\na\n  &lt;b&gt;\n```"),
        ("<pre>a```b</pre>", "a```b"),
        ("<a href='https://x.example/?a=1&amp;b=2'>a & b</a>", "<https://x.example/?a=1&amp;b=2|a &amp; b>"),
        ("<a href='https://x.example/a|b>c'>x|y</a>", "<https://x.example/a%7Cb%3Ec|x|y>"),
        ("<b><a href='https://x.example'>x</a></b>", "*<https://x.example|x>*"),
        (f"<a href='https://x.example/{'a' * 2500}'>long</a>", "long"),
        ("https://x.example/a?b=1&c=2, <https://y.example>.",
         "<https://x.example/a?b=1&amp;c=2>, &lt;<https://y.example>&gt;."),
        ("<code>https://x.example</code> http://", "`https://x.example` http://"),
        ("&lt;!channel&gt; &lt;@U123&gt; &lt;#C1|x&gt; &lt;https://x.example|y&gt;",
         "&lt;!channel&gt; &lt;@U123&gt; &lt;#C1|x&gt; &lt;<https://x.example>|y&gt;"),
        ("<!channel> <@U123|ada>", "&lt;@U123|ada&gt;"),
        ("&amp;lt;!channel&amp;gt;", "&amp;lt;!channel&amp;gt;"),
        ("<a href='https://x.example'>&lt;!here&gt;</a>", "<https://x.example|&lt;!here&gt;>"),
        ("<ul><li>a<li>b</ul>", "• a\n• b"),
        ("<blockquote>a<br>b<blockquote>c</blockquote></blockquote>d", "> a\n> b\n>\n> c\n\nd"),
        ("*stars* _and_ ~such~ 2*3*4", "*stars* _and_ ~such~ 2*3*4"),
    ],
)  # fmt: skip
def test_each_mark(html: str, text: str) -> None:
    assert mrkdwn(html) == text


@pytest.mark.parametrize("raw", XSS)
def test_known_attacks_stay_text(raw: str) -> None:
    check_mrkdwn(mrkdwn(raw))


@examples
@given(st.one_of(soup, any_text))
def test_nothing_unescaped_but_our_own_links(raw: str) -> None:
    check_mrkdwn(mrkdwn(raw))
    check_mrkdwn(to_mrkdwn(read_body(raw, "text").lines))


def test_the_whole_message() -> None:
    body = rendered("<p>Card <b>declined</b> for &lt;!channel&gt;</p>", "Order 42 <!channel> & co", LINK).slack(3900)
    assert body.text == (
        "Order 42 &lt;!channel&gt; &amp; co\nCard declined for &lt;!channel&gt;\n"
        "Open order: https://shop.example.org/orders/42?a=1&amp;b=2"
    )
    assert body.blocks == [
        {"type": "header", "text": {"type": "plain_text", "text": "Order 42 <!channel> & co"}},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": "Card *declined* for &lt;!channel&gt;", "verbatim": True},
        },
        {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "text": {"type": "plain_text", "text": "Open order"},
                    "url": "https://shop.example.org/orders/42?a=1&b=2",
                }
            ],
        },
    ]


def test_text_keeps_its_lines_and_indents() -> None:
    body = rendered("a <b>\n\n\n    c & d\n", text=True).slack(3900)
    assert section_texts(body) == ["a &lt;b&gt;\n\n    c &amp; d"]


def test_a_long_text_is_split_between_lines() -> None:
    lines = [f"line {number} {'x' * 80}" for number in range(90)]
    body = rendered("<br>".join(lines)).slack(40_000)
    parts = section_texts(body)
    assert len(parts) == 3
    assert "\n".join(parts) == "\n".join(lines)
    check_blocks(list(body.blocks))


def test_a_long_line_is_split_between_words_with_its_marks_whole() -> None:
    words = [f"word{number}" for number in range(1000)]
    body = rendered(f"<b>{' '.join(words)}</b>").slack(40_000)
    parts = section_texts(body)
    assert len(parts) > 1
    assert all(part.startswith("*") and part.rstrip().endswith("*") for part in parts)
    assert [word for part in parts for word in part.strip("* ").split()] == words


def test_verbatim_lines_keep_their_fences_in_every_part() -> None:
    lines = [f"line {number} {'x' * 80}" for number in range(90)]
    parts = section_texts(rendered(f"<pre>{'<br>'.join(lines)}</pre>").slack(40_000))
    assert len(parts) > 1
    assert all(part.startswith("```\n") and part.endswith("\n```") for part in parts)
    assert [line for part in parts for line in part.split("\n")[1:-1]] == lines


@pytest.mark.parametrize(
    "unit", ["word ", "&lt;", "<b>b</b> ", LINKED, "👩‍👩‍👧", "x<br>", "😀", "<li>x", "<pre>x</pre>"]
)
@pytest.mark.parametrize("limit", [100, 3900])
def test_a_text_over_the_limit_is_shortened_visibly(unit: str, limit: int) -> None:
    body = rendered(unit * (60_000 // len(unit)), "Subject", LINK).slack(limit)
    check_blocks(list(body.blocks))
    parts = section_texts(body)
    assert 0 < sum(map(len, parts)) <= limit
    assert parts[-1].removesuffix("\n```").endswith("…")
    assert len(body.text) <= limit
    assert "…" in body.text
    assert body.text.endswith("https://shop.example.org/orders/42?a=1&amp;b=2")
    for text in [*parts, body.text]:
        check_mrkdwn(text)


def test_a_link_that_is_split_repeats_its_address_within_the_limit() -> None:
    url = "https://x.example/" + "a" * 1900
    body = rendered(f"<a href='{url}'>{'word ' * 4000}</a>", "Subject", LINK).slack(40_000)
    check_blocks(list(body.blocks))
    parts = section_texts(body)
    assert len(parts) > 1
    assert all(part.startswith(f"<{url}|") for part in parts)
    assert parts[-1].endswith("…")


def test_a_long_subject_is_in_the_header_in_part_and_whole_below() -> None:
    subject = "word " * 60 + "end"
    body = rendered("<p>Text</p>", subject).slack(3900)
    assert len(str(body.blocks[0]["text"])) < 220
    assert "…" in str(body.blocks[0]["text"])
    assert section_texts(body) == [f"{subject}\nText"]


@pytest.mark.parametrize(("length", "has_button"), [(3000, True), (3001, False)])
def test_an_address_that_slack_does_not_take_makes_no_button(length: int, has_button: bool) -> None:
    url = "https://x.example/" + "a" * (length - len("https://x.example/"))
    body = rendered("Text", link=LINK.model_copy(update={"url": url, "text": "t" * 90})).slack(3900)
    check_blocks(list(body.blocks))
    assert (body.blocks[-1]["type"] == "actions") is has_button


@few_examples
@given(st.one_of(soup, any_text), any_text, st.integers(100, 5000), st.booleans(), st.integers(1, 400))
def test_slack_takes_whatever_comes(raw: str, subject: str, limit: int, as_text: bool, times: int) -> None:
    body = rendered(raw * times, subject, LINK, text=as_text).slack(limit)
    check_blocks(list(body.blocks))
    assert 0 < len(body.text) <= limit
    check_mrkdwn(body.text)
    assert sum(map(len, section_texts(body))) <= limit
    for text in section_texts(body):
        check_mrkdwn(text)
