"""Pure: what an attempt's outcome makes of a delivery, and when it is tried again."""

from datetime import datetime, timedelta
from itertools import takewhile
from random import Random

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent, Uncertain, Waiting
from router.documents.delivery import KEPT_ATTEMPTS, Attempt, AttemptOutcome, Delivery, DeliveryError, Status, storable
from router.documents.timestamps import to_text
from router.settings import ChannelSettings, RetrySettings

NAMES: dict[type, AttemptOutcome] = {
    Sent: "sent",
    Retry: "retry",
    Rejected: "rejected",
    Uncertain: "uncertain",
    Waiting: "waiting",
}
"""What the history calls each outcome."""


def backoff_seconds(failures: int, settings: RetrySettings, random: Random) -> float:
    """The pause after so many failed attempts (1 and up): exponential, with full jitter."""
    # 2 ** 60 is past any delay that can be set, and keeps a long history from making a number too large for a float.
    longest = min(settings.max_delay_seconds, settings.base_seconds * 2.0 ** min(failures - 1, 60))
    return random.uniform(0, longest)


def conclude(
    delivery: Delivery,
    outcome: Outcome,
    *,
    began: datetime,
    took_ms: int,
    now: datetime,
    settings: ChannelSettings,
    random: Random,
    was_known_down: bool = False,
) -> None:
    """Write an attempt's outcome into `delivery`: history, status, retries, next attempt, error. `was_known_down` says that
    the attempt was one that tries whether a host works again."""
    reason = "" if isinstance(outcome, Sent) else storable(outcome.reason)
    code = storable(outcome.code) if isinstance(outcome.code, str) else outcome.code
    add_attempt(delivery, Attempt(at=began, outcome=NAMES[type(outcome)], code=code, reason=reason or None, ms=took_ms))
    if isinstance(outcome, Sent | Waiting) and outcome.reference:
        delivery.reference = storable(outcome.reference)
    delivery.updated_at = now
    match outcome:
        case Sent():
            _end(delivery, Status.COMPLETE, None)
        case Waiting():
            _again(delivery, Status(outcome.status), outcome.after_seconds, reason, now, settings.retry, "waiting")
        case Rejected(scope=Scope.MESSAGE | Scope.TARGET):
            _end(delivery, Status.FAILED, DeliveryError(code=f"rejected_{outcome.scope}", reason=reason))
        case Rejected():
            # The router's own credentials or settings are at fault. Somebody will mend them; until then nothing is lost
            # but time, so only the age ends it, and no retry is used up that it may need afterwards.
            refusals = sum(1 for _ in takewhile(lambda a: a.outcome == "rejected", reversed(delivery.attempts)))
            pause = max(settings.retry.base_seconds, backoff_seconds(refusals, settings.retry, random))
            _again(delivery, Status.PENDING, pause, reason, now, settings.retry, "channel_refused")
        case Uncertain() if settings.on_uncertain == "hold":
            _end(delivery, Status.UNCERTAIN, DeliveryError(code="uncertain", reason=reason))
        case Retry(pauses=Scope()):
            pause = settings.retry.base_seconds if outcome.after_seconds is None else outcome.after_seconds
            _again(delivery, Status.PENDING, pause, reason, now, settings.retry, "rate_limited")
        case Retry(host_is_down=True) if was_known_down:
            # It is not this message that fails: of all that wait for the host, somebody has to try. So only the age ends it.
            # The pauses grow none the less: if it is this message that brings the host down, the others must come first.
            failures = sum(
                1 for _ in takewhile(lambda a: a.outcome in ("retry", "uncertain"), reversed(delivery.attempts))
            )
            pause = max(outcome.after_seconds or 0, backoff_seconds(failures, settings.retry, random))
            _again(delivery, Status.PENDING, pause, reason, now, settings.retry, "host_down")
        case Retry() | Uncertain():
            delivery.retries += 1
            if delivery.retries > settings.retry.max_retries:
                delivery.retries -= 1
                why = f"gave up after {delivery.retries} retries; the last: {reason}"
                _end(delivery, Status.FAILED, DeliveryError(code="retries_exhausted", reason=why))
                return
            asked = outcome.after_seconds if isinstance(outcome, Retry) else None
            pause = max(asked or 0, backoff_seconds(delivery.retries, settings.retry, random))
            kind = "retrying" if isinstance(outcome, Retry) else "uncertain"
            _again(delivery, Status.PENDING, pause, reason, now, settings.retry, kind)


