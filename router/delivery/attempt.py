"""Makes one attempt: says so beforehand where it must, sends, and writes what came of it into the delivery."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

import structlog

from router.channels.base import Channel, Outcome, Rejected, Retry, Sent, Uncertain
from router.delivery.job import Job
from router.delivery.recorder import Recorder
from router.delivery.throttle import Throttle
from router.delivery.verdict import NAMES, cancel, conclude, expire
from router.documents.delivery import Attempt, Delivery, Status
from router.documents.timestamps import utc_now
from router.metrics import Metrics
from router.settings import ChannelSettings

log = structlog.stdlib.get_logger("router.lane")

OVERTIME_SECONDS = 5.0
"""How long past its `attempt_timeout_seconds` a channel may take before it is cut off: a channel keeps its own time."""


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """A channel that can be sent through, and what there is to know of it."""

    name: str
    channel: Channel
    settings: ChannelSettings
    tells_repeats: bool
    """See `ChannelKind.tells_repeats`."""
    is_recorded_first: bool = False
    """See `ChannelKind.is_recorded_first`."""


class Attempts:
    """The attempts of one channel."""

    def __init__(
        self,
        open_channel: OpenChannel,
        throttle: Throttle,
        recorder: Recorder,
        metrics: Metrics,
        *,
        hide: Callable[[str], str],
        random: Random,
    ) -> None:
        """`hide` takes secrets out of a text."""
        self._name = open_channel.name
        self._channel = open_channel.channel
        self._settings = open_channel.settings
        self._tells_repeats = open_channel.tells_repeats
        self._is_recorded_first = open_channel.is_recorded_first
        self._throttle = throttle
        self._recorder = recorder
        self._metrics = metrics
        self._hide = hide
        self._random = random
        self.cut_off: list[Job] = []
        """Those that were cut off from outside in the middle of an attempt, which stands in the delivery; they are to be
        recorded."""
        self.announced: dict[str, Job] = {}
        """Those whose documents say, or are about to, that an attempt begins, which has not been made yet."""
        self.on_breaker: Callable[[], None] = lambda: None
        """Called when a breaker has opened or closed."""

    def must_announce(self, job: Job) -> bool:
        """Whether the delivery's document must say beforehand that an attempt begins, and may say so before its turn comes.
        Under `hold` it says so at the last moment: what a crash leaves like this an admin has to judge."""
        return job.announced_at is None and self._settings.on_uncertain != "hold" and self._must_say_so_first(job)

    async def announce(self, job: Job, on_intent: Callable[[Job], None]) -> None:
        """Have the delivery's document say that an attempt begins, before the bytes leave: so a crash in between is seen for
        what it is. `on_intent` as for `make`. Where an attempt that is made again does no harm, that it is there is enough."""
        job.announced_at = utc_now()
        self.announced[job.delivery.id] = job
        if not self._is_recorded_first:
            _begin_in(job.delivery, job.announced_at)
        await self._recorder.write(job.delivery)
        on_intent(job)

    def withdraw(self, job: Job) -> None:
        """The attempt that was announced, if one was, is not made: nothing has left, so nothing is uncertain. The document is
        to be written again."""
        if self.announced.pop(job.delivery.id, None) is not None:
            job.delivery.attempts = [
                a for a in job.delivery.attempts if not (a.outcome == "started" and a.at == job.announced_at)
            ]
            job.announced_at = None

    async def make(self, job: Job, on_intent: Callable[[Job], None]) -> Outcome | None:
        """Make one attempt and write its outcome into the delivery. None when there was nothing to attempt any more.
        `on_intent` is called when the delivery has got a document that says that an attempt begins."""
        delivery = job.delivery
        began = utc_now()
        if job.is_cancelled:
            self.withdraw(job)
            cancel(delivery, began)
            return None
        if job.expires_at is not None and job.expires_at <= began:
            self.withdraw(job)
            expire(delivery, job.expires_at, began)
            return None
        if job.announced_at is None and self._must_say_so_first(job):
            await self.announce(job, on_intent)
        began, job.announced_at = job.announced_at or began, None
        self.announced.pop(delivery.id, None)
        target, host, begun = job.target.identity, job.target.host, self._now()
        if not delivery.attempts and job.came_at is not None:
            self._metrics.on_the_wire(self._name, begun - job.came_at)
        self._throttle.begin(target, host, begun)
        state = self._throttle.breaker_state(host)
        if state == "half_open":
            self._metrics.breaker(self._name, host, state)
        job.attempt_began_at = began
        outcome: Outcome | None = None
        try:
            outcome = self._without_secrets(job, await self._send(job))
        except asyncio.CancelledError:
            self._conclude(job, self._stopped(), began, self._throttle.end(target, self._now()))
            self.cut_off.append(job)
            raise
        else:
            took_seconds = self._throttle.end(target, self._now())
        finally:
            job.attempt_began_at = None
            self._tell_breaker(target, host, outcome, begun)
        if isinstance(outcome, Retry) and outcome.pauses is not None:
            asked = self._throttle.pause(target, outcome, begun, self._now())
            log.info(
                "asked to slow down", channel=self._name, scope=outcome.pauses, seconds=asked, reason=outcome.reason
            )
        self._conclude(job, outcome, began, took_seconds, was_known_down=state != "closed")
        return outcome

    def note_under_way(self, job: Job) -> None:
        """The delivery is about to be recorded while its attempt is under way: have its document say so."""
        if job.attempt_began_at is not None and not self._tells_repeats:
            _begin_in(job.delivery, job.attempt_began_at)

    def _must_say_so_first(self, job: Job) -> bool:
        """Under `hold` always. Else where a repeat cannot be told: what has a document already is tried again after a crash,
        and only that document can say that it may have been sent. What has none is marked by the intake then."""
        if self._is_recorded_first:
            return not job.is_recorded
        if job.delivery.reference:
            return False  # It is only looked at: that it is with the other side is known.
        if self._settings.on_uncertain == "hold":
            return True
        return not self._tells_repeats and (job.is_recorded or job.is_being_recorded)

    def _conclude(
        self, job: Job, outcome: Outcome, began: datetime, took_seconds: float, *, was_known_down: bool = False
    ) -> None:
        took_ms = round(took_seconds * 1000)
        conclude(
            job.delivery,
            outcome,
            began=began,
            took_ms=took_ms,
            now=utc_now(),
            settings=self._settings,
            random=self._random,
            was_known_down=was_known_down,
        )
        self._metrics.attempt(self._name, NAMES[type(outcome)], took_seconds)
        self._metrics.tracing.attempt(
            job.delivery.message_id, job.delivery.id, self._name, NAMES[type(outcome)], outcome.code, took_seconds
        )
        _log_attempt(job.delivery, outcome, took_ms)

    def _stopped(self) -> Outcome:
        reason = "the router was stopped in the middle of this attempt"
        return Retry(reason, code="stopped") if self._tells_repeats else Uncertain(reason, code="stopped")

    def _tell_breaker(self, target: str, host: str, outcome: Outcome | None, begun: float) -> None:
        before = self._throttle.breaker_state(host)
        open_seconds = self._throttle.learn(target, host, outcome, begun, self._now())
        state = self._throttle.breaker_state(host)
        reason = outcome.reason if isinstance(outcome, Retry | Uncertain) else None
        if open_seconds is not None:
            say = log.warning if before == "closed" else log.info
            say(
                "the host does not work; it is left alone for a while",
                channel=self._name,
                host=host or None,
                seconds=round(open_seconds, 1),
                reason=reason,
            )
        elif before != "closed" and state == "closed":
            log.info("the host works again", channel=self._name, host=host or None)
        if open_seconds is not None or before != state:
            self._metrics.breaker(self._name, host, state, reason if state == "open" else None)
            self.on_breaker()

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
            log.exception("a fault in the channel; please report it", channel=self._name, **ids)
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

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _begin_in(delivery: Delivery, began: datetime) -> None:
    if not any(attempt.at == began and attempt.outcome == "started" for attempt in delivery.attempts):
        delivery.attempts.append(Attempt(at=began, outcome="started"))
        delivery.updated_at = began


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
