"""In-app notifications in a real database: what they show, that a repeat makes no second one, and what a failure is called."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from router.channels.base import Outcome, Outgoing, Rejected, Retry, Scope, Sent, TargetError
from router.channels.inapp import KIND
from router.channels.inapp.channel import InAppChannel
from router.channels.inapp.targets import inbox_of, parse_target
from router.couch.database import Database
from router.couch.setup import setup
from router.documents.json_types import JsonValue
from router.documents.message import Content
from router.documents.notification import read_notification
from router.rendering.rendered import Rendered
from router.settings import CouchDBSettings, InAppSettings
from tests.couch.guarded import Guarded, guarded_database
from tests.servers.couchdb import CouchServer

ROUTED_AT = datetime(2026, 11, 21, 8, 27, 1, 234567, tzinfo=UTC)


@pytest.fixture
async def channel(database: Database) -> AsyncIterator[InAppChannel]:
    await setup(database, "ccs.notifications")
    opened = InAppChannel(InAppSettings(), database)
    yield opened
    await opened.close()


def outgoing(user: str = "alice", /, **content: JsonValue) -> Outgoing:
    said = Content.model_validate({"to": f"@{user}", "body": "<b>Card</b> declined", **content})
    return Outgoing("delivery:m", uuid4(), inbox_of(user), "#a", Rendered(said), ROUTED_AT, "order-42", ROUTED_AT)


async def test_a_notification_says_what_the_message_does(database: Database, channel: InAppChannel) -> None:
    about: dict[str, JsonValue] = {
        "type": "orders", "event": "failed", "customer_id": "acme", "rec_type": "order", "rec_id": "42",
    }  # fmt: skip
    one = outgoing(subject="Order 42 ", link={"url": "https://example.org/42", "text": "Open"}, **about)
    outcome = await channel.send(one)
    assert isinstance(outcome, Sent)
    document = await database.get(str(outcome.reference))
    assert document is not None
    found = read_notification(document)
    assert found is not None
    assert {key: document[key] for key in about} == about
    assert (found.user, found.title, found.content, found.read) == ("alice", "Order 42", "<b>Card</b> declined", False)
    assert (found.link_url, found.link_text) == ("https://example.org/42", "Open")
    assert (found.message_id, found.created_at) == ("order-42", ROUTED_AT.replace(microsecond=234000))


async def test_a_repeat_finds_the_first_one_there_read_as_it_is(database: Database, channel: InAppChannel) -> None:
    one = outgoing()
    first = await channel.send(one)
    assert isinstance(first, Sent)
    document = await database.get(str(first.reference))
    assert document is not None
    await database.put({**document, "read": True})
    assert await channel.send(one) == first
    assert (await database.get(str(first.reference)) or {})["read"] is True
    other = await channel.send(replace(one, uuid=uuid4()))
    assert isinstance(other, Sent)
    assert other.reference != first.reference


@pytest.mark.parametrize(
    ("content", "title", "shown"),
    [
        ({"body": "Card declined"}, "Card declined", ""),
        ({"body": "Card declined\nCall the bank"}, "Card declined", "<p>Card declined<br>Call the bank</p>"),
        ({"body": "x", "subject": "One\nline"}, "One line", "<p>x</p>"),
        ({"body": "<script>alert(1)</script><img src=x onerror=alert(1)><p onclick=a>Hi</p>"}, "Hi", "<p>Hi</p>"),
        ({"body": "a < b & <c>", "format": "text"}, "a < b & <c>", ""),
        ({"body": "a < b", "format": "text", "subject": "<b>s</b>"}, "<b>s</b>", "<p>a &lt; b</p>"),
        ({"body": "w " * 100}, "w " * 39 + "w…", "<p>" + "w " * 100 + "</p>"),
    ],
)  # fmt: skip
async def test_what_it_shows(
    database: Database, channel: InAppChannel, content: dict[str, JsonValue], title: str, shown: str
) -> None:
    sent = await channel.send(outgoing(**content))
    assert isinstance(sent, Sent)
    document = await database.get(str(sent.reference)) or {}
    assert (document["title"], document["content"]) == (title, shown)


async def test_a_long_one_is_shortened_to_what_is_set(database: Database) -> None:
    channel = InAppChannel(InAppSettings(max_content_bytes=100), database)
    sent = await channel.send(outgoing(body="<p>" + "ü" * 10_000 + "</p>"))
    await channel.close()
    assert isinstance(sent, Sent)
    content = str((await database.get(str(sent.reference)) or {})["content"])
    assert content.startswith("<p>üüü")
    assert content.endswith("…</p>")
    assert 90 < len(content.encode()) <= 100


async def test_many_at_once_go_in_few_requests(database: Database) -> None:
    sizes: list[int] = []
    bulk = database.bulk

    async def counting(docs, /):  # type: ignore[no-untyped-def]  # as Database.bulk
        sizes.append(len(docs))
        return await bulk(docs)

    database.bulk = counting  # type: ignore[method-assign]
    channel = InAppChannel(InAppSettings(), database)
    outcomes = await asyncio.gather(*(channel.send(outgoing(f"u{n}")) for n in range(450)))
    await channel.close()
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert len({outcome.reference for outcome in outcomes if isinstance(outcome, Sent)}) == 450
    assert sizes == [200, 200, 50]


async def test_a_couchdb_that_is_not_there_is_asked_again_later(unused_tcp_port: int) -> None:
    async with Database(CouchDBSettings(url=f"http://127.0.0.1:{unused_tcp_port}")) as nowhere:
        channel = InAppChannel(InAppSettings(), nowhere)
        outcome = await channel.send(outgoing())
        await channel.close()
    assert isinstance(outcome, Retry)
    assert outcome.host_is_down


@pytest.fixture
def guarded(couchdb_server: CouchServer) -> Iterator[Guarded]:
    with guarded_database(couchdb_server) as guarded:
        yield guarded


def test_what_couchdb_refuses_is_for_an_admin(guarded: Guarded) -> None:
    async def send() -> Outcome:
        async with Database(guarded.settings("app")) as app:
            channel = InAppChannel(InAppSettings(), app)
            outcome = await channel.send(outgoing())
            await channel.close()
            return outcome

    outcome = asyncio.run(send())
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code) == (Scope.CHANNEL, "forbidden")
    assert "needs the role notification-router" in outcome.reason


@pytest.mark.parametrize("value", ["alice", "@alice"])
def test_a_target_is_a_user(value: str) -> None:
    assert parse_target(value, InAppSettings()).address == "alice"


@pytest.mark.parametrize("value", ["", "@", "a b", "a:b", 5, {"user": "alice"}])
def test_what_is_no_user_is_refused(value: JsonValue) -> None:
    with pytest.raises(TargetError, match="must be the id of a user"):
        parse_target(value, InAppSettings())


def test_it_can_be_switched_off() -> None:
    assert KIND.missing(InAppSettings()) is None
    assert KIND.missing(InAppSettings(enabled=False)) == "the in-app inbox is off: set ROUTER_INAPP__ENABLED=true"
