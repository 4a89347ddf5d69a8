"""One channel's lane: a bounded window of deliveries, in order for each target, many targets side by side."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random

import structlog

from router.channels.base import Channel, Outcome, Rejected, Retry, Sent, Uncertain
from router.delivery.job import Job
from router.delivery.recorder import Recorder
from router.delivery.throttle import Throttle
from router.delivery.verdict import conclude, expire
from router.delivery.window import Window
from router.documents.delivery import Attempt, Delivery, Status
from router.documents.timestamps import utc_now
from router.settings import ChannelSettings

log = structlog.stdlib.get_logger("router.lane")

OVERTIME_SECONDS = 5.0
"""How long past its `attempt_timeout_seconds` a channel may take before it is cut off: a channel keeps its own time."""
LONGEST_WAIT_IN_MEMORY_SECONDS = 5.0
"""A delivery that must wait longer than this waits in CouchDB, where it takes no place in the window."""
SWEEP_SECONDS = 0.25
"""How often first attempts that take long are looked for."""


class Lane:
    """Sends what it is offered. Knows nothing of CouchDB but the recorder, and nothing of the feed."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        settings: ChannelSettings,
        recorder: Recorder,
        *,
        window: int,
        pending_after_seconds: float,
        on_waiting: Callable[[datetime], None],
        hide: Callable[[str], str],
        random: Random,
    ) -> None:
        self.name = name
        self._channel = channel
        self._settings = settings
        self._recorder = recorder
        self._window = Window(window)
        self._pending_after_seconds = pending_after_seconds
        self._on_waiting = on_waiting
        self._hide = hide
        self._random = random
        self._queues: dict[str, deque[Job]] = {}
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._throttle = Throttle(settings)
        self._stopping = asyncio.Event()
        self._workers: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] | None = None

    # --- what others see

    @property
    def room(self) -> int:
        """How many more deliveries fit, but for the places that are kept for targets with little to send."""
        return self._window.room

    def holds(self, delivery_id: str) -> bool:
        """Whether the delivery is in the window."""
        return delivery_id in self._window

    @property
    def held(self) -> int:
        """How many deliveries are in the window."""
        return len(self._window)

    def watch_departures(self) -> set[str]:
        """A set that is filled, from now to the next call, with the ids that leave the window: what CouchDB said of them
        before they left is old news."""
        return self._window.watch_departures()

    def must_wait(self, job: Job) -> bool:
        """Whether `job` is to wait in CouchDB though there may be room: its target has more to send than can leave soon, or
        deliveries there that a new one must not pass. `postpone` says until when."""
        target, queued = job.target.identity, self._queued(job)
        if not job.is_recorded and self._throttle.waits_elsewhere(target, utc_now()):
            return True
        if self._throttle.queue_seconds(queued) > LONGEST_WAIT_IN_MEMORY_SECONDS:
            return True
        return queued > 0 and self._throttle.slow_seconds(target, self._now()) > 0

    def postpone(self, job: Job) -> None:
        """Write into a delivery that must wait when it is due: behind the others of its target."""
        target = job.target.identity
        slow_seconds = self._throttle.slow_seconds(target, self._now())
        seconds = max(slow_seconds, self._throttle.queue_seconds(self._queued(job)))
        job.delivery.next_attempt_at = self._throttle.due(target, utc_now() + timedelta(seconds=seconds))

    def offer(self, job: Job) -> bool:
        """Take `job` into the window. False when there is no place for it; one that is in the window already is taken."""
        if job.delivery.id in self._window:
            job.recorded()
            return True
        if self._stopping.is_set() or not self._window.has_place_for(job, self._queued(job)):
            return False
        self._window.add(job, self._now())
        target = job.target.identity
        queue = self._queues.get(target)
        if queue is None:
            self._queues[target] = queue = deque()
            worker = asyncio.get_running_loop().create_task(self._serve(target, queue), name=f"{self.name} worker")
            self._workers.add(worker)
            worker.add_done_callback(self._worker_ended)
        queue.append(job)
        return True

    def _queued(self, job: Job) -> int:
        return len(self._queues.get(job.target.identity, ()))

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
        """Begin nothing new, and wait for the attempts in flight, at most `grace_seconds`; then cut them off."""
        self._stopping.set()
        if self._workers:
            await asyncio.wait(set(self._workers), timeout=grace_seconds)
        for worker in self._workers:
            log.warning("an attempt was cut off by the stop; it is made again at the next start", channel=self.name)
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    # --- one target

    async def _serve(self, target: str, queue: deque[Job]) -> None:
        """Send what is queued for one target, one at a time and in order, until the queue is empty."""
        try:
            while queue and not self._stopping.is_set():
                delay = self._delay_seconds(target)
                if delay > LONGEST_WAIT_IN_MEMORY_SECONDS:
                    await self._hand_back(target, queue, delay)
                    continue
                if delay > 0:
                    await self._rest(delay)
                    continue
                async with self._slots:
                    # The wait for a slot may have been long: the channel may be paused by now, or the router stopping.
                    if self._stopping.is_set() or self._delay_seconds(target) > 0:
                        continue
                    job = queue[0]
                    outcome = await self._attempt(target, job)
                if isinstance(outcome, Retry) and outcome.pauses is not None and not job.delivery.status.is_final:
                    continue  # The pause decides when; its place at the head of the queue keeps the order.
                queue.popleft()
                await self._record(job)
        finally:
            if self._queues.get(target) is queue:
                del self._queues[target]

    async def _attempt(self, target: str, job: Job) -> Outcome | None:
        """Make one attempt and write its outcome into the delivery. None when there was nothing to attempt any more."""
        delivery = job.delivery
        began = utc_now()
        if job.expires_at is not None and job.expires_at <= began:
            expire(delivery, job.expires_at, began)
            return None
        if self._settings.on_uncertain == "hold" and not delivery.reference:
            # Written before the bytes leave, so that a crash in between is seen for what it is.
            delivery.attempts.append(Attempt(at=began, outcome="started"))
            delivery.updated_at = began
            await self._recorder.write(delivery)
            self._has_document(job)
        self._throttle.begin(target, self._now())
        try:
            outcome = self._without_secrets(job, await self._send(job))
        finally:
            took_seconds = self._throttle.end(target, self._now())
        if isinstance(outcome, Retry) and outcome.pauses is not None:
            asked = self._throttle.pause(target, outcome, self._now())
            log.info(
                "asked to slow down", channel=self.name, scope=outcome.pauses, seconds=asked, reason=outcome.reason
            )
        conclude(
            delivery,
            outcome,
            began=began,
            took_ms=round(took_seconds * 1000),
            now=utc_now(),
            settings=self._settings,
            random=self._random,
        )
        _log_attempt(delivery, outcome, round(took_seconds * 1000))
        return outcome

    async def _send(self, job: Job) -> Outcome:
        limit = self._settings.attempt_timeout_seconds
        # What a channel logs in the middle of an attempt says whose attempt it is.
        ids = {"message_id": job.delivery.message_id, "delivery_id": job.delivery.id}
        try:
            async with asyncio.timeout(limit + OVERTIME_SECONDS):
                structlog.contextvars.bind_contextvars(**ids)
                return await self._channel.send(job.outgoing())
        except TimeoutError:
            return Uncertain(f"no end of the attempt within {limit:g} seconds", code="timeout")
        except Exception:
            # A fault in one channel, perhaps a third party's, must not stop the others.
            log.exception("a fault in the channel; please report it", channel=self.name, **ids)
            return Retry("a fault in the router's own channel; its log has the details", code="internal_error")
        finally:
            structlog.contextvars.unbind_contextvars(*ids)

    def _without_secrets(self, job: Job, outcome: Outcome) -> Outcome:
        """What the other side says may hold what we told it; nothing of that may get into a document."""

        def hide(text: str) -> str:
            text = self._hide(text)
            return text.replace(job.target.address, job.target.shown) if job.target.is_secret else text

        code = hide(outcome.code) if isinstance(outcome.code, str) else outcome.code
        if isinstance(outcome, Sent):
            return replace(outcome, code=code, reference=outcome.reference and hide(outcome.reference))
        return replace(outcome, code=code, reason=hide(outcome.reason))

    # --- waiting

    def _delay_seconds(self, target: str) -> float:
        return self._throttle.wait_seconds(target, self._now())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    # --- documents

    async def _record(self, job: Job) -> None:
        """Have the delivery's document written; it leaves the window once it stands in CouchDB."""
        await self._recorder.submit(job.delivery, partial(self._leave, job))

    def _leave(self, job: Job) -> None:
        delivery = job.delivery
        self._has_document(job)
        self._window.remove(job)
        if not delivery.status.is_final and delivery.next_attempt_at is not None:
            self._on_waiting(delivery.next_attempt_at)

    def _has_document(self, job: Job) -> None:
        self._window.has_document(job)

    async def _hand_back(self, target: str, queue: deque[Job], delay_seconds: float, keep: int = 0) -> None:
        """Let what is queued for a target, but for the first `keep`, wait in CouchDB."""
        earliest = utc_now() + timedelta(seconds=delay_seconds)
        handed = [queue.pop() for _ in range(len(queue) - keep)][::-1]
        # All at once, before anything is waited for: one that comes in between is due behind them all.
        for job in handed:
            job.delivery.next_attempt_at = self._throttle.due(target, earliest)
            job.delivery.updated_at = utc_now()
        for job in handed:
            await self._record(job)

    async def _clear_behind_slow_ones(self) -> None:
        """What is queued behind an attempt that takes long waits in CouchDB: a target that hangs must not fill the window."""
        for target in self._throttle.under_way:
            queue, seconds = self._queues.get(target), self._throttle.slow_seconds(target, self._now())
            if queue is not None and len(queue) > 1 and seconds > 0:
                await self._hand_back(target, queue, seconds, keep=1)

    async def _record_slow_ones(self) -> None:
        """Write down as PENDING what has been here for a while, so that the feed's checkpoint need not wait for it."""
        for job in self._window.without_document_since(self._now() - self._pending_after_seconds):
            await self._recorder.submit(job.delivery, partial(self._has_document, job))

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            if self._failure is not None and not self._failure.done():
                self._failure.set_exception(error)
            else:
                log.error("a lane's worker failed", channel=self.name, exc_info=error)


def _log_attempt(delivery: Delivery, outcome: Outcome, took_ms: int) -> None:
    facts = {
        "channel": delivery.channel,
        "target": delivery.target,
        "message_id": delivery.message_id,
        "delivery_id": delivery.id,
        "ms": took_ms,
    }
    if isinstance(outcome, Sent):
        log.info("sent", reference=outcome.reference, **facts)
        return
    say = log.warning if isinstance(outcome, Rejected | Uncertain) or delivery.status is Status.FAILED else log.info
    next_attempt = delivery.next_attempt_at.isoformat() if delivery.next_attempt_at else None
    say(
        "not sent",
        status=str(delivery.status),
        reason=outcome.reason,
        code=outcome.code,
        next_attempt_at=next_attempt,
        **facts,
    )
