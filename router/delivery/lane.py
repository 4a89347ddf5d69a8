"""One channel's lane: a bounded window of deliveries, in order for each target, many targets side by side."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from random import Random

import structlog

from router.channels.base import Outcome, Retry
from router.delivery.attempt import Attempts, OpenChannel
from router.delivery.flow import Flow
from router.delivery.job import Job
from router.delivery.recorder import Recorder
from router.delivery.slots import Slots
from router.delivery.target_queue import TargetQueue
from router.delivery.throttle import Throttle
from router.delivery.verdict import was_attempted
from router.delivery.waiting import wait_for
from router.delivery.window import Window
from router.documents.timestamps import utc_now
from router.metrics import Metrics

log = structlog.stdlib.get_logger("router.lane")

LONGEST_WAIT_IN_MEMORY_SECONDS = 5.0
"""A delivery that must wait longer than this waits in CouchDB, where it takes no place in the window."""
SWEEP_SECONDS = 0.25
"""How often first attempts that take long are looked for."""
QUEUED_FACTOR = 30
"""What waits its turn is written down as PENDING after so many times the time that an attempt may take before it is."""
ANNOUNCED_FACTOR = 4
"""For so many times more targets attempts may be announced than may be made side by side."""
ANNOUNCED_TOGETHER = 5
"""And so many at once for each of them."""
PROBE_REST_SECONDS = 5.0
"""While a host is probed, the others that it is to serve look again no sooner than this, unless they learn how it went."""


class Lane:
    """Sends what it is offered. Knows nothing of CouchDB but the recorder, and nothing of the feed."""

    def __init__(
        self,
        open_channel: OpenChannel,
        recorder: Recorder,
        metrics: Metrics,
        *,
        window: int,
        pending_after_seconds: float,
        on_waiting: Callable[[datetime], None],
        hide: Callable[[str], str],
        may_send: Callable[[], bool],
        random: Random,
    ) -> None:
        """`may_send` is asked right before each attempt; once it says no, nothing is begun any more."""
        self.name = open_channel.name
        self._settings = open_channel.settings
        self._recorder = recorder
        self._window = Window(window)
        self._pending_after_seconds = pending_after_seconds
        self._on_waiting = on_waiting
        self._may_send = may_send
        self._queues: dict[str, TargetQueue] = {}
        self._slots = Slots(open_channel.settings.concurrency)
        self._announcing = Slots(open_channel.settings.concurrency * ANNOUNCED_FACTOR)
        self._throttle = Throttle(open_channel.settings, random)
        self._attempts = Attempts(open_channel, self._throttle, recorder, metrics, hide=hide, random=random)
        self._attempts.on_breaker = self._breaker_moved
        self._sending: set[Job] = set()
        self._hosts: set[str] = set()
        self._breaker_news = asyncio.Event()
        self._flow = Flow()
        self._room_news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._workers: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] | None = None

    # --- what others see

    @property
    def room(self) -> int:
        """How many more deliveries fit, but for the places that are kept for targets with little to send. While nothing can
        leave, only as many as are needed to try."""
        if self._throttle.are_all_down(self._hosts):
            return min(self._window.room, max(0, self._settings.concurrency - len(self._window)))
        return self._window.room

    @property
    def has_much_room(self) -> bool:
        """Whether it is worth while to read something back."""
        return self.room >= (1 if self._throttle.are_all_down(self._hosts) else self._window.useful_room)

    @property
    def is_idle(self) -> bool:
        """Whether it could send more side by side than it has to send."""
        return len(self._window) - self._flow.leaving < self._settings.concurrency

    def is_worth_waiting_for(self, *, others_are_idle: bool) -> bool:
        """Whether it is worth while to wait for a place in the window, rather than to let a delivery wait in CouchDB."""
        if self._throttle.are_all_down(self._hosts):
            return False
        return self._flow.is_worth_waiting_for(self._now(), others_are_idle=others_are_idle)

    @property
    def paused_seconds(self) -> float:
        """For how long the whole channel must wait, by its rate or because it was asked to; 0 when it need not."""
        return self._throttle.channel_seconds(self._now())

    @property
    def is_on_hold(self) -> bool:
        """Whether a delivery of which nobody knows if it arrived is left to an admin."""
        return self._settings.on_uncertain == "hold"

    def holds(self, delivery_id: str) -> bool:
        """Whether the delivery is in the window."""
        return delivery_id in self._window

    @property
    def held(self) -> int:
        """How many deliveries are in the window."""
        return len(self._window)

    def watch_departures(self) -> set[str]:
        """See `Window.watch_departures`."""
        return self._window.watch_departures()

    def forget_departures(self) -> None:
        """See `Window.forget_departures`."""
        self._window.forget_departures()

    def must_wait(self, job: Job) -> bool:
        """Whether `job` is to wait in CouchDB though there may be room: its target has more to send than can leave soon, or
        deliveries there that a new one must not pass. `postpone` says until when."""
        target, queued, is_critical = job.target.identity, self._queued(job), job.is_critical
        if self._must_stand_in_line(job):
            return True
        if not is_critical and self._throttle.queue_seconds(queued) > LONGEST_WAIT_IN_MEMORY_SECONDS:
            return True
        if self._throttle.host_seconds(job.target.host, self._now()) > 0:
            return not self._throttle.are_all_down(self._hosts)
        return self._throttle.slow_seconds(target, self._now()) > 0

    def _must_stand_in_line(self, job: Job) -> bool:
        target, delivery = job.target.identity, job.delivery
        if job.was_put_off and delivery.next_attempt_at is not None:
            return not was_attempted(delivery) and self._throttle.is_behind(
                target, delivery.created_at, delivery.next_attempt_at, is_critical=job.is_critical
            )
        return self._throttle.has_line(target, utc_now(), is_critical=job.is_critical)

    def postpone(self, job: Job) -> None:
        """Write into a delivery that must wait when it is due: where it stands among the others of its target."""
        target, now = job.target.identity, self._now()
        seconds = max(
            self._throttle.slow_seconds(target, now),
            self._host_pause_seconds(job.target.host, now),
            self._throttle.queue_seconds(self._queued(job)),
        )
        earliest = utc_now() + timedelta(seconds=seconds)
        if job.was_put_off:
            self._move(job, earliest)
        else:
            job.delivery.next_attempt_at = self._throttle.append(target, earliest, is_critical=job.is_critical)

    def _move(self, job: Job, earliest: datetime) -> None:
        job.delivery.next_attempt_at = self._throttle.move(
            job.target.identity, job.delivery.created_at, earliest, is_critical=job.is_critical
        )

    def offer(self, job: Job) -> bool:
        """Take `job` into the window. False when there is no place for it; one that is in the window already is taken."""
        if job.delivery.id in self._window:
            job.recorded()
            return True
        if self._stopping.is_set() or not self._window.has_place_for(job, self._queued(job)):
            return False
        if not self._window:
            self._flow.begin(self._now())
        self._window.add(job, self._now())
        target = job.target.identity
        self._hosts.add(job.target.host)
        queue = self._queues.get(target)
        if queue is None:
            self._queues[target] = queue = TargetQueue()
            worker = asyncio.get_running_loop().create_task(self._serve(target, queue), name=f"{self.name} worker")
            self._workers.add(worker)
            worker.add_done_callback(self._worker_ended)
        queue.append(job)
        if job.is_critical:
            self._announcing.let_through(target)
            self._slots.hurry(target)
        return True

    async def wait_for_room(self, timeout_seconds: float) -> None:
        """Until a delivery has left the window, but not longer than this."""
        self._room_news.clear()
        await wait_for(self._room_news, timeout_seconds)

    async def cancel(self, message_id: str) -> None:
        """The message was deleted: what of it has not been begun ends `CANCELLED`."""
        for job in self._window.of_message(message_id):
            job.is_cancelled = True
            queue = self._queues.get(job.target.identity)
            if queue is not None and queue.remove(job):
                await self._attempts.make(job, self._has_document)
                await self._record(job)

    def _queued(self, job: Job) -> int:
        """How many of the job's target are here, the one that is being sent included."""
        target = job.target.identity
        return len(self._queues.get(target, ())) + self._throttle.is_under_way(target)

    async def run(self) -> None:
        """Look after the workers until cancelled. Raises what a worker raised: a fault of ours, never the other side's."""
        self._failure = asyncio.get_running_loop().create_future()
        try:
            while True:
                await asyncio.wait([self._failure], timeout=SWEEP_SECONDS)
                if self._failure.done():
                    self._failure.result()
                await self._record_slow_ones()
                await self._clear_behind_slow_ones()
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing new, and wait for the attempts in flight, at most `grace_seconds`; then cut them off, which is
        recorded."""
        self._stopping.set()
        self._breaker_news.set()
        if self._workers:
            await asyncio.wait(set(self._workers), timeout=grace_seconds)
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for job in list(self._attempts.announced.values()):
            self._attempts.withdraw(job)
            await self._record(job)
        for job in self._attempts.cut_off:
            log.warning("an attempt was cut off by the stop", channel=self.name, delivery_id=job.delivery.id)
            await self._record(job)

    # --- one target

    async def _serve(self, target: str, queue: TargetQueue) -> None:
        """Send what is queued for one target, one at a time and in order, until the queue is empty."""
        try:
            while queue and not self._stopping.is_set():
                if await self._had_to_wait(target, queue):
                    continue
                if self._attempts.must_announce(queue.peek()) and not queue.peek().is_critical:
                    # CouchDB takes its time, and takes many at once: it is not waited for in a slot. But what is critical
                    # waits for nobody's announcement, not even to make its own.
                    await self._announcing.take(target, queue.peek().delivery.priority)
                    try:
                        await self._announce(queue)
                        await self._take_turn(target, queue)
                    finally:
                        self._announcing.give_back()
                else:
                    await self._take_turn(target, queue)
        finally:
            if self._queues.get(target) is queue:
                del self._queues[target]

    async def _announce(self, queue: TargetQueue) -> None:
        async with asyncio.TaskGroup() as group:
            for job in queue.first(ANNOUNCED_TOGETHER) if queue else ():
                if self._attempts.must_announce(job) and not job.is_critical:
                    group.create_task(self._attempts.announce(job, self._has_document))

    async def _take_turn(self, target: str, queue: TargetQueue) -> None:
        if not queue:
            return
        await self._slots.take(target, queue.peek().delivery.priority)
        try:
            done = await self._send_next(target, queue)
        finally:
            self._slots.give_back()
        if done is not None:
            await self._record(done)

    async def _had_to_wait(self, target: str, queue: TargetQueue) -> bool:
        """See whether the target must wait, and if so, wait, or let its queue wait in CouchDB."""
        now = self._now()
        own_seconds = max(self._throttle.target_seconds(target, now), self._slow_channel_seconds(now))
        if own_seconds > LONGEST_WAIT_IN_MEMORY_SECONDS:
            await self._hand_back(queue, own_seconds)
            return True
        host_seconds = self._host_pause_seconds(queue.peek().target.host, now)
        if host_seconds > 0 and self._throttle.are_all_down(self._hosts):
            # Nothing else needs the places in the window: these wait here, and one of them is the first to try again.
            self._breaker_news.clear()
            await self._rest(host_seconds, self._breaker_news)
            return True
        if host_seconds > 0:
            # The places are for those whose hosts work.
            await self._hand_back(queue, host_seconds)
            return True
        if own_seconds > 0:
            await self._rest(own_seconds)
            return True
        return False

    def _host_pause_seconds(self, host: str, now: float) -> float:
        """How long what is for a host had better not look whether it works again; 0 when it works."""
        seconds = self._throttle.host_seconds(host, now)
        is_probed = seconds > 0 and self._throttle.breaker_state(host) == "half_open"
        return PROBE_REST_SECONDS if is_probed else seconds

    def _slow_channel_seconds(self, now: float) -> float:
        """How long the whole channel pauses, where that is long. Where it is short, those that have a slot wait for it."""
        seconds = self._throttle.channel_seconds(now)
        return seconds if seconds > LONGEST_WAIT_IN_MEMORY_SECONDS else 0.0

    async def _send_next(self, target: str, queue: TargetQueue) -> Job | None:
        """With a slot: send the next one of the queue. It is given back when it is done with for now; None when nothing
        could be sent, or it is to be sent again at once."""
        while (seconds := self._throttle.channel_seconds(self._now())) > 0:
            if seconds > LONGEST_WAIT_IN_MEMORY_SECONDS or self._stopping.is_set():
                return None
            await self._rest(seconds)
            if queue and self._slots.is_wanted_before(queue.peek().delivery.priority):
                return None
        # The wait for the slot may have been long: much may have changed since.
        now = self._now()
        if self._stopping.is_set() or not queue or self._throttle.target_seconds(target, now) > 0:
            return None
        if self._throttle.host_seconds(queue.peek().target.host, now) > 0:
            return None
        if not self._may_send():
            await self._stopping.wait()
            return None
        job = queue.take()
        self._sending.add(job)
        try:
            outcome = await self._attempts.make(job, self._has_document)
        finally:
            self._sending.discard(job)
        if _is_pause(outcome) and not job.delivery.status.is_final:
            # The pause decides when; its place at the head of the queue keeps the order.
            queue.put_back(job)
            return None
        return job

    # --- waiting

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _rest(self, seconds: float, news: asyncio.Event | None = None) -> None:
        """Wait so long; shorter when `news` come, or when the lane stops."""
        await wait_for(self._stopping if news is None else news, seconds)

    def _breaker_moved(self) -> None:
        self._breaker_news.set()

    # --- documents

    async def _record(self, job: Job) -> None:
        """Have the delivery's document written; it leaves the window once it stands in CouchDB."""
        job.is_being_recorded = True
        self._flow.leaves()
        await self._recorder.submit(job.delivery, partial(self._leave, job))

    def _leave(self, job: Job) -> None:
        delivery = job.delivery
        self._has_document(job)
        self._window.remove(job)
        self._flow.left(self._now())
        self._room_news.set()
        if not delivery.status.is_final and delivery.next_attempt_at is not None:
            self._on_waiting(delivery.next_attempt_at)

    def _has_document(self, job: Job) -> None:
        self._window.has_document(job)

    async def _hand_back(self, queue: TargetQueue, delay_seconds: float) -> None:
        """Let what is queued for a target wait in CouchDB, before what waits there already."""
        earliest = utc_now() + timedelta(seconds=delay_seconds)
        handed = queue.take_all()
        # All at once, before anything is waited for: one that comes in between is due behind them all.
        for job in handed:
            self._attempts.withdraw(job)
            self._move(job, earliest)
            job.delivery.updated_at = utc_now()
        for job in handed:
            await self._record(job)

    async def _clear_behind_slow_ones(self) -> None:
        """What is queued behind an attempt that takes long waits in CouchDB: a target that hangs must not fill the window."""
        for target in self._throttle.under_way:
            queue, seconds = self._queues.get(target), self._throttle.slow_seconds(target, self._now())
            if queue is not None and queue and seconds > 0:
                await self._hand_back(queue, seconds)

    async def _record_slow_ones(self) -> None:
        """Write down as PENDING what has been here for a while, so that the feed's checkpoint need not wait for it."""
        now = self._now()
        queued = self._window.without_document_since(now - self._pending_after_seconds * QUEUED_FACTOR)
        sending = [j for j in self._sending if self._window.came_before(j, now - self._pending_after_seconds)]
        for job in (*queued, *sending):
            if job.is_being_recorded:
                continue
            self._attempts.note_under_way(job)
            job.is_being_recorded = True
            await self._recorder.submit(job.delivery, partial(self._has_document, job))

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            if self._failure is not None and not self._failure.done():
                self._failure.set_exception(error)
            else:
                log.error("a lane's worker failed", channel=self.name, exc_info=error)


def _is_pause(outcome: Outcome | None) -> bool:
    return isinstance(outcome, Retry) and outcome.pauses is not None
