"""The rate limit: never more than the burst and what has flowed in since, in any window whatever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.delivery.bucket import TokenBucket

RATES = st.floats(0.001, 1000)
BURSTS = st.integers(1, 20)


def test_a_burst_may_leave_at_once_and_then_one_by_one() -> None:
    bucket = TokenBucket(rate_per_second=2, burst=3, now=100)
    for _ in range(3):
        assert bucket.wait_seconds(100) == 0
        bucket.take(100)
    assert bucket.wait_seconds(100) == 0.5
    assert bucket.wait_seconds(100.25) == 0.25
    assert bucket.wait_seconds(100.5) == 0
    bucket.take(100.5)
    assert bucket.wait_seconds(100.5) == 0.5


def test_a_rest_fills_it_up_to_the_burst_and_no_further() -> None:
    bucket = TokenBucket(1, 2, 0)
    bucket.take(0)
    bucket.take(0)
    assert not bucket.is_full(1)
    assert bucket.is_full(2)
    for _ in range(2):
        assert bucket.wait_seconds(1000) == 0
        bucket.take(1000)
    assert bucket.wait_seconds(1000) == 1


def test_one_taken_too_early_is_paid_for() -> None:
    bucket = TokenBucket(1, 1, 0)
    bucket.take(0)
    bucket.take(0)
    assert bucket.wait_seconds(0) == 2


@given(
    rate=RATES,
    burst=BURSTS,
    start=st.floats(0, 1e6),
    steps=st.lists(st.one_of(st.just(0.0), st.floats(0, 10), st.none()), max_size=60),
)
def test_no_window_ever_sees_more_than_it_may(rate: float, burst: int, start: float, steps: list[float | None]) -> None:
    """A step waits so long, or (None) as long as the bucket says; then one leaves if the bucket lets it."""
    bucket, now, left_at = TokenBucket(rate, burst, start), start, []
    for step in steps:
        now += bucket.wait_seconds(now) if step is None else step
        if bucket.wait_seconds(now) == 0:
            bucket.take(now)
            left_at.append(now)
    for first, since in enumerate(left_at):
        for last in range(first, len(left_at)):
            # A millionth for the rounding of floats, which a clock of 1e6 seconds has to the tenth digit.
            assert last - first + 1 <= burst + rate * (left_at[last] - since) + 1e-6


@given(rate=RATES, burst=BURSTS, taken=st.integers(0, 30))
def test_who_waits_as_long_as_it_says_may_go_but_for_rounding(rate: float, burst: int, taken: int) -> None:
    bucket = TokenBucket(rate, burst, 0)
    for _ in range(taken):
        bucket.take(0)
    wait = bucket.wait_seconds(0)
    assert wait == pytest.approx(max(0.0, (taken - burst + 1) / rate))
    assert bucket.wait_seconds(wait) <= wait * 1e-9
