"""Deliveries for the tests of what becomes of them."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import strategies as st

from router.documents.delivery import (
    Attempt,
    AttemptOutcome,
    Delivery,
    DeliveryError,
    Status,
    delivery_id,
    delivery_uuid,
)

NOW = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)
THE_ID = delivery_id("m1", "mail", "x")


def dice(seed: int) -> Random:
    """Chance that falls the same way each time."""
    return Random(seed)  # noqa: S311 - jitter, not cryptography


def after(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def delivery(**fields: object) -> Delivery:
    """The delivery of message m1 to mailbox x, pending since NOW."""
    known: dict[str, object] = {
        "id": THE_ID,
        "message_id": "m1",
        "message_rev": "1-m",
        "group": "#a",
        "channel": "mail",
        "target": "x",
        "targets": 1,
        "status": Status.PENDING,
        "uuid": delivery_uuid(THE_ID),
        "created_at": NOW,
        "updated_at": NOW,
        "next_attempt_at": NOW,
    }
    return Delivery.model_validate({**known, **fields})


def attempt(seconds: float, outcome: AttemptOutcome = "retry", ms: int | None = 5) -> Attempt:
    """An attempt that began so many seconds after NOW."""
    return Attempt(at=after(seconds), outcome=outcome, code=None, reason=None, ms=ms)


MOMENTS = st.sampled_from([0, 10, 20]).map(after)
"""Few, so that two documents often have the same."""
ATTEMPTS = st.lists(
    st.builds(
        attempt,
        st.integers(0, 60),
        st.sampled_from(["started", "sent", "retry", "rejected", "uncertain", "waiting"]),
        st.none() | st.integers(0, 2),
    ),
    max_size=25,
)
DELIVERIES = st.builds(
    delivery,
    rev=st.none() | st.sampled_from(["1-a", "2-b"]),
    status=st.sampled_from(Status),
    retries=st.integers(0, 9),
    attempts=ATTEMPTS,
    created_at=MOMENTS,
    updated_at=MOMENTS,
    retried_at=st.none() | MOMENTS,
    next_attempt_at=st.none() | MOMENTS,
    reference=st.none() | st.sampled_from(["r1", "r2"]),
    error=st.none() | st.builds(DeliveryError, code=st.sampled_from("ab"), reason=st.just("x")),
    mapping_rev=st.none() | st.sampled_from(["1-x", "2-x"]),
)
