"""Users' devices on a hub that follows a real feed, and what is written for them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

from router.couch.database import Database
from router.documents.json_types import JsonObject, JsonValue
from router.documents.notification import notification_document_id, notification_id
from router.documents.timestamps import to_text, utc_now
from router.settings import ApiSettings, CouchDBSettings
from router.stream.events import encode
from router.stream.follower import Follower
from router.stream.hub import Hub
from tests.couch.following import quick_settings
from tests.peers.feed import until
from tests.stream.browser import Browser, Message

QUIET = {"stream_heartbeat_seconds": 0.1}


@dataclass
class Device:
    """One browser of a user: connects, keeps what it is told, reconnects with the last id."""

    hub: Hub
    user: str
    customers: frozenset[str] | None = None
    browser: Browser = field(default_factory=Browser)
    is_open: bool = False
    """Whether it has had a block of the stream that it has open."""
    ends: int = 0
    """How often the stream has ended by itself."""

    @property
    def told(self) -> list[tuple[str, str, bool | None]]:
        """What it was told, shortened: kind, id, read."""
        return [shortened(message) for message in self.browser.messages]

    async def listen(self, most: int | None = None) -> None:
        """One connection, until it ends, or for so many messages."""
        async with self.hub.subscribe(self.user, self.customers, self.browser.last_event_id or None) as stream:
            try:
                count = 0
                async for event in stream:
                    count += len(self.browser.receive(encode(event)))
                    self.is_open = True
                    if most is not None and count >= most:
                        return
                self.ends += 1
            finally:
                self.is_open = False

    async def keep_listening(self) -> None:
        """Reconnect for ever."""
        while True:
            await self.listen()
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def listening(self, *, keep: bool = False) -> AsyncIterator["Device"]:
        """Connected for the time of the block."""
        task = asyncio.create_task(self.keep_listening() if keep else self.listen())
        try:
            await until(lambda: self.is_open or task.done())
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def shortened(message: Message) -> tuple[str, str, bool | None]:
    data = json.loads(message.data)
    return message.type, data.get("id", ""), data.get("read")


@asynccontextmanager
async def hub_on(couchdb: CouchDBSettings, database: Database, **settings: float) -> AsyncIterator[Hub]:
    """A hub that follows the feed of `couchdb`, and reads `database` for those who reconnect."""
    hub = Hub(ApiSettings.model_validate(QUIET | settings), database)
    follower = Follower(couchdb, quick_settings(), database, hub)
    task = asyncio.create_task(follower.run())
    try:
        await until(lambda: hub.place is not None or task.done())
        yield hub
        assert not task.done(), "the follower ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def notification(user: str, **fields: JsonValue) -> JsonObject:
    """A document that a delivery becomes, made now."""
    now = utc_now()
    document_id = notification_document_id(user, notification_id(now, uuid4()))
    return {"_id": document_id, "user": user, "title": "Hi", "created_at": to_text(now), **fields}


async def write(database: Database, *documents: JsonObject) -> list[str]:
    """Write them; their notifications' ids."""
    results = await database.bulk(documents)
    assert all(result.rev for result in results.values())
    return [str(document["_id"]).rpartition(":")[2] for document in documents]


async def change(database: Database, user: str, its_id: str, **fields: JsonValue) -> None:
    """Write it over with some fields changed."""
    document = await database.get(notification_document_id(user, its_id))
    assert document is not None
    await database.put({**document, **fields})


async def mark(database: Database, user: str, its_id: str, *, read: bool = True) -> None:
    """Mark it read or unread."""
    await change(database, user, its_id, read=read, read_at=to_text(utc_now()) if read else None)


async def inbox_of(database: Database, user: str) -> dict[str, bool]:
    """What stands there: the read state by id."""
    found = await database.ids_between(f"notification:{user}:", f"notification:{user}:\ufff0")
    return {str(doc["_id"]).rpartition(":")[2]: cast("bool", doc.get("read", False)) for doc in found}
