"""Hands each delivery to its channel's lane, or to the lane's backlog when it would hold up the others."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime
from functools import partial
from random import Random

from router.channels.base import Target
from router.couch.database import Database
from router.couch.patience import Patience
from router.delivery.attempt import OpenChannel
from router.delivery.backlog import SHORTEST_STEP, Backlog
from router.delivery.job import Job
from router.delivery.lane import Lane
from router.delivery.recorder import Recorder
from router.delivery.verdict import fail
from router.documents.delivery import Delivery
from router.documents.timestamps import utc_now
from router.metrics import Metrics
from router.settings import Settings

ROOM_POLL_SECONDS = 0.05
"""How often one who waits for room in a lane looks whether that starves another."""
RECENT_DELIVERIES = 1000
"""A lane that got none of so many deliveries has no part in what is coming in."""
REMEMBERED_TARGETS = 10_000
"""Of so many targets it is known when their last delivery was made."""


class Dispatcher:
    """All lanes. One of them full, slow or dead is nothing to the others."""

    def __init__(
        self,
        channels: Iterable[OpenChannel],
        database: Database,
        recorder: Recorder,
        settings: Settings,
        patience: Patience,
        metrics: Metrics,
        *,
        find_targets: Callable[[Collection[Delivery]], Awaitable[dict[str, Target]]],
        hide: Callable[[str], str],
        may_send: Callable[[], bool],
    ) -> None:
        self._recorder = recorder
        self._primed = asyncio.Event()
        self.lanes: dict[str, Lane] = {}
        self.backlogs: dict[str, Backlog] = {}
        self._handed = 0
        self._last_handed: dict[str, int] = {}
        self._last_made: dict[tuple[str | None, str], datetime] = {}
        self._last_held: dict[tuple[str | None, str], datetime] = {}
        for channel in channels:
            lane = Lane(
                channel,
                recorder,
                metrics,
                window=settings.window,
                pending_after_seconds=settings.pending_after_seconds,
                on_waiting=partial(self.note_waiting, channel.name),
                hide=hide,
                may_send=may_send,
                random=Random(),  # noqa: S311 - jitter, not cryptography
            )
            self.lanes[channel.name] = lane
            self.backlogs[channel.name] = Backlog(lane, database, recorder, patience, find_targets)

    async def submit(self, job: Job) -> None:
        """See to it that the delivery is attempted. Waits while that helps: while its lane moves on and no other one runs
        out of work meanwhile, and while the recorder has no room."""
        channel = job.delivery.channel or ""
        if job.delivery.status.is_final:
            # A user does not want it, or its address cannot be read.
            await self._recorder.submit(job.delivery, job.recorded)
            return
        lane, backlog = self.lanes.get(channel), self.backlogs.get(channel)
        if lane is None or backlog is None:
            await self._end(job, channel)
            return
        self._handed += 1
        self._last_handed[channel] = self._handed
        self._put_in_order(job)
        if lane.holds(job.delivery.id):
            lane.offer(job)
        elif job.is_held:
            await backlog.put_off(job)
        elif backlog.is_ahead_of(job):
            await backlog.spill(job)
        elif lane.must_wait(job):
            lane.postpone(job)
            await backlog.put_off(job)
        elif not lane.offer(job) and not await self._offer_in_time(lane, job):
            await backlog.spill(job)

    def _put_in_order(self, job: Job) -> None:
        """Many messages may be routed within a millisecond. Of those for one target each one is made a little later than the
        last: that is how their order is known when they are read back."""
        delivery, target = job.delivery, (job.delivery.channel, job.target.identity)
        last = self._last_made.pop(target, None)
        if last is not None and delivery.created_at <= last:
            moment = last + SHORTEST_STEP
            if delivery.next_attempt_at == delivery.created_at:
                delivery.next_attempt_at = moment
            delivery.created_at = moment
        self._last_made[target] = delivery.created_at
        if job.is_held and delivery.next_attempt_at is not None:
            # All that is held until the same moment leaves in the order in which it came.
            due = max(delivery.next_attempt_at, self._last_held.pop(target, delivery.created_at) + SHORTEST_STEP)
            delivery.next_attempt_at = self._last_held[target] = due
            if len(self._last_held) > REMEMBERED_TARGETS:
                del self._last_held[next(iter(self._last_held))]
        if len(self._last_made) > REMEMBERED_TARGETS:
            del self._last_made[next(iter(self._last_made))]

    async def _offer_in_time(self, lane: Lane, job: Job) -> bool:
        # What goes through CouchDB costs two more writes and is read twice.
        while lane.is_worth_waiting_for(others_are_idle=self._are_others_idle(lane)):
            await lane.wait_for_room(ROOM_POLL_SECONDS)
            if lane.offer(job):
                return True
        return False

    def _are_others_idle(self, full: Lane) -> bool:
        """Whether what is still in the feed may be for a lane that has nothing to do."""
        others = [
            lane
            for name, lane in self.lanes.items()
            if lane is not full and self._handed - self._last_handed.get(name, -RECENT_DELIVERIES) < RECENT_DELIVERIES
        ]
        return not others or any(lane.is_idle for lane in others)

    async def cancel(self, message_id: str) -> None:
        """The message was deleted: what of it waits in memory ends `CANCELLED`."""
        for lane in self.lanes.values():
            await lane.cancel(message_id)

    def holds(self, channel: str | None, delivery_id: str) -> bool:
        """Whether the delivery is in the window of its channel's lane."""
        lane = self.lanes.get(channel or "")
        return lane is not None and lane.holds(delivery_id)

    def note_waiting(self, channel: str, due: datetime) -> None:
        """A delivery of this channel stands in CouchDB and is due then."""
        if (backlog := self.backlogs.get(channel)) is not None:
            backlog.note_waiting(due)

    async def run(self) -> None:
        """Find out which targets have deliveries waiting in CouchDB that new ones must not pass; then run all lanes and their
        backlogs until cancelled."""
        await asyncio.gather(*(backlog.prime() for backlog in self.backlogs.values()))
        async with asyncio.TaskGroup() as group:
            for name, lane in self.lanes.items():
                group.create_task(lane.run(), name=f"{name} lane")
                group.create_task(self.backlogs[name].run(), name=f"{name} backlog")
            self._primed.set()

    async def stop(self, grace_seconds: float) -> None:
        """Begin no new attempt, and wait for those in flight, at most `grace_seconds`."""
        await asyncio.gather(*(lane.stop(grace_seconds) for lane in self.lanes.values()))

    async def _end(self, job: Job, channel: str) -> None:
        reason = f"this router knows no channel {channel!r}; correct the mapping"
        fail(job.delivery, "unknown_channel", reason, utc_now())
        await self._recorder.submit(job.delivery, job.recorded)
