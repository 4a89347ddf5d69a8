"""A client that reconnects with its last event's id: no gap, no repeat."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack, suppress

import pytest

from router.couch.database import Database
from router.settings import CouchDBSettings
from router.stream import catch_up
from tests.peers.feed import until
from tests.servers.couchdb import CouchServer
from tests.stream.devices import Device, change, hub_on, inbox_of, mark, notification, write

SEED = 20261121
DEVICES = 3
WRITES = 80


async def test_what_came_meanwhile_is_told_once_and_in_order(
    couchdb_settings: CouchDBSettings, database: Database
) -> None:
    async with hub_on(couchdb_settings, database) as hub:
        alice = Device(hub, "alice")
        async with alice.listening():
            (old,) = await write(database, notification("alice"))
            await until(lambda: len(alice.told) == 1)
    one, two, three = (
        (await write(database, notification("alice")))[0],
        (await write(database, notification("alice")))[0],
        (await write(database, notification("alice")))[0],
    )
    await write(database, notification("bob"), {"_id": "order-1"})
    await mark(database, "alice", two)
    await mark(database, "alice", two, read=False)
    await mark(database, "alice", two)
    await change(database, "alice", three, deleted_at="2026-11-21T08:27:00Z")
    # Another process, or the same one started again.
    async with hub_on(couchdb_settings, database) as hub:
        alice.hub = hub
        async with alice.listening():
            await until(lambda: len(alice.told) >= 4)
            (last,) = await write(database, notification("alice"))
            await until(lambda: len(alice.told) >= 5)
        assert alice.told[0] == ("message", old, False)
        # The first row of each stands where it was last changed; shards may mix them.
        assert sorted(alice.told[1:4]) == sorted(
            [("message", one, False), ("message", two, True), ("deleted", three, None)]
        )
        assert alice.told[4:] == [("message", last, False)]
        async with alice.listening():
            await until(lambda: alice.browser.comments > 10)
        assert len(alice.told) == 5


async def test_before_the_first_event_too(couchdb_settings: CouchDBSettings, database: Database) -> None:
    async with hub_on(couchdb_settings, database) as hub:
        alice = Device(hub, "alice")
        async with alice.listening():
            pass
        (missed,) = await write(database, notification("alice"))
        async with alice.listening():
            await until(lambda: alice.told == [("message", missed, False)])
        # Without an id there is nothing to catch up with.
        fresh = Device(hub, "alice")
        async with fresh.listening():
            await until(lambda: fresh.browser.comments > 2)
        assert fresh.told == []


@pytest.mark.parametrize(
    "garbage",
    ["x", "0", "5-g1AAAA", "x" * 100_000, "{database}.0.garbage", "{database}.99999.99-abc", "00000000.1.0", "é\n"],
)
async def test_garbage_is_told_to_fetch_the_list(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, database: Database, garbage: str
) -> None:
    await write(database, notification("alice"), notification("bob"))
    async with hub_on(couchdb_settings, database) as hub:
        assert hub.place is not None
        alice = Device(hub, "alice")
        alice.browser.last_event_id = garbage.replace("{database}", hub.place.database)
        async with alice.listening():
            if couchdb_server.kind == "couchdb" or not garbage.startswith("{"):
                await until(lambda: alice.told == [("reset", "", None)])
            (last,) = await write(database, notification("alice"))
            await until(lambda: ("message", last, False) in alice.told)
        # PouchDB Server takes anything for a seq: then there is nothing to tell.
        assert len(alice.told) <= 2
        async with alice.listening():
            await until(lambda: alice.browser.comments > 5)
        assert len(alice.told) <= 2


async def test_who_missed_too_much_is_told_to_fetch_the_list(
    couchdb_settings: CouchDBSettings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "MOST_MISSED", 20)
    async with hub_on(couchdb_settings, database) as hub:
        just, more = Device(hub, "alice"), Device(hub, "alice")
        async with just.listening():
            pass
        await write(database, *(notification("alice") for _ in range(20)))
        more.browser.last_event_id = just.browser.last_event_id
        async with just.listening():
            await until(lambda: len(just.told) == 20)
        await write(database, notification("alice"))
        async with more.listening():
            # What the feed has not told yet when a stream begins comes live, and will be in the list as well.
            await until(lambda: more.told[:1] == [("reset", "", None)])
            (last,) = await write(database, notification("alice"))
            await until(lambda: ("message", last, False) in more.told)
        assert len(more.told) <= 3


async def test_a_seq_of_a_database_that_was_dropped(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, database: Database
) -> None:
    async with hub_on(couchdb_settings, database) as hub:
        alice = Device(hub, "alice")
        async with alice.listening():
            await write(database, notification("alice"))
            await until(lambda: len(alice.told) == 1)
    await database.session._delete(f"/{database.name}")
    # `instance_start_time` counts seconds: two databases of one second and one name cannot be told apart.
    await asyncio.sleep(1.1)
    await database.create_database()
    await write(database, *(notification("alice") for _ in range(3)))
    async with hub_on(couchdb_settings, database) as hub:
        alice.hub = hub
        async with alice.listening():
            await until(lambda: alice.told[1:] == [("reset", "", None)])


async def test_no_gap_and_no_repeat_however_often_they_reconnect(couchdb_server: CouchServer) -> None:
    """Devices that are cut off all the time, on two hubs as behind a load balancer, while notifications come and are marked."""
    choice = random.Random(SEED)  # noqa: S311
    with couchdb_server.fresh_database(shards=4) as name:
        settings = couchdb_server.settings(name)
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database(settings))
            hubs = [await stack.enter_async_context(hub_on(settings, database, stream_buffer=20)) for _ in range(2)]
            devices = [Device(choice.choice(hubs), "alice") for _ in range(DEVICES)]
            bob = Device(hubs[0], "bob")
            changed: set[str] = set()
            is_writing = True

            async def restless(device: Device) -> None:
                while is_writing:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(choice.uniform(0.005, 0.2)):
                            await device.listen(choice.randint(1, 12))
                    device.hub = choice.choice(hubs)
                    await asyncio.sleep(choice.uniform(0, 0.05))

            async def write_all() -> None:
                for turn in range(WRITES):
                    count = choice.randint(1, 4)
                    ids = await write(
                        database,
                        *(notification("alice") for _ in range(count)),
                        *(notification("bob") for _ in range(choice.randint(0, 1))),
                        {"_id": f"delivery:{turn}", "type": "delivery"},
                    )
                    if choice.random() < 0.4:
                        marked = choice.choice(ids[:count])
                        changed.add(marked)
                        await mark(database, "alice", marked)

            async with bob.listening(keep=True):
                # Each must have been somewhere before the first is written.
                for device in devices:
                    await device_opened(device)
                restless_ones = [asyncio.create_task(restless(device)) for device in devices]
                try:
                    await write_all()
                finally:
                    is_writing = False
                    await asyncio.gather(*restless_ones)
                inbox = await inbox_of(database, "alice")
                for device in devices:
                    async with device.listening(keep=True):
                        await until(lambda device=device: read_states(device) == inbox)  # type: ignore[misc]
            for device in devices:
                told = Counter(device.told)
                assert max(told.values()) == 1, [event for event, times in told.items() if times > 1]
                kinds = {its_id: [kind for kind, other, _ in device.told if other == its_id] for its_id in inbox}
                assert all(kinds[its_id] == ["message"] for its_id in inbox.keys() - changed)
                # One made shortly before the place where a device was cut off may come as a notification once more, when it
                # has changed since: it cannot be known whether the device was told of it.
                expected = (["message"], ["message", "read"], ["message", "message"])
                assert not {its_id: kinds[its_id] for its_id in changed if kinds[its_id] not in expected}
            assert {its_id for _, its_id, _ in bob.told} == set(await inbox_of(database, "bob"))
            assert all(kind == "message" for kind, _, _ in bob.told)


async def device_opened(device: Device) -> None:
    async with device.listening():
        assert device.browser.last_event_id


def read_states(device: Device) -> dict[str, bool | None]:
    return {its_id: read for _, its_id, read in device.told}
