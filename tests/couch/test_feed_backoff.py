"""Pauses double up to the longest, lie anywhere below, and begin anew after success."""

from hypothesis import given, settings
from hypothesis import strategies as st

from router.couch.backoff import Backoff


def highest(_low: float, high: float) -> float:
    return high


def test_ceilings_double_to_the_longest_and_stay() -> None:
    backoff = Backoff(0.1, 1, highest)
    assert [backoff.next_seconds() for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1, 1]
    backoff.reset()
    assert backoff.next_seconds() == 0.1


def test_a_base_above_the_longest_is_cut() -> None:
    assert Backoff(5, 1, highest).next_seconds() == 1


def test_jitter_is_full() -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    assert Backoff(2, 8, uniform).next_seconds() == 0
    assert drawn == [(0, 2)]


@settings(deadline=None)
@given(st.floats(0.001, 100), st.floats(0.001, 1000), st.integers(1, 3000))
def test_never_longer_than_allowed_however_often(base: float, longest: float, times: int) -> None:
    backoff = Backoff(base, longest)
    assert all(0 <= backoff.next_seconds() <= longest for _ in range(times))
