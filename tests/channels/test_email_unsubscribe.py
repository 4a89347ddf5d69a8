"""The links in mails by which users unsubscribe: who has one, what it means, and that nobody else can make one."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from router.channels.base import Outgoing, Target
from router.channels.email.compose import Sender, compose
from router.channels.email.mailbox import read_address
from router.channels.email.unsubscribe import MAX_LINK_CHARS, UnsubscribeLinks, Wish, unsubscribe_links
from router.documents.message import Content
from router.rendering.rendered import Rendered

SECRET = SecretStr("s" * 32)
LINKS = UnsubscribeLinks("https://notify.example.org/", SECRET)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SENDER = read_address("router@example.org")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def outgoing(user: str | None = "alice", group: str = "#team", **content: str) -> Outgoing:
    said = Content.model_validate({"to": "#team", "body": "x", **content})
    target = Target("email", "alice@example.org", "alice@example.org")
    return Outgoing("delivery:x", UUID(int=0), target, group, Rendered(said), NOW, "x", NOW, user=user)


def headers(of: Outgoing, links: UnsubscribeLinks | None = LINKS) -> dict[str, str]:
    mail = compose(of, SENDER, Sender(SENDER, "example.org", links))
    return dict(message_from_bytes(mail.content, policy=policy.SMTP).items())


def test_a_mail_to_a_user_has_both_headers_and_the_link_means_the_user() -> None:
    found = headers(outgoing(type="chats", customer_id="acme"))
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = found["List-Unsubscribe"]
    assert link.startswith("<https://notify.example.org/unsubscribe/")
    assert LINKS.read(link.rstrip(">").rpartition("/")[2]) == Wish("alice", "acme", "chats")


@pytest.mark.parametrize(
    ("of", "links"),
    [
        (outgoing(None), LINKS),
        (outgoing(), None),
        (replace(outgoing(), is_mandatory=True), LINKS),
        (
            outgoing("u" * 200, type="t" * 200, customer_id="c" * 200),
            UnsubscribeLinks("https://x.example/" + "p" * 200, SECRET),
        ),
    ],
    ids=["a mailbox of the mapping", "not set", "mandatory", "too long for a header"],
)
def test_a_mail_without_a_link(of: Outgoing, links: UnsubscribeLinks | None) -> None:
    assert not any(name.startswith("List-Unsubscribe") for name in headers(of, links))


@pytest.mark.parametrize(
    ("group", "kind", "list_id"),
    [
        ("#team", "chats", '"#team" <team.example.org>'),
        ("@alice", "chats", '"#chats" <chats.example.org>'),
        ("@alice", None, '"#notifications" <notifications.example.org>'),
    ],
)
def test_the_list_of_a_mail_to_a_user_is_what_it_is_about(group: str, kind: str | None, list_id: str) -> None:
    assert headers(outgoing(group=group, **({} if kind is None else {"type": kind})))["List-Id"] == list_id


@given(user=TEXTS, customer=st.none() | TEXTS, group=st.none() | TEXTS)
def test_a_link_is_read_as_it_was_made_and_fits_an_address(user: str, customer: str | None, group: str | None) -> None:
    token = LINKS.token(Wish(user, customer, group))
    assert LINKS.read(token) == Wish(user, customer, group)
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(at=st.integers(0, 200), to=st.characters(codec="ascii"))
def test_a_link_that_was_changed_is_none(at: int, to: str) -> None:
    token = LINKS.token(Wish("alice", "acme", "chats"))
    changed = token[: at % len(token)] + to + token[at % len(token) + 1 :]
    try:
        assert LINKS.read(changed) == Wish("alice", "acme", "chats"), "another meaning"
    except ValueError as error:
        assert str(error) == "this link is not one of ours, or was cut off on its way"  # noqa: PT017
    for bad in (
        "",
        token[:-3],
        token + "A",
        "ü",
        UnsubscribeLinks("https://x", SecretStr("t" * 32)).token(Wish("alice", None, None)),
    ):
        with pytest.raises(ValueError, match="not one of ours"):
            LINKS.read(bad)


def test_a_link_fits_a_header_line() -> None:
    link = LINKS.link_for(outgoing("u" * 100, type="t" * 100, customer_id="c" * 100))
    assert link is not None
    assert len(link) < MAX_LINK_CHARS


@pytest.mark.parametrize(
    ("url", "secret", "says"),
    [
        ("https://x.example", None, "set ROUTER_EMAIL__UNSUBSCRIBE_SECRET too"),
        (None, "s" * 32, "set ROUTER_EMAIL__UNSUBSCRIBE_URL too"),
        ("x.example", "s" * 32, "ROUTER_EMAIL__UNSUBSCRIBE_URL must be an address"),
        ("https://x.example/?a", "s" * 32, "ROUTER_EMAIL__UNSUBSCRIBE_URL must be an address"),
        ("https://x.example", "s" * 31, "ROUTER_EMAIL__UNSUBSCRIBE_SECRET must have at least 32 bytes"),
    ],
)
def test_settings_that_make_no_links(url: str | None, secret: str | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        unsubscribe_links(url, None if secret is None else SecretStr(secret))
