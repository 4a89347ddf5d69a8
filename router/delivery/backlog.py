"""Reads back, when a lane has room, the deliveries that wait in CouchDB, in the order of their next attempt."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from pydantic import ValidationError

from router.channels.base import Target
from router.couch import design
from router.couch.database import Database, ViewRow
from router.couch.patience import Patience
from router.delivery.job import Job
from router.delivery.lane import Lane
from router.delivery.reading_back import read_back
from router.delivery.recorder import Recorder
from router.delivery.verdict import fail, interrupted, open_intent
from router.documents.delivery import Delivery, Status
from router.documents.json_types import JsonObject
from router.documents.message import MessageDocument
from router.documents.problems import problems_of
from router.documents.timestamps import from_text, utc_now
from router.rendering.rendered import Rendered

T = TypeVar("T")

POLL_SECONDS = 5.0
"""How often a lane's backlog is looked at when nothing is known to be due: somebody else may have written (router retry)."""
FULL_LANE_SECONDS = 0.05
"""How often a full lane is looked at for room."""
MOST_AT_ONCE = 500
"""Deliveries read back in one go."""
SLICE = 25
"""Deliveries whose messages are read in one request: a message may be of several megabytes."""


class Backlog:
    """One lane's waiting deliveries."""

    def __init__(
        self,
        lane: Lane,
        database: Database,
        recorder: Recorder,
        patience: Patience,
        find_target: Callable[[Delivery], Target | None],
    ) -> None:
        self._lane = lane
        self._database = database
        self._recorder = recorder
        self._patience = patience
        self._find_target = find_target
        self._next: datetime | None = None
        self._kick = asyncio.Event()
        self._spilled_targets: set[str] = set()
        self._spills = 0
        self._unwritten = 0

    def is_ahead_of(self, job: Job) -> bool:
        """Whether deliveries for the same target wait in CouchDB, so that a new one must queue up behind them."""
        return job.target.identity in self._spilled_targets

    def note_waiting(self, due: datetime) -> None:
        """A delivery of this lane has been written that is due at `due`."""
        if self._next is None or due < self._next:
            self._next = due
            self._kick.set()

    async def spill(self, job: Job) -> None:
        """Let a delivery that has no place in the window wait in CouchDB. Waits while the recorder has no room."""
        self._spilled_targets.add(job.target.identity)
        self._unwritten += 1
        self._spills += 1
        await self._recorder.submit(job.delivery, partial(self._spilled, job))

    def _spilled(self, job: Job) -> None:
        self._unwritten -= 1
        job.recorded()
        if job.delivery.next_attempt_at is not None:
            self.note_waiting(job.delivery.next_attempt_at)

    async def run(self) -> None:
        """Read back what is due until cancelled."""
        while True:
            self._kick.clear()
            if self._lane.room and await self._read():
                continue
            await self._sleep()

    async def _sleep(self) -> None:
        seconds = POLL_SECONDS
        if self._next is not None:
            until_due = (self._next - utc_now()).total_seconds()
            # A full lane is looked at again soon: it tells nobody when it gets room.
            seconds = min(seconds, max(until_due, FULL_LANE_SECONDS if not self._lane.room else 0.0))
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._kick.wait()
        except TimeoutError:
            return

    async def _read(self) -> bool:
        """Offer what is due to the lane. True when more may be due at once."""
        spills, all_written = self._spills, not self._unwritten
        departed = self._lane.watch_departures()
        room = min(self._lane.room, MOST_AT_ONCE)
        limit = self._lane.held + room + 1
        self._next = None
        rows = await self._ask(
            "reading the deliveries that wait",
            lambda: self._database.view(
                design.NAME,
                design.UNFINISHED,
                start_key=["lane", self._lane.name],
                end_key=["lane", self._lane.name, {}],
                limit=limit,
            ),
        )
        now = utc_now()
        due: list[ViewRow] = []
        later: datetime | None = None
        for row in rows:
            if self._lane.holds(row.id) or row.id in departed:
                continue
            moment = _due_of(row)
            if moment > now:
                later = moment
                break
            due.append(row)
        more = len(due) > room or (len(rows) == limit and later is None)
        offered = 0
        for start in range(0, min(len(due), room), SLICE):
            ids = [row.id for row in due[start : min(start + SLICE, room)]]
            done, is_full = await self._offer(ids, departed)
            offered += done
            if is_full:
                more = True
                break
        if more:
            # Where nothing could be offered, what is due is about to leave the window or to be written: no hurry.
            self.note_waiting(utc_now() + timedelta(seconds=0 if offered else FULL_LANE_SECONDS))
        elif later is not None:
            self.note_waiting(later)
        if not more and all_written and spills == self._spills:
            self._spilled_targets.clear()
        return more and offered > 0

    async def _offer(self, ids: list[str], departed: set[str]) -> tuple[int, bool]:
        """Offer these deliveries to the lane; how many found a place there or elsewhere, and whether it was
        full before the last."""
        documents = await self._ask("reading delivery documents", lambda: self._database.get_many(ids))
        read = await read_back((documents[i] for i in ids if i in documents), self._recorder)
        deliveries = [d for d in read if not d.status.is_final and d.channel == self._lane.name]
        message_ids = {delivery.message_id for delivery in deliveries}
        messages = await self._ask("reading messages again", lambda: self._database.get_many(message_ids))
        rendered: dict[str, Rendered] = {}
        done = 0
        for delivery in deliveries:
            # Between the question and the answer it may have been sent: what CouchDB said then is old news.
            if self._lane.holds(delivery.id) or delivery.id in departed:
                continue
            job = self._job(delivery, messages, rendered)
            if job is None:
                await self._recorder.write(delivery)
            elif self._lane.must_wait(job):
                self._lane.postpone(job)
                await self._recorder.submit(delivery, partial(self._postponed, delivery))
            elif not self._lane.offer(job):
                return done, True
            done += 1
        return done, False

    def _postponed(self, delivery: Delivery) -> None:
        if delivery.next_attempt_at is not None:
            self.note_waiting(delivery.next_attempt_at)

    def _job(self, delivery: Delivery, messages: dict[str, JsonObject], rendered: dict[str, Rendered]) -> Job | None:
        """The job of a delivery; None when it has come to its end instead, which is written into it."""
        now = utc_now()
        document = messages.get(delivery.message_id)
        if document is None:
            fail(delivery, "message_deleted", "the message document was deleted", now, Status.CANCELLED)
            return None
        intent = open_intent(delivery)
        if intent is not None:
            interrupted(delivery, intent.at, now)
            return None
        if delivery.message_id not in rendered:
            try:
                rendered[delivery.message_id] = Rendered(MessageDocument.model_validate(document).content)
            except ValidationError as error:
                fail(delivery, "malformed_message", "; ".join(map(str, problems_of(error))), now)
                return None
        target = self._find_target(delivery)
        if target is None:
            reason = f"the mapping no longer has the target {delivery.target}; put it back and run `router retry`"
            fail(delivery, "target_gone", reason, now)
            return None
        return Job(delivery, target, rendered[delivery.message_id], on_recorded=_nothing, is_recorded=True)

    async def _ask(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        return await self._patience.until_done(what, call)


def _due_of(row: ViewRow) -> datetime:
    key = row.key
    try:
        return from_text(str(key[2])) if isinstance(key, list) else utc_now()
    except (ValueError, IndexError):
        # Somebody edited the document by hand; it is due.
        return utc_now()


def _nothing() -> None:
    """A delivery that was read back has a document already."""
