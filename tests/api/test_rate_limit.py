"""How often one caller may call, whatever the others do, and how much memory that takes."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from router.api.rate_limit import RateLimit


def test_a_burst_may_come_at_once_and_then_one_by_one() -> None:
    limit = RateLimit(rate_per_second=20, burst=60)
    assert [limit.take("alice", 100) for _ in range(61)] == [0] * 60 + [1]
    assert limit.take("alice", 100.04) == 1
    assert limit.take("alice", 100.05) == 0
    assert limit.take("alice", 100.05) == 1


def test_the_wait_is_in_whole_seconds_rounded_up() -> None:
    limit = RateLimit(rate_per_second=0.25, burst=1)
    assert limit.take("alice", 0) == 0
    assert [limit.take("alice", now) for now in (0, 0.5, 1, 3.5, 3.999)] == [4, 4, 3, 1, 1]
    assert limit.take("alice", 4) == 0


def test_one_who_asks_too_soon_pays_nothing_for_it() -> None:
    limit = RateLimit(1, 1)
    assert limit.take("alice", 0) == 0
    assert all(limit.take("alice", 0.5) == 1 for _ in range(1000))
    assert limit.take("alice", 1) == 0


def test_callers_do_not_pay_for_each_other() -> None:
    limit = RateLimit(1, 1)
    assert [limit.take(caller, 0) for caller in ("alice", "alice", "bob", "bob")] == [0, 1, 0, 1]


def test_those_that_called_last_are_kept_in_mind_and_no_more() -> None:
    limit = RateLimit(1, 1, most_callers=3)
    for caller in "abc":
        limit.take(caller, 0)
    assert limit.take("a", 0) == 1  # and so "b" is the one that called longest ago
    assert limit.take("d", 0) == 0
    assert len(limit) == 3
    assert [limit.take(caller, 0) for caller in "acd"] == [1, 1, 1]
    assert limit.take("b", 0) == 0  # forgotten, so it starts afresh
    for number in range(1000):
        limit.take(f"caller-{number}", 0)
    assert len(limit) == 3


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=80)


@given(rate=st.floats(0.001, 100), burst=st.integers(1, 10), steps=STEPS)
def test_nobody_ever_calls_more_often_than_allowed(rate: float, burst: int, steps: list[tuple[str, float]]) -> None:
    limit, now = RateLimit(rate, burst), 0.0
    taken: defaultdict[str, list[float]] = defaultdict(list)
    for caller, pause in steps:
        now += pause
        if limit.take(caller, now) == 0:
            taken[caller].append(now)
    for times in taken.values():
        for first, since in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= burst + rate * (times[last] - since) + 1e-6


@given(rate=st.floats(0.0001, 1000), burst=st.integers(1, 10), start=st.floats(0, 1e6))
def test_who_waits_as_long_as_told_may_come(rate: float, burst: int, start: float) -> None:
    limit = RateLimit(rate, burst)
    for _ in range(burst):
        assert limit.take("alice", start) == 0
    wait_seconds = limit.take("alice", start)
    if wait_seconds == 0:
        return  # the next had come in the meantime of a rounding error
    assert limit.take("alice", start + wait_seconds) == 0
