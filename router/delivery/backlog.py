"""Reads back, when a lane has room, the deliveries that wait in CouchDB, in the order of their next attempt."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from pydantic import ValidationError

from router.channels.base import Target
from router.couch import design
from router.couch.database import Database, ViewRow
from router.couch.errors import CouchError
from router.couch.patience import Patience
from router.delivery.job import Job
from router.delivery.lane import Lane
from router.delivery.reading_back import read_back
from router.delivery.recorder import Recorder
from router.delivery.verdict import cancel, fail, interrupted, open_intent, was_attempted
from router.delivery.waiting import wait_for
from router.documents.delivery import Delivery
from router.documents.json_types import JsonObject, JsonValue
from router.documents.message import MessageDocument
from router.documents.problems import problems_of
from router.documents.recipient import recipient_id
from router.documents.timestamps import from_text, utc_now
from router.rendering.rendered import Rendered

T = TypeVar("T")

POLL_SECONDS = 60.0
"""How often a lane's backlog is looked at when nothing is known to be due. What somebody else writes (router retry) the feed
tells; this is for what it does not."""
FULL_LANE_SECONDS = 0.05
"""How often a full lane is looked at for room."""
MOST_AT_ONCE = 500
"""Deliveries read back in one go."""
SLICE = 25
"""Deliveries whose messages are read in one request: a message may be of several megabytes."""
PRIME_TIMEOUT_SECONDS = 2.0
"""How long the start waits to learn which targets have deliveries waiting; the index may have to be built first."""
PRIME_ROWS = 5000
"""Of how many waiting deliveries the start asks that."""
CRITICAL, ORDINARY = 0, 1
"""The two parts of a lane's index."""
SHORTEST_STEP = timedelta(milliseconds=1)
"""The least that a document can show."""
CRITICAL_SHARE = 0.75
"""How much of the room critical deliveries may take while others are due too."""


