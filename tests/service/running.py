"""A router in the test's own event loop, on a real CouchDB, with channels that a test can see into."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from router.channels.registry import AnyKind
from router.couch.database import Database
from router.couch.mapping_store import STATUS_ID
from router.documents.json_types import JsonObject, JsonValue
from router.service import Service
from router.settings import ChannelSettings, CouchDBSettings, FeedSettings, HttpSettings, RetrySettings, Settings
from router.settings_loading import settings_model

MAPPING_ID = "ccs.notifications"
STOP_TIMEOUT_SECONDS = 30.0

QUICK_FEED = FeedSettings(heartbeat_seconds=1, checkpoint_interval_seconds=0.1, backoff_max_seconds=0.5)
QUICK_RETRY = RetrySettings(base_seconds=0.05, max_delay_seconds=0.2, max_retries=5, max_age_seconds=60)


def settings_for(
    couchdb: CouchDBSettings,
    kinds: Mapping[str, AnyKind],
    channel: ChannelSettings | None = None,
    **more: object,
) -> Settings:
    """Settings that make a router quick enough for tests; `channel` goes for each of the channels in `kinds`."""
    values: dict[str, object] = {
        "feed": QUICK_FEED,
        "pending_after_seconds": 0.3,
        "grace_seconds": 5,
        "http": HttpSettings(port=0),
        **more,
    }
    for name, kind in kinds.items():
        values[name] = channel or kind.settings_type(retry=QUICK_RETRY)
    return settings_model(kinds).model_validate({"couchdb": couchdb, **values})


@asynccontextmanager
async def running(
    settings: Settings, kinds: Mapping[str, AnyKind], *, since_now: bool = False
) -> AsyncIterator[Service]:
    """Run a router for the time of the block, and stop it as SIGTERM does."""
    service = Service(settings, kinds, since_now=since_now)
    # In a task group, a router that fails ends the test there and then.
    async with asyncio.TaskGroup() as group:
        task = group.create_task(service.run())
        try:
            yield service
        finally:
            service.stop()
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await task


@asynccontextmanager
async def running_until_killed(settings: Settings, kinds: Mapping[str, AnyKind]) -> AsyncIterator[Service]:
    """Run a router for the time of the block, and cut it off as far as a task can be: nothing is finished or recorded."""
    service = Service(settings, kinds)
    task = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Desk:
    """What apps and admins do with the database, and what they read in it."""

    database: Database

    async def map(self, mapping: JsonValue) -> str:
        """Write the mapping; gives its revision."""
        present = await self.database.get(MAPPING_ID)
        document: JsonObject = {"_id": MAPPING_ID, "mapping": mapping}
        if present is not None:
            document["_rev"] = present["_rev"]
        return await self.database.put(document)

    async def document(self, doc_id: str) -> JsonObject:
        """A document that is there."""
        found = await self.database.get(doc_id)
        assert found is not None, doc_id
        return found

    async def write(self, message_id: str, to: JsonValue, body: str = "hello", **content: JsonValue) -> str:
        """Write a message document; gives its revision."""
        return await self.database.put({"_id": message_id, "content": {"to": to, "body": body, **content}})

    async def deliveries(self, message_id: str | None = None) -> list[JsonObject]:
        """The delivery documents, of one message or all, by id."""
        documents = await self.database.ids_between("delivery:", "delivery:\ufff0")
        return [d for d in documents if message_id is None or d["message_id"] == message_id]

    async def until(
        self,
        condition: Callable[[list[JsonObject]], bool],
        message_id: str | None = None,
        timeout_seconds: float = 10,
    ) -> list[JsonObject]:
        """The delivery documents once they meet `condition`."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while True:
            found = await self.deliveries(message_id)
            if condition(found):
                return found
            assert asyncio.get_running_loop().time() < deadline, f"after {timeout_seconds} s still {found}"
            await asyncio.sleep(0.02)

    async def all_have(self, status: str, count: int, timeout_seconds: float = 10) -> list[JsonObject]:
        """The delivery documents once there are so many and all have this status."""
        return await self.until(
            lambda found: len(found) == count and all(d["status"] == status for d in found),
            timeout_seconds=timeout_seconds,
        )


def outcomes(delivery: JsonObject) -> list[str]:
    """How the attempts of a delivery document ended, oldest first."""
    attempts = delivery["attempts"]
    assert isinstance(attempts, list)
    return [str(attempt["outcome"]) for attempt in attempts if isinstance(attempt, dict)]


def error_code(delivery: JsonObject) -> str:
    """Why a delivery is not complete, as its document has it."""
    error = delivery["error"]
    assert isinstance(error, dict)
    return str(error["code"])


async def status_of_mapping(desk: Desk, status: str, timeout_seconds: float = 5) -> JsonObject:
    """The mapping's status document once it says `status`."""
    async with asyncio.timeout(timeout_seconds):
        while True:
            document = await desk.database.get(STATUS_ID)
            if document is not None and document["status"] == status:
                return document
            await asyncio.sleep(0.02)
