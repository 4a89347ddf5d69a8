"""The two documents of a lease, read and written with short timeouts: who holds it, and the holder's heartbeat."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from router.couch.errors import Unreachable
from router.couch.holder import Process
from router.couch.tenure import RENEWALS, Standing, read_standing
from router.documents.json_types import JsonObject
from router.documents.timestamps import to_text, utc_now

T = TypeVar("T")

LEASE_ID: Final = "router:lease"
"""An ordinary document, unlike the checkpoint: CouchDB does not look at the revision that a `_local` document is written over
(measured with 3.5.2: a stale one wins), and here that is all that matters. It is written when the lease changes hands."""
HEARTBEAT: Final = "notification-router-heartbeat-{}"
"""The heartbeats go to `_local` documents, which are no rows in anybody's feed and keep no history. As revisions of an ordinary
document they cost 58 KB of disk each (measured with 3.5.2, which keeps 1,000 of them): 1.5 GB a day until it is compacted."""
HEARTBEATS: Final = 8
"""So many such documents take turns: what a holder of long ago still had on its way must not hide a heartbeat of today's."""
REQUEST_SHARE: Final = 1 / RENEWALS
"""How long one request about the lease may take, as a part of the lease."""


class Documents(Protocol):
    """What a lease needs of a `Database`; all methods as there."""

    async def get(self, doc_id: str) -> JsonObject | None: ...  # noqa: D102
    async def put(self, doc: JsonObject) -> str: ...  # noqa: D102
    async def get_local(self, name: str) -> JsonObject | None: ...  # noqa: D102
    async def put_local(self, name: str, doc: JsonObject) -> str: ...  # noqa: D102


class LeaseStore:
    """The documents as one router reads and writes them. Each method may raise any CouchError."""

    def __init__(self, database: Documents, holder: str, process: Process | None, duration_seconds: float) -> None:
        self._database = database
        self._holder = holder
        self._process = process
        self._duration_seconds = duration_seconds
        self._beats = 0

    async def read(self) -> Standing:
        """Who holds the lease; without the heartbeat."""
        return read_standing(await self._in_time(self._database.get(LEASE_ID)))

    async def read_all(self) -> Standing:
        """Who holds the lease, with the heartbeat where that matters."""
        standing = await self.read()
        if standing.holder is None or standing.released:
            return standing
        beat = await self._in_time(self._database.get_local(_heartbeat_name(standing.turn)))
        is_the_holders = beat is not None and beat.get("holder") == standing.holder
        return replace(standing, heartbeat=beat.get("count") if beat is not None and is_the_holders else None)

    async def write(self, rev: str | None, turn: int, acquired_at: str, *, released: bool = False) -> str:
        """Write that the lease is ours (or was) over `rev`, None where there is no document; the new revision. Raises
        Conflict when `rev` is not the latest."""
        document: JsonObject = {
            "_id": LEASE_ID,
            **({} if rev is None else {"_rev": rev}),
            "type": "lease",
            "holder": self._holder,
            "process": self._process.to_document() if self._process else None,
            "turn": turn,
            "acquired_at": acquired_at,
            "updated_at": to_text(utc_now()),
            "duration_seconds": self._duration_seconds,
            "released": released,
        }
        return await self._in_time(self._database.put(document))

    async def beat(self, turn: int) -> None:
        """Show that we live. Says nothing of whether the lease is ours."""
        self._beats += 1
        beat: JsonObject = {"holder": self._holder, "count": self._beats, "at": to_text(utc_now())}
        await self._in_time(self._database.put_local(_heartbeat_name(turn), beat))

    async def _in_time(self, call: Awaitable[T]) -> T:
        """Raises Unreachable when there is no answer in time: sooner than with other requests, which can wait."""
        timeout_seconds = self._duration_seconds * REQUEST_SHARE
        try:
            async with asyncio.timeout(timeout_seconds):
                return await call
        except TimeoutError:
            raise Unreachable(
                f"CouchDB did not answer within {timeout_seconds:.3g} s about the document {LEASE_ID}: see that it runs, "
                "or set ROUTER_LEASE__DURATION_SECONDS to more"
            ) from None


def _heartbeat_name(turn: int) -> str:
    return HEARTBEAT.format(turn % HEARTBEATS)