class Backlog:
    """One lane's waiting deliveries."""

    def __init__(
        self,
        lane: Lane,
        database: Database,
        recorder: Recorder,
        patience: Patience,
        find_targets: Callable[[Collection[Delivery]], Awaitable[dict[str, Target]]],
    ) -> None:
        self._lane = lane
        self._database = database
        self._recorder = recorder
        self._patience = patience
        self._find_targets = find_targets
        self._next: datetime | None = None
        self._kick = asyncio.Event()
        self._line_ends: dict[tuple[str, bool], datetime] = {}
        """By `target_hash` and whether they are critical: first attempts wait in CouchDB, and when the last of them is due."""
        self._spills = 0
        self._being_put_off: dict[str, Job] = {}
        """Deliveries on their way to CouchDB, where they stand with an earlier time or not at all."""
        self._is_looking = False
        self._just_put_off: set[str] = set()
        """Those that have arrived there since this look began: what it found of them is old news. Their ids, and no more: the
        index may have to be built first, while thousands arrive."""
        self._oldest_just_put_off: dict[tuple[str, bool], datetime] = {}
        """When the oldest first attempt of each line among them was made."""

    def is_ahead_of(self, job: Job) -> bool:
        """Whether deliveries for the same target wait in CouchDB, so that a new one must queue up behind them."""
        return bool(self._line_ends) and _line_of(job) in self._line_ends

    def note_waiting(self, due: datetime) -> None:
        """A delivery of this lane has been written that is due at `due`."""
        if self._next is None or due < self._next:
            self._next = due
            self._kick.set()

    async def spill(self, job: Job) -> None:
        """Let a new delivery that has no place in the window wait in CouchDB, behind those of its target that wait there, and
        before those that come after. Waits while the recorder has no room."""
        line, due = _line_of(job), job.delivery.next_attempt_at or job.delivery.created_at
        if line in self._line_ends:
            # Many may have been routed within the same millisecond. They are read back in the order in which they are due.
            due = max(due, self._line_ends[line] + SHORTEST_STEP)
        self._line_ends[line] = job.delivery.next_attempt_at = due
        self._spills += 1
        await self.put_off(job)

    async def put_off(self, job: Job) -> None:
        """Let a delivery that the lane has given a later time wait in CouchDB. Waits while the recorder has no room."""
        self._being_put_off[job.delivery.id] = job
        await self._recorder.submit(job.delivery, partial(self._was_put_off, job))

    def _was_put_off(self, job: Job) -> None:
        self._being_put_off.pop(job.delivery.id, None)
        if self._is_looking:
            self._just_put_off.add(job.delivery.id)
            _note_oldest(self._oldest_just_put_off, job)
        job.recorded()
        if job.delivery.next_attempt_at is not None:
            self.note_waiting(job.delivery.next_attempt_at)

    async def prime(self) -> None:
        """At the start: find out for which targets a first attempt waits in CouchDB. Where that takes too long, new
        deliveries do not wait for those of an earlier run."""
        try:
            async with asyncio.timeout(PRIME_TIMEOUT_SECONDS):
                rows = await self._rows(["lane", self._lane.name], PRIME_ROWS)
        except (TimeoutError, CouchError):
            return
        for row in rows:
            if not row.value:
                line, due = (_target_of(row.id), _is_critical(row)), _due_of(row)
                self._line_ends[line] = max(due, self._line_ends.get(line, due))

    async def run(self) -> None:
        """Read back what is due until cancelled."""
        while True:
            self._kick.clear()
            if self._lane.has_much_room and await self._look():
                continue
            await self._sleep()

    async def _sleep(self) -> None:
        seconds = POLL_SECONDS
        if self._next is not None:
            until_due = (self._next - utc_now()).total_seconds()
            # A full lane is looked at again soon: it tells nobody when it gets room.
            seconds = min(seconds, max(until_due, 0.0 if self._lane.has_much_room else FULL_LANE_SECONDS))
        if seconds > 0:
            await wait_for(self._kick, seconds)

    async def _rows(self, start: list[JsonValue], limit: int) -> list[ViewRow]:
        """What the index has from `start` on, as far as that is what the keys begin with."""
        return await self._database.view(
            design.NAME, design.UNFINISHED, start_key=start, end_key=[*start, {}], limit=limit
        )

    async def _look(self) -> bool:
        """Offer what is due to the lane. True when more may be due at once."""
        self._is_looking = True
        try:
            return await self._read()
        finally:
            self._is_looking = False
            self._just_put_off.clear()
            self._oldest_just_put_off.clear()
            self._lane.forget_departures()

    async def _read(self) -> bool:
        began, spills, all_written = utc_now(), self._spills, not self._being_put_off
        departed = self._lane.watch_departures()
        room = min(self._lane.room, MOST_AT_ONCE)
        limit = self._lane.held + room + 1
        self._next = None
        critical, ordinary = await asyncio.gather(
            *(
                self._ask(
                    "reading the deliveries that wait", partial(self._rows, ["lane", self._lane.name, part], limit)
                )
                for part in (CRITICAL, ORDINARY)
            )
        )
        urgent, urgent_later, more_urgent = self._due(critical, limit, departed)
        others, later, more_others = self._due(ordinary, limit, departed)
        if others:
            urgent_room = max(1, int(room * CRITICAL_SHARE))
            more_urgent = more_urgent or len(urgent) > urgent_room
            del urgent[urgent_room:]
        due = urgent + others
        more = more_urgent or more_others or len(due) > room
        offered = 0
        deliveries = await self._deliveries([row.id for row in due[:room]])
        for start in range(0, len(deliveries), SLICE):
            done, is_incomplete = await self._offer(deliveries[start : start + SLICE], departed)
            offered += done
            if is_incomplete:
                more = True
                break
        if more:
            # Where nothing could be offered, what is due is about to leave the window or to be written: no hurry.
            self.note_waiting(utc_now() + timedelta(seconds=0 if offered else FULL_LANE_SECONDS))
        else:
            for moment in (urgent_later, later):
                if moment is not None:
                    self.note_waiting(moment)
        if not more and all_written and spills == self._spills:
            self._line_ends = {line: end for line, end in self._line_ends.items() if end > began}
        return more and offered > 0

    def _due(self, rows: list[ViewRow], limit: int, departed: set[str]) -> tuple[list[ViewRow], datetime | None, bool]:
        """Which of `rows` are due and not in the lane; when the first of the others is; and whether more than `rows` may be."""
        now = utc_now()
        due: list[ViewRow] = []
        for row in rows:
            if self._is_old_news(row.id, departed):
                continue
            moment = _due_of(row)
            if moment > now:
                return due, moment, False
            due.append(row)
        return due, None, len(rows) == limit

    async def _deliveries(self, ids: list[str]) -> list[Delivery]:
        """What these documents say, the critical ones first, and the oldest first of each kind."""
        documents = await self._ask("reading delivery documents", lambda: self._database.get_many(ids))
        read = await read_back((documents[i] for i in ids if i in documents), self._recorder)
        deliveries = [d for d in read if not d.status.is_final and d.channel == self._lane.name]
        return sorted(deliveries, key=lambda d: (d.priority != "critical", d.created_at))

    async def _offer(self, deliveries: list[Delivery], departed: set[str]) -> tuple[int, bool]:
        """Offer these deliveries to the lane; how many found a place there or elsewhere, and whether some did not."""
        message_ids = {delivery.message_id for delivery in deliveries}
        messages = await self._ask("reading messages again", lambda: self._database.get_many(message_ids))
        targets = await self._find_targets(deliveries)
        rendered: dict[str, Rendered] = {}
        unseen, has_held_back = self._oldest_unseen(), False
        done = 0
        for delivery in deliveries:
            # Between the question and the answer it may have been sent: what CouchDB said then is old news.
            if self._is_old_news(delivery.id, departed):
                continue
            job = self._job(delivery, targets.get(delivery.id), messages, rendered)
            if (
                job is not None
                and not was_attempted(delivery)
                and unseen.get(_line_of(job), delivery.created_at) < delivery.created_at
            ):
                has_held_back = True
                continue
            if job is None:
                await self._recorder.write(delivery)
            elif self._lane.must_wait(job):
                self._lane.postpone(job)
                await self.put_off(job)
            elif not self._lane.offer(job):
                return done, True
            done += 1
        return done, has_held_back

    def _oldest_unseen(self) -> dict[tuple[str, bool], datetime]:
        """When the oldest first attempt of each line was made that this look could not find, or not as it is now. Those
        that came after it must not pass it."""
        oldest = dict(self._oldest_just_put_off)
        for job in self._being_put_off.values():
            _note_oldest(oldest, job)
        return oldest

    def _is_old_news(self, delivery_id: str, departed: set[str]) -> bool:
        """Whether what CouchDB says of a delivery has been overtaken since, or will be in a moment."""
        return (
            self._lane.holds(delivery_id)
            or delivery_id in departed
            or delivery_id in self._being_put_off
            or delivery_id in self._just_put_off
        )

    def _job(
        self,
        delivery: Delivery,
        target: Target | None,
        messages: dict[str, JsonObject],
        rendered: dict[str, Rendered],
    ) -> Job | None:
        """The job of a delivery; None when it has come to its end instead, which is written into it."""
        now = utc_now()
        document = messages.get(delivery.message_id)
        if document is None:
            cancel(delivery, now)
            return None
        intent = open_intent(delivery)
        if intent is not None:
            interrupted(delivery, intent.at, now, hold=self._lane.is_on_hold)
            if delivery.status.is_final:
                return None
        if delivery.message_id not in rendered:
            try:
                rendered[delivery.message_id] = Rendered(MessageDocument.model_validate(document).content)
            except ValidationError as error:
                fail(delivery, "malformed_message", "; ".join(map(str, problems_of(error))), now)
                return None
        if target is None:
            who = "the mapping" if delivery.user is None else recipient_id(delivery.user)
            reason = f"{who} no longer has the target {delivery.target}; put it back and run `router retry`"
            fail(delivery, "target_gone", reason, now)
            return None
        return Job(delivery, target, rendered[delivery.message_id], on_recorded=_nothing, is_recorded=True)

    async def _ask(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        return await self._patience.until_done(what, call)


def _note_oldest(oldest: dict[tuple[str, bool], datetime], job: Job) -> None:
    """Note when a first attempt was made, if it is the oldest of its line."""
    if not was_attempted(job.delivery):
        line, made = _line_of(job), job.delivery.created_at
        oldest[line] = min(made, oldest.get(line, made))


def _due_of(row: ViewRow) -> datetime:
    key = row.key
    try:
        return from_text(str(key[3])) if isinstance(key, list) else utc_now()
    except (ValueError, IndexError):
        # Somebody edited the document by hand; it is due.
        return utc_now()


def _is_critical(row: ViewRow) -> bool:
    return isinstance(row.key, list) and row.key[2] == CRITICAL


def _line_of(job: Job) -> tuple[str, bool]:
    return _target_of(job.delivery.id), job.is_critical


def _target_of(delivery_id: str) -> str:
    """The `target_hash` that the id ends with."""
    return delivery_id.rpartition(":")[2]


def _nothing() -> None:
    """A delivery that was read back has a document already."""
