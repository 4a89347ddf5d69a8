"""Clients that come and go leave nothing behind: no task, no place taken, no memory in the hub."""

import asyncio
import gc
import tracemalloc

from router.couch.database import Database
from router.settings import CouchDBSettings
from router.stream.hub import Hub
from router.stream.mailbox import Mailbox
from router.stream.stream import Stream
from tests.stream.devices import hub_on, notification, write

CLIENTS = 500
AT_ONCE = 50
SPARE_BYTES = 100_000


async def come_and_go(hub: Hub, number: int, last_event_id: str | None) -> None:
    """A client that leaves at once, in the middle of what it is told, while it waits, or without a word."""
    stream = hub.subscribe(f"user-{number % AT_ONCE}", None, last_event_id)
    if number % 4 == 0:
        return
    async with stream:
        if number % 4 == 1:
            return
        async for _ in stream:
            if number % 4 == 2:
                return
            async for _ in stream:
                return


async def all_of_them(hub: Hub, last_event_id: str | None) -> None:
    for start in range(0, CLIENTS, AT_ONCE):
        tasks = [
            asyncio.create_task(come_and_go(hub, number, last_event_id if number % 3 else None))
            for number in range(start, start + AT_ONCE)
        ]
        await asyncio.sleep(0)
        for task in tasks[::5]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_500_that_come_and_go_leave_nothing(couchdb_settings: CouchDBSettings, database: Database) -> None:
    async with hub_on(couchdb_settings, database, stream_heartbeat_seconds=0.1) as hub:
        assert hub.place is not None
        place = hub.place.event_id
        await write(database, *(notification(f"user-{number}") for number in range(AT_ONCE)))
        # Once to warm up what is kept for good: connections, caches.
        await all_of_them(hub, place)
        gc.collect()
        tasks = asyncio.all_tasks()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        await all_of_them(hub, place)
        # The last tasks' errors go with the next turn of the loop.
        await asyncio.sleep(0)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (hub.streams, hub.users) == (0, 0)
        assert asyncio.all_tasks() == tasks
        assert not [thing for thing in gc.get_objects() if isinstance(thing, (Mailbox, Stream))]
        assert after - before < SPARE_BYTES
