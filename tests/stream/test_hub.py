"""Live streams on a real feed: who is told of what, what they may have open, and what becomes of the slow."""

import asyncio
import gc
import json

import pytest

from router.couch.database import Database
from router.settings import ApiSettings, CouchDBSettings
from router.stream.errors import TooManyStreams, TooManyStreamsInAll, TooManyStreamsOfUser
from router.stream.events import Kind
from router.stream.hub import Hub
from tests.peers.feed import until
from tests.stream.devices import Device, change, hub_on, mark, notification, write


async def test_both_devices_of_a_user_hear_of_it_and_nobody_else(
    couchdb_settings: CouchDBSettings, database: Database
) -> None:
    async with hub_on(couchdb_settings, database) as hub:
        phone, desk, bob = Device(hub, "alice"), Device(hub, "alice"), Device(hub, "bob")
        near = Device(hub, "alice2")
        async with phone.listening(), desk.listening(), bob.listening(), near.listening():
            await write(database, {"_id": "order-1", "content": {}}, {"_id": "delivery:x", "type": "delivery"})
            (first,) = await write(database, notification("alice", title="Hi", type="chats"))
            await until(lambda: len(phone.told) == len(desk.told) == 1)
            await mark(database, "alice", first)
            await until(lambda: len(phone.told) == len(desk.told) == 2)
            await mark(database, "alice", first, read=False)
            await change(database, "alice", first, deleted_at="2026-11-21T08:27:00Z")
            (last,) = await write(database, notification("bob"))
            await until(lambda: len(bob.told) == 1 and len(phone.told) >= 3 and phone.told[-1][0] == "deleted")
            await until(lambda: phone.told == desk.told)
        assert phone.told[:2] == [("message", first, False), ("read", first, True)]
        # Two changes in a row may come as one.
        assert phone.told[2:] in (
            [("read", first, False), ("deleted", first, None)],
            [("deleted", first, None)],
        )
        assert bob.told == [("message", last, False)]
        assert near.told == []
        data = json.loads(phone.browser.messages[0].data)
        assert (data["title"], data["type"]) == ("Hi", "chats")


async def test_a_customers_notifications_only_for_those_who_belong_to_it(
    couchdb_settings: CouchDBSettings, database: Database
) -> None:
    async with hub_on(couchdb_settings, database) as hub:
        some, none, every = (
            Device(hub, "alice", frozenset({"acme"})),
            Device(hub, "alice", frozenset()),
            Device(hub, "alice"),
        )
        async with some.listening(), none.listening(), every.listening():
            theirs, other, common = await write(
                database,
                notification("alice", customer_id="acme"),
                notification("alice", customer_id="other"),
                notification("alice"),
            )
            await until(lambda: len(every.told) == 3)
            await mark(database, "alice", other)
            await mark(database, "alice", theirs)
            await mark(database, "alice", common)
            await until(lambda: len(every.told) == 6)
            await until(lambda: len(some.told) == 4 and len(none.told) == 2)
        assert {its_id for _, its_id, _ in some.told} == {theirs, common}
        assert {its_id for _, its_id, _ in none.told} == {common}
        # What somebody else is told of moves nobody's place beyond what they were told: all three come back to nothing.
        for device in (some, none, every):
            before = list(device.told)
            async with device.listening():
                (last,) = await write(database, notification("alice"))
                await until(lambda device=device, last=last: ("message", last, False) in device.told)  # type: ignore[misc]
            assert device.told == [*before, *device.told[len(before) :]]
            assert {its_id for _, its_id, _ in device.told[len(before) :]}.isdisjoint({theirs, other, common})


async def test_a_document_that_is_gone_and_one_that_is_damaged(
    couchdb_settings: CouchDBSettings, database: Database
) -> None:
    async with hub_on(couchdb_settings, database) as hub:
        alice = Device(hub, "alice")
        async with alice.listening():
            (gone,) = await write(database, notification("alice"))
            await until(lambda: len(alice.told) == 1)
            await write(database, {"_id": "notification:alice:x", "user": "alice"}, notification("alice", title=5))
            await change(database, "alice", gone, _deleted=True)
            await until(lambda: len(alice.told) == 2)
        assert alice.told[1] == ("deleted", gone, None)


