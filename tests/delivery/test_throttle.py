"""How long target, host and channel must wait: by the set rates, by what a 429 asked, and by the host's breaker."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent, Uncertain, Waiting
from router.delivery.throttle import (
    FORGET_PAST,
    QUIET_SECONDS,
    SLOW_PAUSE_SECONDS,
    SLOW_SECONDS,
    WIDE_TARGETS,
    Throttle,
)
from router.settings import BreakerSettings, ChannelSettings, RetrySettings
from tests.delivery.making import NOW, after, dice

DOWN = Retry("no connection", host_is_down=True)
BREAKER = BreakerSettings(failures=3, base_seconds=10, max_seconds=40)


def throttle(**settings: object) -> Throttle:
    return Throttle(ChannelSettings.model_validate({"breaker": BREAKER, **settings}), dice(1))


def attempt(
    one: Throttle,
    outcome: Outcome | None,
    now: float,
    *,
    target: str = "x",
    host: str = "h",
    took_seconds: float = 0.01,
) -> float | None:
    """A whole attempt; for how long it opened the breaker, if it did."""
    one.begin(target, host, now)
    one.end(target, now + took_seconds)
    opened = one.learn(target, host, outcome, now, now + took_seconds)
    if isinstance(outcome, Retry) and outcome.pauses is not None:
        one.pause(target, outcome, now, now + took_seconds)
    return opened


# --- rates


def test_without_limits_nobody_waits() -> None:
    one = throttle()
    for number in range(50):
        assert one.channel_seconds(0) == one.target_seconds("x", 0) == one.host_seconds("h", 0) == 0
        attempt(one, Sent(None), 0, target=f"t{number % 3}")
    assert one.queue_seconds(1000) == 0


def test_the_channels_rate_is_for_all_targets_together() -> None:
    one = throttle(rate_per_second=2, burst=3)
    for target in "abc":
        assert one.channel_seconds(0) == 0
        attempt(one, Sent(None), 0, target=target)
    assert one.channel_seconds(0) == pytest.approx(0.5)
    assert one.target_seconds("a", 0) == 0
    assert one.channel_seconds(0.5) == 0
    attempt(one, Sent(None), 0.5, target="d")
    assert one.channel_seconds(0.5) == pytest.approx(0.5)


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 10),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=40),
)
def test_never_more_leave_than_the_channels_rate_lets(rate: float, burst: int, gaps: list[float]) -> None:
    one, now, left = throttle(rate_per_second=rate, burst=burst), 0.0, list[float]()
    for number, gap in enumerate(gaps):
        now += gap
        while (seconds := one.channel_seconds(now)) > 0:
            now += max(seconds, 1e-6)
        one.begin(f"t{number}", "h", now)
        left.append(now)
    for first, began in enumerate(left):
        for last in range(first, len(left)):
            assert last - first + 1 <= burst + rate * (left[last] - began) + 1e-3


def test_a_targets_rate_is_its_own() -> None:
    one = throttle(target_rate_per_second=1, target_burst=2)
    attempt(one, Sent(None), 0)
    assert one.target_seconds("x", 0) == 0
    attempt(one, Sent(None), 0)
    assert one.target_seconds("x", 0) == pytest.approx(1)
    assert one.target_seconds("y", 0) == one.channel_seconds(0) == 0
    assert one.queue_seconds(2) == 0
    assert one.queue_seconds(12) == 10


def test_the_rates_of_idle_targets_are_forgotten_and_no_others() -> None:
    one = throttle(target_rate_per_second=1)
    attempt(one, Sent(None), 0, target="busy", took_seconds=0)
    for number in range(FORGET_PAST - 1):
        attempt(one, Sent(None), 0, target=f"t{number}", took_seconds=0)
    one.begin("busy", "h", 5)
    one.begin("new", "h", 5)
    assert one.target_seconds("busy", 5) == pytest.approx(1)
    assert len(one._buckets) == 2


# --- 429


@pytest.mark.parametrize(("scope", "x", "y", "channel"), [(Scope.TARGET, 7, 0, 0), (Scope.CHANNEL, 0, 0, 7)])
def test_a_429_pauses_what_it_speaks_of(scope: Scope, x: float, y: float, channel: float) -> None:
    one = throttle()
    attempt(one, Retry("slow down", after_seconds=7, pauses=scope), 100, took_seconds=0.5)
    now = 100.5
    seconds = one.target_seconds("x", now), one.target_seconds("y", now), one.channel_seconds(now)
    assert seconds == pytest.approx((x, y, channel))
    assert one.host_seconds("h", now) == 0
    end = now + 7.001
    assert one.target_seconds("x", end) == one.channel_seconds(end) == 0


@pytest.mark.parametrize("scope", [Scope.TARGET, Scope.CHANNEL])
def test_after_the_pause_it_goes_on_at_a_rate_and_not_in_a_burst(scope: Scope) -> None:
    one = throttle()
    for number in range(5):
        attempt(one, Sent(None), number * 0.1)
    attempt(one, Retry("slow down", after_seconds=1, pauses=scope), 0.5)
    now = 1.6
    assert one.target_seconds("x", now) == one.channel_seconds(now) == 0
    attempt(one, Sent(None), now)
    assert max(one.target_seconds("x", now), one.channel_seconds(now)) > 0.01


TOO_FAST = Retry("slow down", after_seconds=2, pauses=Scope.TARGET)


def test_quiet_targets_that_are_refused_one_after_the_other_share_a_limit() -> None:
    one = throttle()
    for number in range(WIDE_TARGETS):
        assert one.channel_seconds(number / 10) == 0
        attempt(one, TOO_FAST, number / 10, target=f"t{number}")
    assert one.channel_seconds(0.5) > 1
    # From then on, whoever it is that is refused.
    attempt(one, TOO_FAST, 60, target="t0")
    assert one.channel_seconds(60.5) > 1


def test_one_that_was_sent_something_a_moment_before_may_have_been_too_fast_itself() -> None:
    one = throttle()
    for number in range(3 * WIDE_TARGETS):
        attempt(one, Sent(None), number / 10, target=f"t{number}")
        attempt(one, TOO_FAST, number / 10 + 0.05, target=f"t{number}")
    assert one.channel_seconds(1) == 0
    assert one.target_seconds("t0", 1) > 0


def test_now_and_then_one_of_them_says_nothing_of_the_others() -> None:
    one = throttle()
    for number in range(3 * WIDE_TARGETS):
        attempt(one, TOO_FAST, number * QUIET_SECONDS, target=f"t{number}")
    assert one.channel_seconds(3 * WIDE_TARGETS * QUIET_SECONDS) == 0


def test_a_429_that_does_not_say_for_how_long_pauses_as_the_settings_say() -> None:
    one = throttle(retry=RetrySettings(base_seconds=3))
    assert one.pause("x", Retry("slow down", pauses=Scope.TARGET), 0, 0) == 3
    assert one.target_seconds("x", 0) == pytest.approx(3)


# --- the breaker


@pytest.mark.parametrize(
    ("outcome", "opens"),
    [
        (DOWN, True),
        (Uncertain("no answer"), True),
        (Retry("busy", code=503), False),
        (Retry("slow down", after_seconds=1, pauses=Scope.TARGET), False),
        (Rejected("no such mailbox", Scope.TARGET), False),
        (Rejected("bad token", Scope.CHANNEL), False),
        (Rejected("too long", Scope.MESSAGE), False),
        (Waiting("no key", "WAITING_KEY_EXCHANGE", 5), False),
        (Sent(None), False),
        (None, False),
    ],
    ids=repr,
)
def test_what_opens_a_breaker(outcome: Outcome | None, opens: bool) -> None:
    one = throttle()
    told = [attempt(one, outcome, float(now)) for now in range(BREAKER.failures)]
    assert [seconds is not None for seconds in told] == [False] * (BREAKER.failures - 1) + [opens]
    assert (one.breaker_state("h") == "open") is opens
    assert (one.host_seconds("h", 2.01) > 0) is opens
    assert one.host_seconds("other", 2.01) == 0


@pytest.mark.parametrize("outcome", [Sent(None), Rejected("gone", Scope.TARGET), Retry("busy")], ids=repr)
def test_an_answer_of_any_kind_closes_it(outcome: Outcome) -> None:
    one = throttle()
    for now in range(BREAKER.failures):
        attempt(one, DOWN, float(now))
    probe_at = 2.01 + one.host_seconds("h", 2.01)
    assert one.host_seconds("h", probe_at) == 0
    one.begin("x", "h", probe_at)
    assert one.breaker_state("h") == "half_open"
    assert one.host_seconds("h", probe_at) > 0
    one.end("x", probe_at + 1)
    assert one.learn("x", "h", outcome, probe_at, probe_at + 1) is None
    assert (one.breaker_state("h"), one.host_seconds("h", probe_at + 1)) == ("closed", 0)


def test_a_probe_that_was_cut_off_leaves_it_to_the_next() -> None:
    one = throttle()
    for now in range(BREAKER.failures):
        attempt(one, DOWN, float(now))
    probe_at = 2.01 + one.host_seconds("h", 2.01)
    attempt(one, None, probe_at)
    assert one.breaker_state("h") == "half_open"
    assert one.host_seconds("h", probe_at + 0.01) == 0
    assert attempt(one, DOWN, probe_at + 1) is not None


def test_when_all_hosts_are_down() -> None:
    one = throttle()
    assert not one.are_all_down([])
    for now in range(BREAKER.failures):
        attempt(one, DOWN, float(now), host="a")
    assert one.are_all_down(["a"])
    assert not one.are_all_down(["a", "b"])
    for now in range(BREAKER.failures):
        attempt(one, DOWN, float(now), host="b")
    assert one.are_all_down(["a", "b"])
    attempt(one, Sent(None), 60, host="b")
    assert not one.are_all_down(["a", "b"])


# --- slow targets


@pytest.mark.parametrize(
    ("takes_seconds", "pauses"),
    [
        (400, [5, 10, 20, 40, 80, 160, 300, 300]),
        (30, [5, 10, 20, 40, 60, 60, 60, 60]),  # no longer than twice what the last attempt took
        (1.5, [5, 3, 3, 3, 3, 3, 3, 3]),  # slow by nature, not hanging: it goes on
    ],
)
def test_what_waits_behind_a_slow_attempt_waits_longer_each_time(takes_seconds: float, pauses: list[float]) -> None:
    one, now, seconds = throttle(), 0.0, list[float]()
    for _ in pauses:
        one.begin("x", "h", now)
        assert one.slow_seconds("x", now + SLOW_SECONDS - 0.01) == 0
        seconds.append(one.slow_seconds("x", now + SLOW_SECONDS))
        now += takes_seconds
        assert one.end("x", now) == pytest.approx(takes_seconds)
        assert one.slow_seconds("x", now) == 0
    assert seconds == pytest.approx(pauses)
    attempt(one, Sent(None), now)
    one.begin("x", "h", now)
    assert one.slow_seconds("x", now + SLOW_SECONDS) == SLOW_PAUSE_SECONDS


def test_who_is_under_way() -> None:
    one = throttle()
    one.begin("x", "h", 0)
    one.begin("y", "h", 0)
    one.end("x", 1)
    assert one.under_way == ["y"]
    assert one.is_under_way("y")
    assert not one.is_under_way("x")


# --- the line in CouchDB


def test_new_ones_queue_up_behind_those_of_their_target_and_urgency_at_its_rate() -> None:
    one = throttle(target_rate_per_second=2)
    dues = [one.append("x", after(5), is_critical=False) for _ in range(3)]
    assert dues == [after(5.5), after(6), after(6.5)]
    assert one.append("x", NOW, is_critical=True) == after(0.5)
    assert one.append("y", NOW, is_critical=False) == after(0.5)
    assert one.has_line("x", after(6.4), is_critical=False)
    assert not one.has_line("x", after(6.5), is_critical=False)
    assert not one.has_line("z", NOW, is_critical=False)


def test_what_has_to_be_moved_is_not_passed_by_what_came_after_it() -> None:
    one = throttle()
    older, younger = (one.append("x", after(1), is_critical=False) for _ in range(2))
    moved = one.move("x", NOW, after(10), is_critical=False)
    assert moved == after(10)
    assert one.is_behind("x", after(0.5), younger, is_critical=False)
    assert not one.is_behind("x", NOW - timedelta(seconds=1), older, is_critical=False)
    assert not one.is_behind("x", after(0.5), younger, is_critical=True)
    assert one.move("x", after(0.5), NOW, is_critical=False) == after(10.001)
