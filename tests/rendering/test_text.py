"""Plain text keeps the shape of the HTML it is made from, so that a person can read it."""

import re
from textwrap import dedent

import pytest
from hypothesis import given

from router.rendering.body import read_body
from tests.rendering.hostile import any_text, examples, markup_of_words, soup


def to_text(html: str) -> str:
    return read_body(html, "html").text


GOLDEN_HTML = """
<h1>Nightly backup</h1>
<p>The backup of <b>db-7</b> finished with <em>2 warnings</em>.<br>It took 41&nbsp;minutes.</p>
<p>See the <a href="https://runbook.example.org/backup">runbook</a>, or write to
   <a href="mailto:ops@example.org">ops@example.org</a>.</p>
<ol start="9">
  <li>Look at the log
    <ul><li>on db-7</li><li><p>on the <i>standby</i></p><p>(it may be late)</p></li></ul>
  </li>
  <li>Run it again</li>
</ol>
<blockquote><p>warning: 3 files vanished</p><p>warning: slow disk</p></blockquote>
<pre><code class="language-sh">$ backup --verify
  ok: 812 files</code></pre>
<table>
  <caption>Sizes</caption>
  <thead><tr><th>Host</th><th>Size</th></tr></thead>
  <tr><td>db-7</td><td>41 GB</td></tr>
  <tr><td>db-8</td><td></td></tr>
</table>
<hr>
<details><summary>More</summary>10<sup>6</sup> rows, <del>old</del> new, H<sub>2</sub>O</details>
"""

GOLDEN_TEXT = """\
Nightly backup

The backup of db-7 finished with 2 warnings.
It took 41\u00a0minutes.

See the runbook (https://runbook.example.org/backup), or write to ops@example.org.

9. Look at the log
   - on db-7
   - on the standby

     (it may be late)
10. Run it again

> warning: 3 files vanished
>
> warning: slow disk

$ backup --verify
  ok: 812 files

Sizes
Host | Size
db-7 | 41 GB
db-8 |

---

More
10^6 rows, ~old~ new, H2O"""


def test_a_golden_example() -> None:
    assert to_text(GOLDEN_HTML) == GOLDEN_TEXT


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<div>one</div><div>two</div>", "one\ntwo"),
        ("one<br>two<br><br>three", "one\ntwo\n\nthree"),
        ("  spaces <b> around </b>  words  ", "spaces around words"),
        ("<b>a</b><i>b</i> c", "ab c"),
        ("<p></p><div><br></div>only<p> </p>", "only"),
        ("<h2>Head</h2>text", "Head\n\ntext"),
        ("<ul><li>a</li><li></li><li>b</li></ul>", "- a\n- b"),
        ("<ul><li>a<ol><li>b<ul><li>c</li></ul></li></ol></li></ul>", "- a\n  1. b\n     - c"),
        ("<ul><li>a</li><ul><li>b</li></ul></ul>", "- a\n  - b"),
        ("<ul>loose<li>item</ul>", "- loose\n- item"),
        ("<ol><li>two<br>lines</li></ol>", "1. two\n   lines"),
        ("<ol start=-1><li>a<li>b</ol>", "-1. a\n0. b"),
        ("<ul><li><pre>x\n y</pre></li></ul>", "- x\n   y"),
        ("before<ul><li>a</ul>after", "before\n\n- a\n\nafter"),
        ("<blockquote>a<blockquote>b</blockquote>c</blockquote>d", "> a\n>\n> > b\n>\n> c\n\nd"),
        ("<blockquote><ul><li>a<li>b</ul></blockquote>", "> - a\n> - b"),
        ("<pre>a\n\n  b\n</pre>", "a\n\n  b"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ("<a href='https://x.example/a'>text</a>", "text (https://x.example/a)"),
        ("<a href='https://x.example/'>https://x.example</a>", "https://x.example"),
        ("<a href='https://x.example'>X.example</a>", "X.example"),
        ("<a href='mailto:a@x.example'>Ada</a>", "Ada (a@x.example)"),
        ("<a href='https://x.example'>a <b>bold</b> link</a>", "a bold link (https://x.example)"),
        ("<a href='https://x.example'>a</a><a href='https://x.example'>b</a>", "a (https://x.example)b (https://x.example)"),
        ("<a href='https://x.example'><p>one</p><p>two</p></a>", "one\n\ntwo (https://x.example)"),
        ("<a href='https://x.example'></a>", "https://x.example"),
        ("<a href='https://x.example'><img src=x></a>", "https://x.example"),
        ("<a href='javascript:alert(1)'>text</a>", "text"),
        ("see <a href='https://x.example'>it</a>.", "see it (https://x.example)."),
        ("<pre><a href='https://x.example'>it</a></pre>", "it (https://x.example)"),
        ("<img src=mxc://a/b alt='A chart'> <img src=https://x.example/y alt='A map'><img src=x>", "A chart A map"),
        ("<table><tr><td>a<br>b</td><td><p>c</p><ul><li>d</ul></td></tr></table>", "a b | c d"),
        ("<table><tr><td></td><td></td></tr><tr><td></td><td>x</td></tr></table>", " | x"),
        ("<s>3</s> 4", "~3~ 4"),
        ("x<sup>2</sup> <sup>note</sup>", "x^2 note"),
        ("a<script>b</script>c", "ac"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ("<p>a\nb\tc</p>", "a b c"),
        ("no markup,\n  two lines & more", "no markup,\n  two lines & more"),
        ("a < b\nc > d", "a < b\nc > d"),
    ],
)  # fmt: skip
def test_each_kind_of_structure(html: str, text: str) -> None:
    assert to_text(html) == text


def test_deep_nesting_is_moved_in_a_few_times_only() -> None:
    text = to_text("<ul><li>" * 60 + "deep")
    assert text.endswith("deep")
    assert len(text) < 40
    assert len(to_text("<blockquote>" * 60 + "deep")) < 40


@examples
@given(markup_of_words)
def test_text_has_no_tags(raw: str) -> None:
    without_quotes = re.sub(r"(?m)^(?:>(?: |$))+", "", to_text(raw))
    assert not set(without_quotes) & set("<>&")


@examples
@given(soup)
def test_text_has_no_loose_ends(raw: str) -> None:
    body = read_body(raw, "html")
    if not body.formatted:
        return
    assert not body.text.endswith((" ", "\n"))
    assert all(line == line.rstrip() for line in body.text.split("\n"))
    assert "\n\n\n" not in body.text or "<pre" in raw or "<xmp" in raw
    body.text.encode()


@examples
@given(any_text)
def test_what_stood_in_html_as_text_stands_in_the_text(text: str) -> None:
    words = read_body(text, "text").text
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    made = to_text(f"<pre>x{escaped}x</pre>")
    assert made.split("\n") == [line.rstrip() for line in f"x{words}x".split("\n")]


@examples
@given(any_text)
def test_text_is_shown_as_it_stands(text: str) -> None:
    made = read_body(text, "text").text
    made.encode()
    printable = "".join(c for c in text if c.isprintable() and not "\ud800" <= c <= "\udfff")
    assert "".join(c for c in made if c.isprintable() and c != "\ufffd") == printable.replace("\ufffd", "")


def test_a_golden_text() -> None:
    raw = "Disk 93 % full\r\n\r\n    /var\t88 %\n<b>not bold</b> & \x1b[31mnot red\u2028same"
    wanted = dedent("""\
        Disk 93 % full

            /var\t88 %
        <b>not bold</b> & [31mnot red\u2028same""")
    assert read_body(raw, "text").text == wanted
