"""Hands each delivery to its channel's lane, or to the lane's backlog when that is full."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from random import Random

from router.channels.base import Channel, Target
from router.couch.database import Database
from router.couch.patience import Patience
from router.delivery.backlog import Backlog
from router.delivery.job import Job
from router.delivery.lane import Lane
from router.delivery.recorder import Recorder
from router.delivery.verdict import fail
from router.documents.delivery import Delivery
from router.documents.timestamps import utc_now
from router.settings import ChannelSettings, Settings


class Dispatcher:
    """All lanes. One of them full, slow or dead is nothing to the others."""

    def __init__(
        self,
        channels: Mapping[str, tuple[Channel, ChannelSettings]],
        database: Database,
        recorder: Recorder,
        settings: Settings,
        patience: Patience,
        find_target: Callable[[Delivery], Target | None],
        hide: Callable[[str], str],
    ) -> None:
        self._recorder = recorder
        self._lanes: dict[str, Lane] = {}
        self._backlogs: dict[str, Backlog] = {}
        for name, (channel, channel_settings) in channels.items():
            lane = Lane(
                name,
                channel,
                channel_settings,
                recorder,
                window=settings.window,
                pending_after_seconds=settings.pending_after_seconds,
                on_waiting=partial(self._note_waiting, name),
                hide=hide,
                random=Random(),  # noqa: S311 - jitter, not cryptography
            )
            self._lanes[name] = lane
            self._backlogs[name] = Backlog(lane, database, recorder, patience, find_target)

    async def submit(self, job: Job) -> None:
        """See to it that the delivery is attempted. Waits only while the recorder has no room."""
        channel = job.delivery.channel or ""
        lane, backlog = self._lanes.get(channel), self._backlogs.get(channel)
        if lane is None or backlog is None:
            await self._end(job, channel)
        elif lane.holds(job.delivery.id):
            lane.offer(job)
        elif lane.must_wait(job):
            lane.postpone(job)
            await backlog.spill(job)
        elif backlog.is_ahead_of(job) or not lane.offer(job):
            await backlog.spill(job)

    async def run(self) -> None:
        """Run all lanes and their backlogs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, lane in self._lanes.items():
                group.create_task(lane.run(), name=f"{name} lane")
                group.create_task(self._backlogs[name].run(), name=f"{name} backlog")

    async def stop(self, grace_seconds: float) -> None:
        """Begin no new attempt, and wait for those in flight, at most `grace_seconds`."""
        await asyncio.gather(*(lane.stop(grace_seconds) for lane in self._lanes.values()))

    def _note_waiting(self, name: str, due: datetime) -> None:
        self._backlogs[name].note_waiting(due)

    async def _end(self, job: Job, channel: str) -> None:
        reason = f"this router knows no channel {channel!r}; correct the mapping"
        fail(job.delivery, "unknown_channel", reason, utc_now())
        await self._recorder.submit(job.delivery, job.recorded)
