"""The breaker: a host that is down is left alone but for one probe at a time, and is back as soon as a probe says so."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router.delivery.breaker import PROBE_POLL_SECONDS, Breaker


def breaker(failures_to_open: int = 3, seed: int = 1) -> Breaker:
    return Breaker(failures_to_open=failures_to_open, base_seconds=1, longest_seconds=60, random=Random(seed))  # noqa: S311


def opened(failures_to_open: int = 3) -> tuple[Breaker, float]:
    """One that has just opened, at 10; and when its pause is over."""
    one = breaker(failures_to_open)
    seconds = None
    for _ in range(failures_to_open):
        one.begin(9)
        seconds = one.failed(10, 9)
    assert seconds is not None
    return one, 10 + seconds


TABLE: list[tuple[str, str, str]] = [
    # what happens after the other (b: begins, s: succeeds, f: fails, r: released, p: the pause passes), in which state it ends
    ("", "", "closed"),
    ("a failure", "bf", "closed"),
    ("two of three", "bfbf", "closed"),
    ("three of three", "bfbfbf", "open"),
    ("a success between them", "bfbfbsbf", "closed"),
    ("none of three said anything", "brbrbrbr", "closed"),
    ("one that says nothing between them", "bfbfbrbf", "open"),
    ("the pause over, nothing begun", "bfbfbfp", "open"),
    ("a probe", "bfbfbfpb", "half_open"),
    ("a probe that succeeds", "bfbfbfpbs", "closed"),
    ("a probe that fails", "bfbfbfpbf", "open"),
    ("a probe that says nothing", "bfbfbfpbr", "half_open"),
    ("a second probe after it", "bfbfbfpbrbs", "closed"),
    ("a second probe after it that fails", "bfbfbfpbrbf", "open"),
    ("after the failed probe another pause and probe", "bfbfbfpbfpb", "half_open"),
    ("closed, it takes three again", "bfbfbfpbsbfbf", "closed"),
    ("closed, and three again", "bfbfbfpbsbfbfbf", "open"),
]


@pytest.mark.parametrize(("what", "happens", "ends"), TABLE)
def test_table(what: str, happens: str, ends: str) -> None:
    one, now, begun = breaker(), 0.0, 0.0
    for event in happens:
        now += 0.001
        if event == "b":
            assert one.wait_seconds(now) == 0
            one.begin(now)
            begun = now
        elif event == "s":
            one.succeeded(begun)
        elif event == "f":
            one.failed(now, begun)
        elif event == "r":
            one.released(begun)
        else:
            now += one.wait_seconds(now)
    assert one.state == ends, what
    assert (one.opened_at is None) == (ends == "closed")


def test_open_it_lets_nothing_through_for_as_long_as_it_said() -> None:
    one, until = opened()
    assert 0.5 <= until - 10 <= 1
    assert one.opened_at == 10
    assert one.wait_seconds(10) == until - 10
    assert one.wait_seconds(until - 0.1) == pytest.approx(0.1)
    assert one.wait_seconds(until) == 0


def test_one_probe_at_a_time() -> None:
    one, until = opened()
    one.begin(until)
    assert one.wait_seconds(until) == one.wait_seconds(until + 100) == PROBE_POLL_SECONDS
    one.released(until)
    assert one.wait_seconds(until) == 0
    one.begin(until + 1)
    assert one.wait_seconds(until + 1) == PROBE_POLL_SECONDS
    assert one.succeeded(until + 1)
    assert one.wait_seconds(until + 1) == 0
    assert one.state == "closed"


def test_each_failed_probe_doubles_the_pause_up_to_the_longest_and_a_success_begins_anew() -> None:
    one, now = opened()
    for opening in range(1, 10):
        one.begin(now)
        seconds = one.failed(now, now)
        longest = min(2.0**opening, 60)
        assert seconds is not None
        assert longest / 2 <= seconds <= longest
        assert one.opened_at == 10
        now += seconds
    one.begin(now)
    assert one.succeeded(now)
    for _ in range(2):
        one.begin(now + 1)
        assert one.failed(now + 1, now + 1) is None
    one.begin(now + 1)
    assert one.failed(now + 1, now + 1) == pytest.approx(0.75, abs=0.25)
    assert one.opened_at == now + 1


def test_the_pauses_differ_from_one_router_to_the_next() -> None:
    pauses = set()
    for seed in range(20):
        one = breaker(failures_to_open=1, seed=seed)
        one.begin(0)
        pauses.add(one.failed(0, 0))
    assert len(pauses) == 20


def test_a_burst_of_parallel_failures_is_one_opening() -> None:
    one = breaker(failures_to_open=5)
    for sent in range(8):
        one.begin(sent / 1000)
    told = [one.failed(1 + sent / 1000, sent / 1000) for sent in range(8)]
    assert [seconds is not None for seconds in told] == [False] * 4 + [True] + [False] * 3
    assert one.wait_seconds(1.004) == told[4]


def test_late_answers_from_before_it_opened_change_nothing() -> None:
    one, until = opened()
    one.begin(until)
    for late in (8.0, 9.0):
        assert one.failed(until, late) is None
        assert not one.succeeded(late)
        one.released(late)
    assert one.opened_at == 10
    assert one.wait_seconds(until) == PROBE_POLL_SECONDS
    assert one.succeeded(until)
    for _ in range(10):  # Nor do they open it again when a probe has shown that the host is back.
        assert one.failed(until + 1, 9.0) is None
    assert one.state == "closed"
    for _ in range(2):
        one.failed(until + 1, until + 0.5)
    one.succeeded(9.0)  # Nor do they take failures back.
    assert one.failed(until + 1, until + 0.5) is not None


@given(failures=st.integers(1, 10), seed=st.integers(0, 100), probes=st.integers(0, 200))
def test_however_long_it_was_down_one_success_is_enough(failures: int, seed: int, probes: int) -> None:
    one, now = breaker(failures, seed), 0.0
    for _ in range(failures):
        one.begin(now)
        one.failed(now, now)
    for _ in range(probes):
        now += one.wait_seconds(now)
        one.begin(now)
        seconds = one.failed(now, now)
        assert seconds is not None
        assert 0 < seconds <= 60
    now += one.wait_seconds(now)
    assert one.wait_seconds(now) == 0
    one.begin(now)
    assert one.succeeded(now)
    assert (one.state, one.opened_at, one.wait_seconds(now)) == ("closed", None, 0)


class Lane(RuleBasedStateMachine):
    """Senders that obey the breaker, against the simplest description of what it is to do."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = breaker(failures_to_open=3)
        self.now = 0.0
        self.under_way: list[tuple[float, int]] = []
        self.epoch = 0
        """Counts the openings and the probes: an answer counts only in the epoch in which its send began."""
        self.state = "closed"
        self.failures = 0
        self.open_until = 0.0
        self.probing = False

    @rule(seconds=st.floats(0.001, 5))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.state == "open")
    @rule()
    def the_pause_passes(self) -> None:
        self.now = max(self.now, self.open_until) + 0.001

    @rule()
    def one_would_send(self) -> None:
        self.now += 0.001
        if self.breaker.wait_seconds(self.now) > 0:
            return
        assert not self.probing
        assert self.state != "open" or self.now >= self.open_until
        if self.state != "closed":
            self.state, self.probing = "half_open", True
            self.epoch += 1
        self.breaker.begin(self.now)
        self.under_way.append((self.now, self.epoch))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 100))
    def one_succeeds(self, which: int) -> None:
        begun, epoch = self.under_way.pop(which % len(self.under_way))
        closes = epoch == self.epoch and self.state == "half_open"
        assert self.breaker.succeeded(begun) is closes
        if closes:
            self.state, self.probing = "closed", False
        if epoch == self.epoch:
            self.failures = 0

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 100))
    def one_fails(self, which: int) -> None:
        begun, epoch = self.under_way.pop(which % len(self.under_way))
        counts = epoch == self.epoch
        self.failures += counts
        opens = counts and (self.state == "half_open" or self.failures >= 3)
        seconds = self.breaker.failed(self.now, begun)
        assert (seconds is not None) is opens
        if seconds is not None:
            assert 0.5 <= seconds <= 60
            self.state, self.probing, self.failures = "open", False, 0
            self.open_until = self.now + seconds
            self.epoch += 1

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 100))
    def one_says_nothing(self, which: int) -> None:
        begun, epoch = self.under_way.pop(which % len(self.under_way))
        self.breaker.released(begun)
        if epoch == self.epoch:
            self.probing = False

    @invariant()
    def it_is_as_described(self) -> None:
        assert self.breaker.state == self.state
        assert (self.breaker.opened_at is None) == (self.state == "closed")
        wait = self.breaker.wait_seconds(self.now)
        if self.state == "open":
            assert wait == pytest.approx(max(0.0, self.open_until - self.now))
        else:
            assert wait == (PROBE_POLL_SECONDS if self.probing else 0)
        probes = [epoch for _, epoch in self.under_way if epoch == self.epoch]
        assert self.state != "half_open" or len(probes) == self.probing


Lane.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=50)
TestLane = Lane.TestCase