async def test_what_is_injected_goes_to_those_who_are_connected(
    couchdb_settings: CouchDBSettings, database: Database
) -> None:
    async with hub_on(couchdb_settings, database) as hub:
        phone, desk, bob = Device(hub, "alice"), Device(hub, "alice", frozenset({"acme"})), Device(hub, "bob")
        async with phone.listening(), desk.listening(), bob.listening():
            place = phone.browser.last_event_id
            assert hub.inject(["alice", "carol", "alice"], {"id": "x", "read": False}) == 2
            assert hub.inject(["alice"], {"id": "y", "read": False}, customer_id="other") == 1
            await until(lambda: len(phone.told) == 2 and len(desk.told) == 1)
            assert phone.browser.messages[0].last_event_id == place
        assert phone.told == [("message", "x", False), ("message", "y", False)]
        assert bob.told == []
        assert hub.inject(["alice"], {"id": "z"}) == 0
        with pytest.raises((TypeError, ValueError)):
            hub.inject(["alice"], {"id": float("nan"), "x": 2**70})


async def test_an_idle_stream_shows_that_it_lives_and_where_it_is(
    couchdb_settings: CouchDBSettings, database: Database
) -> None:
    async with hub_on(couchdb_settings, database) as hub:
        alice = Device(hub, "alice")
        async with alice.listening():
            await until(lambda: alice.browser.comments >= 3)
            before = alice.browser.last_event_id
            assert before
            # Whoever is told nothing for long need not be looked for far back.
            await write(database, notification("bob"))
            await until(lambda: alice.browser.last_event_id != before)
        assert alice.told == []


async def test_limits(database: Database) -> None:
    hub = Hub(ApiSettings(streams_per_user=2, streams=3), database)
    first, second = hub.subscribe("alice", None), hub.subscribe("alice", None)
    with pytest.raises(TooManyStreamsOfUser, match="you have 2 streams open"):
        hub.subscribe("alice", None)
    third = hub.subscribe("bob", None)
    with pytest.raises(TooManyStreamsInAll, match="try again later"):
        hub.subscribe("carol", None)
    with pytest.raises(TooManyStreams):
        hub.subscribe("alice", None)
    assert (hub.streams, hub.users) == (3, 2)
    await first.aclose()
    await first.aclose()
    assert (hub.streams, hub.users) == (2, 2)
    async with hub.subscribe("alice", None):
        assert hub.streams == 3
    for stream in (second, third):
        await stream.aclose()
    assert (hub.streams, hub.users) == (0, 0)


async def test_a_stream_that_nobody_ever_read_or_closed_frees_its_place(database: Database) -> None:
    hub = Hub(ApiSettings(streams_per_user=1), database)
    hub.subscribe("alice", None, "garbage")
    gc.collect()
    assert hub.streams == 0


async def test_a_slow_client_is_cut_off_and_catches_up(couchdb_settings: CouchDBSettings, database: Database) -> None:
    async with hub_on(couchdb_settings, database, stream_buffer=10) as hub:
        slow, quick = Device(hub, "alice"), Device(hub, "alice")
        async with quick.listening(keep=True), hub.subscribe("alice", None) as stream:
            slow.browser.last_event_id = (await anext(stream)).id or ""
            ids: list[str] = []
            for _ in range(30):
                ids += await write(database, notification("alice"))
                await until(lambda: len(quick.told) == len(ids))  # noqa: B023 - awaited at once
            # It ends at once, without what it had not taken.
            async with asyncio.timeout(5):
                assert [event async for event in stream] == []
            assert quick.ends == 0
        async with slow.listening():
            await until(lambda: len(slow.told) == 30)
        # Shards may mix them.
        assert sorted(its_id for _, its_id, _ in slow.told) == sorted(ids)


async def test_who_comes_before_the_feed_is_open_waits_and_hears_all_that_follows(
    couchdb_settings: CouchDBSettings, database: Database
) -> None:
    hub = Hub(ApiSettings(stream_heartbeat_seconds=0.1), database)
    async with hub.subscribe("alice", None) as early, hub.subscribe("alice", None, "garbage") as back:
        assert (await anext(early)).kind is Kind.HEARTBEAT
        assert (await anext(early)).id is None
        hub.begin(await database.identity(), (await database.info())["update_seq"], lambda: True)
        while (event := await anext(early)).id is None:
            assert event.kind is Kind.HEARTBEAT
        assert (await anext(back)).kind is Kind.RESET
        hub.end_all()
        assert [event async for event in early] == []
        assert [event async for event in back] == []
