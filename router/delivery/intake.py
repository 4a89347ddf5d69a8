"""From rows of the feed to deliveries in their lanes, each row once, with a ticket that says when it is done."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial

import structlog

from router.couch.database import Database
from router.couch.deliveries import find_deliveries
from router.couch.feed import FeedBatch, FeedRow
from router.couch.patience import Patience
from router.delivery.cancellation import Cancellation
from router.delivery.conflicts import Conflicts
from router.delivery.dispatcher import Dispatcher
from router.delivery.job import Job
from router.delivery.novelty import Novelty
from router.delivery.reconcile import Remaining, remaining
from router.delivery.recorder import Recorder
from router.delivery.router import Request, Router
from router.delivery.verdict import may_have_been_sent
from router.delivery.watermark import Ticket, Watermark
from router.documents.delivery import PREFIX, Delivery, Status
from router.documents.json_types import JsonObject
from router.documents.message import is_message
from router.documents.prefixes import NO_MESSAGES
from router.documents.timestamps import from_text, utc_now
from router.metrics import Metrics
from router.rendering.rendered import Rendered
from router.routing.route import Routed, refuse

ROWS_AT_ONCE = 50
"""Rows whose delivery documents are looked for in one request: the first are to be sent while CouchDB looks for the others."""
ROWS_AT_FIRST = 10
"""And so many at the start, twice as many with each request that follows: what waits then has waited long enough."""
ROWS_AT_A_STRETCH = 10
"""After so many of them it is the turn of those who send."""

log = structlog.stdlib.get_logger("router.intake")


class Intake:
    """Takes batches of the feed in order. Slow when CouchDB is: that is what holds the feed back."""

    def __init__(
        self,
        database: Database,
        router: Router,
        dispatcher: Dispatcher,
        recorder: Recorder,
        watermark: Watermark,
        patience: Patience,
        metrics: Metrics,
        novelty: Novelty,
        *,
        max_row_bytes: int,
        may_have_been_sent: Collection[str] = (),
        rows_in_doubt: int = 0,
    ) -> None:
        """Where the last router ended without warning, `rows_in_doubt` is how many rows of the feed it may have read already
        and recorded nothing of; what it sent of them on the channels `may_have_been_sent` nobody can tell."""
        self._database = database
        self._router = router
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._watermark = watermark
        self._open: dict[str, Ticket] = {}
        self._patience = patience
        self._metrics = metrics
        self._novelty = novelty
        self._max_row_bytes = max_row_bytes
        self._may_have_been_sent = may_have_been_sent
        self._rows_in_doubt = rows_in_doubt
        self._rows_at_once = ROWS_AT_FIRST
        self._conflicts = Conflicts(database, patience)
        self._cancellation = Cancellation(database, dispatcher, recorder, patience)

    async def take(self, batch: FeedBatch) -> None:
        """Route the batch and hand its deliveries on. Returns once each has its place: a lane's window, or CouchDB."""
        await self._router.changed(batch.rows)
        rows = batch.rows
        while rows:
            await self._take(rows[: self._rows_at_once])
            rows = rows[self._rows_at_once :]
            self._rows_at_once = min(2 * self._rows_at_once, ROWS_AT_ONCE)
        if batch.last_seq is not None:
            self._watermark.add(batch.last_seq)

    async def _take(self, rows: list[FeedRow]) -> None:
        came_at = asyncio.get_running_loop().time()
        # First of all: what was sent on the other side must not be sent again.
        await self._heal(rows)
        # Of a message whose deliveries are on their way, not all have documents yet that would show that it was routed. It
        # is noted before those documents are looked for: what is on its way then, or has a document after, is not new.
        on_their_way = set(self._open)
        latest = {row.id: row for row in rows if self._concerns_us(row) and row.id not in on_their_way}
        routed = await self._route(list(latest.values()))
        old = [row for row in latest.values() if not self._novelty.is_new(row.id, row.rev)]
        existing = await self._existing(old)
        refusals: list[asyncio.Future[None]] = []
        for number, row in enumerate(rows):
            if number and number % ROWS_AT_A_STRETCH == 0:
                await asyncio.sleep(0)
            self._novelty.passed(row.id)
            if latest.get(row.id) is not row:
                self._watermark.add(row.seq)
                continue
            rest = remaining(routed[row.id], row.id, row.rev, existing.get(row.id, {}))
            refusals += await self._hand_on(row, routed[row.id], rest, came_at)
        self._rows_in_doubt = max(0, self._rows_in_doubt - len(rows))
        self._note_waiting(rows)
        await self._see_to_deletions(rows)
        # A message that is refused may be corrected at once: the correction must find the refusal.
        await asyncio.gather(*refusals)

    async def _heal(self, rows: list[FeedRow]) -> None:
        """Make one of each delivery document that replication left in several revisions."""
        conflicts = [row.id for row in rows if row.conflicts and row.id.startswith(PREFIX)]
        if conflicts:
            healed = self._conflicts.healed
            await self._conflicts.heal(conflicts)
            self._metrics.conflict_merged(self._conflicts.healed - healed)

    def _note_waiting(self, rows: list[FeedRow]) -> None:
        """Note the deliveries that wait: somebody else may have written them, `router retry` for one. What was in conflict has
        a row of its own once it is merged."""
        for row in rows:
            if row.waiting is not None and not row.conflicts and not self._dispatcher.holds(row.waiting[0], row.id):
                self._dispatcher.note_waiting(row.waiting[0], _moment(row.waiting[1]))

    async def _see_to_deletions(self, rows: list[FeedRow]) -> None:
        deleted = [row.id for row in rows if row.deleted and not row.id.startswith(NO_MESSAGES)]
        if deleted:
            await self._cancellation.cancel(deleted)

    def _concerns_us(self, row: FeedRow) -> bool:
        if row.id.startswith(NO_MESSAGES) or row.id in self._router.own_ids:
            return False
        if row.document is None:
            return row.oversized_bytes is not None or row.unreadable is not None
        return is_message(row.document)

    async def _route(self, rows: list[FeedRow]) -> dict[str, Routed]:
        """Route each row. The feed is not in write order: before a group is called unknown, the mapping is read afresh."""
        routed = {row.id: refused for row in rows if (refused := self._refused(row)) is not None}
        readable = [row for row in rows if row.id not in routed]
        routed.update(await self._route_all(readable))
        unroutable = [row for row in readable if (r := routed[row.id].refusal) and r.status is Status.UNROUTABLE]
        if unroutable and await self._router.mapping.refresh():
            routed.update(await self._route_all(unroutable))
        return routed

    async def _route_all(self, rows: list[FeedRow]) -> dict[str, Routed]:
        routed = await self._router.route([Request({**(row.document or {}), "_id": row.id}) for row in rows])
        return {row.id: each for row, each in zip(rows, routed, strict=True)}

    def _refused(self, row: FeedRow) -> Routed | None:
        """What there is to say of a row whose document was not read; None for all others."""
        now = utc_now()
        if row.unreadable is not None:
            return Routed(None, refusal=refuse(row.id, row.rev, now, "unreadable", row.unreadable))
        if row.document is None:
            reason = (
                f"the document takes {row.oversized_bytes} bytes in the feed, more than "
                f"ROUTER_FEED__MAX_ROW_BYTES ({self._max_row_bytes}), so it was not read; if it is a message, "
                "write a smaller one"
            )
            return Routed(None, refusal=refuse(row.id, row.rev, now, "too_large", reason))
        return None

    async def _existing(self, rows: list[FeedRow]) -> dict[str, dict[str, Delivery]]:
        """The delivery documents that the messages have already, by message and id; those of an earlier mapping too."""
        if not rows:
            return {}
        return await self._patience.until_done(
            "looking for deliveries", lambda: find_deliveries(self._database, [row.id for row in rows])
        )

    def _close(self, ticket: Ticket, message_id: str) -> None:
        self._watermark.close(ticket)
        if ticket.open <= 0 and self._open.get(message_id) is ticket:
            del self._open[message_id]

    async def _hand_on(
        self, row: FeedRow, routed: Routed, rest: Remaining, came_at: float
    ) -> list[asyncio.Future[None]]:
        """See that everything in `rest` is done; what is still being written of refusals."""
        refused: list[asyncio.Future[None]] = []
        count = len(rest.deliveries) + (rest.refusal is not None) + (rest.outdated is not None)
        ticket = self._watermark.add(row.seq, count)
        close = partial(self._close, ticket, row.id)
        self._novelty.routed(row.id)
        if count:
            self._open[row.id] = ticket
        if rest.refusal is not None:
            error = rest.refusal.error
            log.warning(
                "message not routed",
                message_id=row.id,
                status=str(rest.refusal.status),
                reason=error.reason if error else None,
            )
            self._metrics.message("unroutable" if rest.refusal.status is Status.UNROUTABLE else "refused")
            written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.append(written)
            await self._recorder.submit(rest.refusal, partial(_both, close, written))
        if routed.message is not None and rest.deliveries:
            content = Rendered(routed.message.content)
            log.info(
                "message routed", message_id=row.id, targets=len(rest.deliveries), event_name=content.content.event
            )
            self._metrics.message("routed")
            for delivery, target in rest.deliveries:
                if self._rows_in_doubt and delivery.channel in self._may_have_been_sent:
                    may_have_been_sent(delivery)
                await self._dispatcher.submit(Job(delivery, target, content, on_recorded=close, came_at=came_at))
            taken_seconds = asyncio.get_running_loop().time() - came_at
            self._metrics.tracing.routed(row.id, len(rest.deliveries), taken_seconds)
        if rest.outdated is not None:
            await delete_delivery(self._database, rest.outdated, self._patience)
            close()
        return refused


def _both(close: Callable[[], None], written: asyncio.Future[None]) -> None:
    close()
    if not written.done():
        written.set_result(None)


async def delete_delivery(database: Database, delivery: Delivery, patience: Patience) -> None:
    """Delete the document about a message as a whole, now that the message can be routed. A newer one stays."""
    tombstone: JsonObject = {"_id": delivery.id, "_rev": delivery.rev, "_deleted": True}
    await patience.until_done("deleting an outdated document", lambda: database.bulk([tombstone]))


def _moment(due: str) -> datetime:
    try:
        return from_text(due)
    except ValueError:
        return utc_now()
