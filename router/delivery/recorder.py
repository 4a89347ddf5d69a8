"""Writes delivery documents: in batches, each until it stands in CouchDB, merged where somebody else wrote too."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import structlog

from router.couch.database import BulkResult, Database
from router.couch.patience import Complaint, Patience
from router.delivery.merge import merge
from router.delivery.novelty import Novelty
from router.delivery.waiting import wait_for
from router.documents.delivery import Delivery
from router.documents.json_types import JsonObject
from router.documents.reading import read_delivery
from router.metrics import Metrics

log = structlog.stdlib.get_logger("router.recorder")

MAX_BATCH = 200
"""Documents in one `_bulk_docs`."""
MAX_WAITING = 1000
"""Documents that may wait to be written; past that, whoever submits one waits."""
LINGER_SECONDS = 0.05
"""How long a batch waits for company at least."""
LONGEST_LINGER_SECONDS = 0.25
"""And at most. In between, as long as CouchDB took for the last one: a request costs it about as much as a dozen documents do
(measured with 3.5.2: some 20 ms of CPU time against 1.6), so that many small ones leave it no time for anything else."""
REFUSED_PAUSE_SECONDS = 5.0
"""Pause before a document that CouchDB refused is offered again."""


def _nothing() -> None:
    """Nobody waits for it."""


@dataclass(eq=False, slots=True)
class _Write:
    delivery: Delivery
    then: list[Callable[[], None]] = field(default_factory=list)


class Recorder:
    """One writer for all lanes. A document submitted twice before it is written is written once, as it stands then."""

    def __init__(self, database: Database, patience: Patience, metrics: Metrics, novelty: Novelty) -> None:
        self._database = database
        self._patience = patience
        self._metrics = metrics
        self._novelty = novelty
        self._waiting: dict[str, _Write] = {}
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        """Set when there is enough for a batch."""
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._complaint = Complaint("writing a delivery document")

    async def submit(self, delivery: Delivery, then: Callable[[], None] = _nothing) -> None:
        """Have `delivery` written, and `then()` called once it stands in CouchDB. Waits only while there is no room."""
        while len(self._waiting) >= MAX_WAITING and delivery.id not in self._waiting:
            self._room.clear()
            await self._room.wait()
        write = self._waiting.setdefault(delivery.id, _Write(delivery))
        if write.delivery.message_id != delivery.message_id:
            _complain_of_another(delivery, write.delivery.message_id)
            then()
            return
        if write.delivery is not delivery:
            # A second view of the same delivery, read back from CouchDB: what we hold must not be lost.
            delivery.attempts = merge(delivery, write.delivery).attempts
            write.delivery = delivery
        write.then.append(then)
        self._idle.clear()
        self._arrived.set()
        if len(self._waiting) >= MAX_BATCH:
            self._full.set()

    async def write(self, delivery: Delivery) -> None:
        """Have `delivery` written and wait until it is."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self.submit(delivery, lambda: None if done.done() else done.set_result(None))
        await done

    async def flush(self) -> None:
        """Wait until everything submitted so far is written. Does not return while CouchDB is away: give it a deadline."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        clock, linger_seconds = asyncio.get_running_loop().time, LINGER_SECONDS
        while True:
            if not self._waiting:
                self._idle.set()
                self._arrived.clear()
                await self._arrived.wait()
            if len(self._waiting) < MAX_BATCH:
                self._full.clear()
                await wait_for(self._full, linger_seconds)
            began = clock()
            await self._write_batch(self._next_batch())
            linger_seconds = min(max(LINGER_SECONDS, clock() - began), LONGEST_LINGER_SECONDS)

    def _next_batch(self) -> list[_Write]:
        batch = [self._waiting.pop(delivery_id) for delivery_id in list(islice(self._waiting, MAX_BATCH))]
        for write in batch:
            self._novelty.wrote(write.delivery.id)
        self._room.set()
        self._metrics.recorder_batch(len(batch))
        return batch

    async def _write_batch(self, batch: list[_Write]) -> None:
        while batch:
            documents: list[JsonObject] = [write.delivery.to_document() for write in batch]

            async def write_them(documents: list[JsonObject] = documents) -> dict[str, BulkResult]:
                return await self._database.bulk(documents)

            results = await self._patience.until_done("writing delivery documents", write_them)
            conflicts: list[_Write] = []
            for write in batch:
                result = results.get(write.delivery.id)
                if result is not None and result.rev is not None:
                    write.delivery.rev = result.rev
                    if write.delivery.channel is not None:
                        self._metrics.ended(write.delivery.channel, write.delivery.status)
                    self._written(write)
                elif result is not None and result.error == "conflict":
                    conflicts.append(write)
                else:
                    self._refused(write, result)
            if not conflicts:
                self._complaint.over()
                return
            batch = await self._adopt(conflicts)

    def _written(self, write: _Write) -> None:
        for then in write.then:
            then()

    def _refused(self, write: _Write, result: BulkResult | None) -> None:
        """Offer the document again later, out of the way of the others."""
        self._metrics.recorder_refused()
        reason = (result.reason or result.error) if result else "no answer for it"
        self._complaint.trouble(
            f"CouchDB refuses {write.delivery.id}: {reason}; the router's user needs the role notification-router "
            "(`router setup` gives it)"
        )
        asyncio.get_running_loop().call_later(REFUSED_PAUSE_SECONDS, self._offer_again, write)

    def _offer_again(self, write: _Write) -> None:
        newer = self._waiting.setdefault(write.delivery.id, write)
        if newer is not write:
            newer.then += write.then
        self._idle.clear()
        self._arrived.set()

    async def _adopt(self, conflicts: list[_Write]) -> list[_Write]:
        """Merge what stands in CouchDB into what we are about to write; gives what there is still to write."""
        ids = [write.delivery.id for write in conflicts]
        found = await self._patience.until_done(
            "reading delivery documents that somebody else wrote", lambda: self._database.get_many(ids)
        )
        ours: list[_Write] = []
        for write in conflicts:
            document = found.get(write.delivery.id)
            if document is None:
                # Deleted in between: its tombstone wants no revision.
                write.delivery.rev = None
                ours.append(write)
                continue
            message_id = document.get("message_id")
            if isinstance(message_id, str) and message_id != write.delivery.message_id:
                _complain_of_another(write.delivery, message_id)
                self._written(write)
                continue
            merged = merge(write.delivery, read_delivery(document))
            self._metrics.conflict_merged()
            log.info("merged a delivery document", delivery_id=write.delivery.id, message_id=merged.message_id)
            for name in Delivery.model_fields:
                setattr(write.delivery, name, getattr(merged, name))
            ours.append(write)
        return ours


def _complain_of_another(delivery: Delivery, message_id: str) -> None:
    """A message that is called as the deliveries of another one are has their documents' ids for its own."""
    log.error(
        "a delivery document has the id of another message's; that one stays, and this one is not written: give "
        "messages ids that do not look like those of deliveries",
        delivery_id=delivery.id,
        message_id=delivery.message_id,
        kept_message_id=message_id,
    )
