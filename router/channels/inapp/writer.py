"""Writes documents that come one by one in batches, and tells each sender what became of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from router.couch.database import BulkResult
from router.couch.errors import CouchError
from router.documents.json_types import JsonObject

LINGER_SECONDS: Final = 0.005
"""How long the first document of a batch waits for company."""
MAX_BATCH: Final = 200
"""Most documents in one request."""


class BatchWriter:
    """At most one request under way. What comes meanwhile goes with the next; whoever sends waits, so that is bounded."""

    def __init__(self, bulk: Callable[[Sequence[JsonObject]], Awaitable[Mapping[str, BulkResult]]]) -> None:
        """`bulk` writes many documents at once, and raises CouchError."""
        self._bulk = bulk
        self._waiting: dict[str, tuple[JsonObject, asyncio.Future[BulkResult]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def write(self, document: JsonObject) -> BulkResult:
        """Write `document`, which has an `_id`. Raises CouchError when its request failed."""
        doc_id = str(document["_id"])
        waiting = self._waiting.get(doc_id)
        if waiting is None:
            waiting = self._waiting[doc_id] = (document, asyncio.get_running_loop().create_future())
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="in-app writer")
        # Whoever waits may give up; others may wait for the same one.
        return await asyncio.shield(waiting[1])

    async def close(self) -> None:
        """Write nothing more; those who wait are cancelled."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for _, future in self._waiting.values():
            future.cancel()
        self._waiting.clear()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(LINGER_SECONDS)
                await self._write_some()
        finally:
            self._task = None

    async def _write_some(self) -> None:
        batch = {doc_id: self._waiting.pop(doc_id) for doc_id in list(self._waiting)[:MAX_BATCH]}
        try:
            results = await self._bulk([document for document, _ in batch.values()])
        except CouchError as error:
            for _, future in batch.values():
                if not future.done():
                    future.set_exception(error)
                    # Where nobody waits any more, nobody need be told.
                    future.exception()
            return
        except asyncio.CancelledError:
            for _, future in batch.values():
                future.cancel()
            raise
        for doc_id, (_, future) in batch.items():
            if not future.done():
                future.set_result(results.get(doc_id, BulkResult(None, "missing", "CouchDB did not answer for it")))
