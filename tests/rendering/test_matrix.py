"""A Matrix message has a text and an HTML body that say the same, within the bytes that are allowed for both."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rendering.forms import MatrixBody
from tests.rendering import strict_html
from tests.rendering.hostile import XSS, any_text, few_examples, soup
from tests.rendering.making import LINK, rendered
from tests.rendering.referee import seen_by_nh3, seen_by_us

_NBSP = "\u00a0"
_BUTTON = '<p><a href="https://shop.example.org/orders/42?a=1&amp;b=2">Open order</a></p>'


def canonical_bytes(message: MatrixBody) -> int:
    """What the two bodies weigh in an event, by the specification's Canonical JSON."""
    bodies = [message.body, *([message.formatted_body] if message.formatted_body is not None else [])]
    return sum(len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()) for body in bodies)


def check_formatted(message: MatrixBody) -> None:
    if message.formatted_body is not None:
        strict_html.check(message.formatted_body)
        assert seen_by_nh3(message.formatted_body) == seen_by_us(message.formatted_body)


def test_the_whole_message() -> None:
    message = rendered("<b>Card declined</b> for order 42", "Order 42 failed", LINK).matrix(32768)
    assert message.body == (
        "Order 42 failed\nCard declined for order 42\nOpen order: https://shop.example.org/orders/42?a=1&b=2"
    )
    assert message.formatted_body == f"<strong>Order 42 failed</strong><br><b>Card declined</b> for order 42{_BUTTON}"


@pytest.mark.parametrize(
    ("subject", "body", "as_text", "text", "formatted"),
    [
        (None, "just text", False, "just text", None),
        (None, "a <b> & c", True, "a <b> & c", None),
        (None, "<i>x</i>", False, "x", "<i>x</i>"),
        ("S", None, False, "S", "<strong>S</strong>"),
        ("S <b>", "x", True, "S <b>\nx", "<p><strong>S &lt;b&gt;</strong></p><p>x</p>"),
        ("S", "<p>a</p><p>b</p>", False, "S\na\n\nb", "<p><strong>S</strong></p><p>a</p><p>b</p>"),
        ("S", "a\n\n  b\nc", True, "S\na\n\n  b\nc", f"<p><strong>S</strong></p><p>a</p><p>{_NBSP} b<br>c</p>"),
        (None, "<script>x</script>", False, "(This message has nothing to show.)", None),
        ("S", "<script>x</script>", False, "S", "<strong>S</strong>"),
        ("S", "<img src=mxc://a/b alt=Map>", False, "S\nMap", '<strong>S</strong><br><img src="mxc://a/b" alt="Map">'),
    ],
)  # fmt: skip
def test_each_shape(subject: str | None, body: str | None, as_text: bool, text: str, formatted: str | None) -> None:
    message = rendered(body, subject, text=as_text).matrix(32768)
    assert (message.body, message.formatted_body) == (text, formatted)


@pytest.mark.parametrize("raw", XSS)
def test_known_attacks(raw: str) -> None:
    check_formatted(rendered(raw, raw, LINK.model_copy(update={"text": raw})).matrix(32768))


UNITS = [
    *(
        "word ",
        "&lt;",
        '"',
        "\\",
        "<b>b</b> ",
        "<p>para</p>",
        "<ul><li>x</ul>",
        "<table><td>x</table>",
        "👩‍👩‍👧",
        "é",
        "<br>",
        "<div>x",
    ),
    "<a href='https://x.example/?a&b'>x</a>",
]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("max_bytes", [1024, 32768])
def test_a_message_over_the_limit_is_shortened_visibly(unit: str, max_bytes: int) -> None:
    message = rendered(unit * (60_000 // len(unit)), "Subject", LINK).matrix(max_bytes)
    assert canonical_bytes(message) <= max_bytes
    # All of the room is used but for what one more character or element would take.
    assert canonical_bytes(message) > max_bytes * 0.8 or unit in ("<div>x", "<br>")
    check_formatted(message)
    assert "…" in message.body
    assert message.body.endswith("Open order: https://shop.example.org/orders/42?a=1&b=2")
    if message.formatted_body is not None:
        assert "…" in message.formatted_body
        assert message.formatted_body.endswith(_BUTTON)


@pytest.mark.parametrize("unit", ["word ", "<", '"', "\n", "👩‍👩‍👧", "\u2028", "\t"])
def test_text_over_the_limit(unit: str) -> None:
    message = rendered("x" + unit * 60_000 + "x", text=True).matrix(4000)
    assert message.formatted_body is None
    assert message.body.endswith("…")
    assert 3900 < canonical_bytes(message) <= 4000 or unit in ("\n", "\t", "\u2028")


def test_when_subject_and_link_leave_no_room_the_formatting_goes() -> None:
    url = "https://x.example/" + "a" * 600
    message = rendered("<b>bold</b>", "Subject " * 40, LINK.model_copy(update={"url": url})).matrix(1024)
    assert message.formatted_body is None
    assert message.body.endswith(url)
    assert canonical_bytes(message) <= 1024
    far_too_long = LINK.model_copy(update={"url": "https://x.example/" + "a" * 100_000})
    message = rendered("<b>bold</b>", "Subject", far_too_long).matrix(1024)
    assert message == MatrixBody("Subject\nbold", None)


@few_examples
@given(st.one_of(soup, any_text), any_text, st.integers(1024, 6000), st.booleans(), st.integers(1, 400))
def test_any_message_keeps_to_its_limit(raw: str, subject: str, max_bytes: int, as_text: bool, times: int) -> None:
    message = rendered(raw * times, subject, LINK, text=as_text).matrix(max_bytes)
    assert canonical_bytes(message) <= max_bytes
    assert message.body.strip()
    check_formatted(message)