def add_attempt(delivery: Delivery, attempt: Attempt) -> None:
    """Append to the history, which keeps the last 20; an intent written before the attempt gives way to its outcome."""
    kept = [a for a in delivery.attempts if not (a.outcome == "started" and a.at == attempt.at)]
    delivery.attempts = [*kept, attempt][-KEPT_ATTEMPTS:]


def expire(delivery: Delivery, expires_at: datetime, now: datetime) -> None:
    """End a delivery whose message is no use any more."""
    delivery.updated_at = now
    reason = f"content.expires_at ({to_text(expires_at)}) passed before it could be sent"
    _end(delivery, Status.EXPIRED, DeliveryError(code="expired", reason=reason))


def fail(delivery: Delivery, code: str, reason: str, now: datetime, status: Status = Status.FAILED) -> None:
    """End a delivery that cannot be attempted at all."""
    delivery.updated_at = now
    _end(delivery, status, DeliveryError(code=code, reason=reason))


def cancel(delivery: Delivery, now: datetime) -> None:
    """End a delivery whose message was deleted before it went out."""
    fail(delivery, "message_deleted", "the message document was deleted", now, Status.CANCELLED)


def interrupted(delivery: Delivery, began: datetime, now: datetime, *, hold: bool) -> None:
    """Write into a delivery that a router began an attempt at `began` and did not live to see its end. Under `hold` that
    ends it."""
    reason = "the router stopped in the middle of this attempt; nobody knows whether it arrived"
    add_attempt(delivery, Attempt(at=began, outcome="uncertain", code=None, reason=reason, ms=None))
    delivery.updated_at = now
    if hold:
        fail(delivery, "uncertain", reason, now, Status.UNCERTAIN)


def may_have_been_sent(delivery: Delivery) -> None:
    """Write into a delivery without a document that a router that came to an untimely end may have sent it: it had no time
    to say."""
    reason = "the router ended without warning before it could record what it had in hand; this may have been sent then"
    add_attempt(delivery, Attempt(at=delivery.created_at, outcome="uncertain", code=None, reason=reason, ms=None))


def was_attempted(delivery: Delivery) -> bool:
    """Whether an attempt was made of which a router lived to see the end."""
    return any(attempt.ms is not None for attempt in delivery.attempts)


def open_intent(delivery: Delivery) -> Attempt | None:
    """The last attempt, if its outcome was never written."""
    last = delivery.attempts[-1] if delivery.attempts else None
    return last if last is not None and last.outcome == "started" else None


def _again(
    delivery: Delivery,
    status: Status,
    after_seconds: float,
    reason: str,
    now: datetime,
    settings: RetrySettings,
    code: str,
) -> None:
    if (now - delivery.waiting_since).total_seconds() >= settings.max_age_seconds:
        why = f"gave up after {settings.max_age_seconds:g} seconds; the last: {reason}"
        _end(delivery, Status.FAILED, DeliveryError(code="too_old", reason=why))
        return
    delivery.status = status
    # Not past its age by more than it may grow old: whoever asks for a longer pause is asked again then.
    delivery.next_attempt_at = now + timedelta(seconds=min(after_seconds, settings.max_age_seconds))
    delivery.error = DeliveryError(code=code, reason=reason)


def _end(delivery: Delivery, status: Status, error: DeliveryError | None) -> None:
    if (
        error is not None
        and status is not Status.UNCERTAIN
        and any(a.outcome == "uncertain" for a in delivery.attempts)
    ):
        # It may stand where it was sent: that it failed, or was never sent, is more than anybody knows.
        status = Status.UNCERTAIN
        error = DeliveryError(
            code=error.code, reason=f"{error.reason}; an earlier attempt had no answer and may have arrived"
        )
    delivery.status = status
    delivery.next_attempt_at = None
    delivery.error = error
