"""Pure: one delivery document out of two that were written side by side."""

from datetime import UTC, datetime

from router.documents.delivery import KEPT_ATTEMPTS, Attempt, Delivery, Status

_RANK = {
    Status.UNROUTABLE: 0,
    Status.PENDING: 1,
    Status.WAITING_KEY_EXCHANGE: 1,
    Status.CANCELLED: 2,
    Status.SUPPRESSED: 2,
    Status.EXPIRED: 3,
    Status.FAILED: 4,
    Status.UNCERTAIN: 5,
    Status.COMPLETE: 6,
}
"""Which status tells more of the truth: what ended somewhere has ended. Of two that wait, the later one is right."""

_OUTLIVES_A_RETRY = frozenset({Status.COMPLETE, Status.UNCERTAIN})
"""What may have arrived: a `router retry` that did not know of it must not have it sent again."""

_FROM_BOTH = {"rev", "attempts", "retries", "reference", "created_at", "retried_at", "updated_at"}

_NEVER = datetime.min.replace(tzinfo=UTC)


def merge(ours: Delivery, theirs: Delivery) -> Delivery:
    """Both histories in one document, under the revision of `theirs`, so that it can be written over it."""
    second, first = sorted((ours, theirs), key=_truth)
    merged = first.model_copy(deep=True)
    merged.rev = theirs.rev
    merged.attempts = _all_attempts((*ours.attempts, *theirs.attempts))[-KEPT_ATTEMPTS:]
    merged.retries = _retries(ours, theirs)
    merged.reference = first.reference or second.reference
    merged.created_at = min(ours.created_at, theirs.created_at)
    merged.retried_at = _latest_retry(ours, theirs)
    merged.updated_at = max(ours.updated_at, theirs.updated_at)
    return merged


def _truth(delivery: Delivery) -> tuple[int, datetime, int, datetime, str, str]:
    """How much the document's status is worth; of two, the greater one stands."""
    rank = _RANK[delivery.status]
    return (
        rank if delivery.status in _OUTLIVES_A_RETRY else 0,
        delivery.retried_at or _NEVER,
        rank,
        delivery.updated_at,
        # So that of two that are worth the same, it is always the same one. What is put together from both has no say.
        delivery.model_dump_json(exclude=_FROM_BOTH),
        delivery.reference or "",
    )


def _all_attempts(attempts: tuple[Attempt, ...]) -> list[Attempt]:
    """Each attempt once, oldest first. An intent gives way to what became of the attempt."""
    ended = {attempt.at for attempt in attempts if attempt.outcome != "started"}
    each = {
        (attempt.at, attempt.model_dump_json()): attempt
        for attempt in attempts
        if attempt.outcome != "started" or attempt.at not in ended
    }
    return [attempt for _, attempt in sorted(each.items(), key=lambda item: item[0])]


def _retries(ours: Delivery, theirs: Delivery) -> int:
    """The higher count; but who asked for another try (`router retry`) began to count anew."""
    if ours.retried_at == theirs.retried_at:
        return max(ours.retries, theirs.retries)
    return max(ours, theirs, key=lambda delivery: delivery.retried_at or _NEVER).retries


def _latest_retry(ours: Delivery, theirs: Delivery) -> datetime | None:
    return max((d.retried_at for d in (ours, theirs) if d.retried_at is not None), default=None)
