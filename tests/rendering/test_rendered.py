"""Rendered gives every form, each once, whatever the content holds, and in bounded time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.documents.message import Content
from router.rendering import rendered as rendered_module
from router.rendering.rendered import Rendered
from tests.peers.slack_blocks import check_blocks
from tests.rendering import strict_html
from tests.rendering.hostile import HEAVY, any_text, examples, soup
from tests.rendering.making import LINK, rendered

MAX_SECONDS = 8
"""Of processor time, for all forms of one heavy body, on a busy machine. Alone none takes more than about one;
without bounds most of them take minutes."""


@pytest.mark.parametrize(
    ("name", "as_text"),
    [*((name, False) for name in HEAVY), *((name, True) for name in ("verbatim lines", "combining marks", "flags"))],
)
def test_a_heavy_body_takes_little_time(name: str, as_text: bool) -> None:
    started = time.process_time()
    made = rendered(HEAVY[name], "Subject", LINK, text=as_text)
    matrix, slack, mail, short = made.matrix(32768), made.slack(3900), made.mail, made.short_text(400)
    assert time.process_time() - started < MAX_SECONDS
    strict_html.check(matrix.formatted_body or "")
    check_blocks(list(slack.blocks))
    assert len(mail.html) < 1_000_000
    assert short.endswith(LINK.url)
    assert len(short.encode()) <= 400


def test_each_form_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(name: str) -> None:
        function = getattr(rendered_module, name)

        def wrapper(*args: object) -> object:
            calls.append(name)
            return function(*args)

        monkeypatch.setattr(rendered_module, name, wrapper)

    for name in ("read_body", "to_matrix", "to_slack", "to_mail", "compose_within"):
        counted(name)
    made = Rendered(Content(to="#admins", subject="S", body="<b>x</b>"))
    for _ in range(3):
        assert made.matrix(4000) is made.matrix(4000)
        assert made.matrix(5000) == made.matrix(4000)
        assert made.slack(3900) is made.slack(3900)
        assert made.mail is made.mail
        assert made.short_text(400) is made.short_text(400)
    assert sorted(calls) == ["compose_within", "read_body", "to_mail", "to_matrix", "to_matrix", "to_slack"]


@pytest.mark.parametrize(
    ("subject", "body", "with_link", "short"),
    [
        ("Order 42 failed", "<b>Card</b> declined", True,
         "Order 42 failed\nCard declined\nOpen order: https://shop.example.org/orders/42?a=1&b=2"),
        (None, "<p>One</p><p>Two</p>", False, "One\n\nTwo"),
        ("Only this", None, False, "Only this"),
        (None, "<script>x</script>", False, "(This message has nothing to show.)"),
        ("\u2028 \n", "x", False, "x"),
    ],
)  # fmt: skip
def test_short_texts(subject: str | None, body: str | None, with_link: bool, short: str) -> None:
    assert rendered(body, subject, LINK if with_link else None).short_text(400) == short


def test_a_short_text_keeps_the_address_when_it_fits() -> None:
    made = rendered("word " * 500, "Subject " * 10, LINK)
    for limit in range(3, 400):
        text = made.short_text(limit)
        assert len(text.encode()) <= limit
        assert text.endswith(LINK.url) == (limit >= len(LINK.url))


@examples
@given(st.one_of(soup, any_text), any_text, any_text, st.integers(50, 500), st.booleans())
def test_nothing_that_comes_in_raises(raw: str, subject: str, link_text: str, limit: int, as_text: bool) -> None:
    made = rendered(raw, subject, LINK.model_copy(update={"text": link_text}), text=as_text)
    text = made.short_text(limit)
    assert LINK.url in text
    assert len(text.encode()) <= limit
    assert made.matrix(4000).body
    assert made.slack(3900).text
    assert made.mail.subject
