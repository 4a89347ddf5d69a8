"""What a 429 teaches: nearly all of what is allowed is used, next to nothing is wasted, whichever way the other side counts."""

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.delivery.accepted import Run
from router.delivery.pace import FORGET_SECONDS, RECENT_SECONDS, SLOWEST_PER_SECOND, Pace
from tests.delivery.limits import (
    Bucket,
    FixedWindow,
    Peer,
    SlidingWindow,
    milliseconds,
    nothing,
    storm,
    whole_seconds,
)

Says = Callable[[float], float]


def exactly(seconds: float) -> float:
    return seconds


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("says", [whole_seconds, milliseconds, exactly])
@pytest.mark.parametrize("burst", [10, 1])
def test_a_bucket_of_ten_a_second_is_used_up_and_not_bothered(burst: int, says: Says, seed: int) -> None:
    """The figure of the issue, with the learning in it."""
    result = storm(Bucket(burst, (0, 10)), says, seed=seed)
    assert result.share >= 0.95
    assert result.wasted <= 0.05
    assert result.left_in_a_pause == 0


OTHERS: list[tuple[str, Callable[[], Peer], Says, float, float, float]] = [
    # what, the peer, how it says how long, for how many seconds; share at least, wasted at most
    ("fixed window of a second", lambda: FixedWindow(10, 1, 0.3), whole_seconds, 60, 0.93, 0.03),
    ("fixed window of a second", lambda: FixedWindow(10, 1, 0.7), milliseconds, 60, 0.95, 0.03),
    ("fixed window of a second", lambda: FixedWindow(10, 1, 0.3), nothing, 60, 0.8, 0.03),
    ("sliding window of a second", lambda: SlidingWindow(10, 1), whole_seconds, 60, 0.95, 0.03),
    ("sliding window of a second", lambda: SlidingWindow(10, 1), milliseconds, 60, 0.95, 0.03),
    ("sliding window of a second", lambda: SlidingWindow(10, 1), nothing, 60, 0.8, 0.03),
    ("fixed window of a minute", lambda: FixedWindow(600, 60, 0.3), whole_seconds, 240, 0.9, 0.02),
    ("fixed window of a minute", lambda: FixedWindow(600, 60, 0.3), nothing, 240, 0.8, 0.05),
    ("sliding window of a minute", lambda: SlidingWindow(600, 60), whole_seconds, 240, 0.95, 0.02),
    ("one a second, as Slack", lambda: Bucket(1, (0, 1)), whole_seconds, 60, 0.95, 0.15),
    ("one a second for ten minutes", lambda: Bucket(1, (0, 1)), whole_seconds, 600, 0.95, 0.05),
    ("one a second after ten at once", lambda: Bucket(10, (0, 1)), whole_seconds, 600, 0.95, 0.05),
    ("Synapse's 0.2 a second, ten at once", lambda: Bucket(10, (0, 0.2)), milliseconds, 600, 0.95, 0.15),
    ("nothing said", lambda: Bucket(10, (0, 10)), nothing, 60, 0.9, 0.03),
    ("nothing said, one at a time", lambda: Bucket(1, (0, 10)), nothing, 60, 0.8, 0.03),
    ("not round", lambda: Bucket(20, (0, 7.3)), whole_seconds, 60, 0.95, 0.05),
    ("not round, one at a time", lambda: Bucket(1, (0, 7.3)), whole_seconds, 60, 0.9, 0.03),
    ("fast", lambda: Bucket(10, (0, 100)), whole_seconds, 60, 0.9, 0.01),
    ("fast, with a large burst", lambda: Bucket(50, (0, 50)), whole_seconds, 60, 0.95, 0.01),
    ("five minutes", lambda: Bucket(1, (0, 10)), whole_seconds, 300, 0.95, 0.01),
    ("five minutes", lambda: Bucket(10, (0, 10)), whole_seconds, 300, 0.97, 0.01),
]


@pytest.mark.parametrize(("what", "peer", "says", "seconds", "share", "wasted"), OTHERS)
def test_other_ways_to_count(
    what: str, peer: Callable[[], Peer], says: Says, seconds: float, share: float, wasted: float
) -> None:
    for seed in range(2):
        result = storm(peer(), says, seconds=seconds, seed=seed)
        assert result.share >= share, (what, result.share)
        assert result.wasted <= wasted, (what, result.wasted)
        assert result.left_in_a_pause == 0


@pytest.mark.parametrize("senders", [1, 64])
def test_however_many_send_side_by_side(senders: int) -> None:
    result = storm(Bucket(10, (0, 10)), whole_seconds, seconds=300, senders=senders)
    assert result.share >= 0.95
    assert result.wasted <= 0.05


def test_a_slow_and_uneven_way_there_costs_little() -> None:
    result = storm(
        Bucket(10, (0, 10)), whole_seconds, latency_seconds=(0.15, 0.3), way_seconds=(0.05, 0.07), late_seconds=0.003
    )
    assert result.share >= 0.95
    assert result.wasted <= 0.05


@pytest.mark.parametrize("burst", [10, 1])
@pytest.mark.parametrize("says", [whole_seconds, milliseconds])
def test_a_limit_that_changes_is_found_again(burst: int, says: Says) -> None:
    """10 a second for two minutes, then 3, then 30: the lower one at once, the higher one within two minutes."""
    peer = Bucket(burst, (0, 10), (120, 3), (240, 30))
    result = storm(peer, says, seconds=400)
    assert result.wasted <= 0.02
    lowered = sum(150 <= moment < 200 for moment in result.left_at) / 50
    assert 0.8 * 3 <= lowered <= 1.05 * 3
    raised = sum(360 <= moment < 400 for moment in result.left_at) / 40
    assert 0.8 * 30 <= raised <= 1.05 * 30


def test_without_a_429_it_never_limits() -> None:
    pace = Pace()
    for number in range(10_000):
        now = number / 1000
        assert pace.wait_seconds(now) == 0
        pace.begin(now)
        pace.accepted(now + 0.01, now)


def test_a_429_pauses_for_as_long_as_it_says_and_the_longest_of_several_counts() -> None:
    pace = Pace()
    for moment in (10.0, 10.001, 10.002):
        pace.begin(moment)
    pace.refused(10.01, 10.0, 3)
    pace.refused(10.02, 10.002, 5)
    pace.refused(10.03, 10.001, 1)
    assert pace.wait_seconds(10.03) == pytest.approx(4.99)
    assert pace.wait_seconds(15.0) == pytest.approx(0.02)
    assert pace.wait_seconds(15.03) == 0


def test_a_late_answer_from_before_the_pause_pauses_again_but_teaches_nothing() -> None:
    """Twenty a second are allowed; one answer of the first storm takes three seconds."""
    paces = [Pace(), Pace()]
    for pace in paces:
        for moment in (0.0, 0.001, 0.002):
            pace.begin(moment)
        pace.accepted(0.01, 0.0)
        pace.refused(0.01, 0.001, 1)
        for step in range(5):
            moment = 1.1 + step
            pace.begin(moment)
            pace.accepted(moment + 0.01, moment)
    with_late_answer, without = paces
    with_late_answer.refused(5.2, 0.002, 2)
    assert with_late_answer.wait_seconds(5.2) == 2
    for pace in paces:
        assert pace.wait_seconds(20) == 0
        pace.begin(20)
    assert with_late_answer.wait_seconds(20) == without.wait_seconds(20) > 0


@pytest.mark.parametrize("stormy_seconds", [1.0, 60.0])
def test_a_trickle_after_the_lesson_does_not_unlearn_it(stormy_seconds: float) -> None:
    """A storm, left off in the midst of the search or long after it; then one send every ten seconds, which proves nothing
    about the limit."""
    pace, moment, waits = Pace(), 70.0, []
    storm(Bucket(1, (0, 10)), whole_seconds, seconds=stormy_seconds, pace=pace)
    for _ in range(100):
        moment += 10
        assert pace.wait_seconds(moment) == 0
        pace.begin(moment)
        waits.append(pace.wait_seconds(moment))
        pace.accepted(moment + 0.01, moment)
    assert waits[-1] == pytest.approx(waits[1], rel=0.1)
    assert waits[-1] > 1 / 15


def test_it_may_be_forgotten_after_long_quiet_and_forgets_by_itself() -> None:
    pace = Pace()
    assert pace.is_idle(0)
    pace.begin(0)
    assert not pace.is_idle(RECENT_SECONDS)
    assert pace.is_idle(RECENT_SECONDS + 1)
    pace.begin(1000)
    pace.refused(1000.01, 1000, 5000)
    assert not pace.is_idle(1000.01 + 5000 + FORGET_SECONDS)
    pace.begin(6100)
    assert pace.wait_seconds(6100) > 0
    later = 6100 + FORGET_SECONDS + 1
    assert pace.is_idle(later)
    for _ in range(10):
        assert pace.wait_seconds(later) == 0
        pace.begin(later)


def test_one_send_asks_whether_a_pause_that_was_too_short_is_over() -> None:
    """A hundred go through, then nothing for a minute, and each refusal says to come back after a second."""
    pace, now, refused = Pace(), 0.0, 0
    for _ in range(100):
        pace.begin(now)
        pace.accepted(now, now)
    while now < 60:
        pace.begin(now)
        beside = pace.wait_seconds(now)
        pace.refused(now + 0.01, now, 1)
        assert refused < 2 or beside > 0.9
        refused += 1
        now += 0.01 + pace.wait_seconds(now + 0.01)
    pace.begin(now)
    assert pace.wait_seconds(now) > 0.9
    pace.accepted(now + 0.01, now)
    assert pace.wait_seconds(now) < 0.6  # It goes on from what was allowed before: 100 in a minute.


@settings(deadline=None, max_examples=30)
@given(
    rate=st.floats(0.5, 60),
    burst=st.integers(1, 30),
    says=st.sampled_from([whole_seconds, milliseconds, nothing]),
    senders=st.integers(1, 12),
    seed=st.integers(0, 1000),
)
def test_any_bucket_is_obeyed_and_used(rate: float, burst: int, says: Says, senders: int, seed: int) -> None:
    result = storm(Bucket(burst, (0, rate)), says, seconds=120, senders=senders, seed=seed)
    assert result.left_in_a_pause == 0
    assert result.share >= 0.5
    # The first storm finds all senders under way; after it the refused are few.
    assert result.refused - senders <= 20 + 0.05 * result.accepted


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["wait", "early", "accepted", "refused", "nothing"]),
            st.floats(0, 30),
            st.floats(0, 100) | st.just(0.0),
            st.integers(0, 50),
        ),
        max_size=120,
    )
)
@example(
    [
        ("wait", 1.8651858119342206, 0.0, 13),
        ("wait", 0.8, 0.0, 18),
        ("refused", 23.060755148338465, 5.0, 34),
        ("wait", 0.0, 0.0, 49),
        ("refused", 0.0, 1.0, 0),
    ]
)
def test_whatever_comes_it_obeys_the_pauses_and_goes_on(steps: list[tuple[str, float, float, int]]) -> None:
    pace, now, under_way, pause_until = Pace(), 0.0, [0.0], -math.inf
    pace.begin(0.0)
    for what, seconds, pause_seconds, which in steps:
        if what == "wait":
            now += pace.wait_seconds(now) + 1e-6
        elif what == "early":
            now += seconds
        elif under_way:
            begun = under_way.pop(which % len(under_way))
            now += seconds / 100
            if what == "accepted":
                pace.accepted(now, begun)
            elif what == "refused":
                pace.refused(now, begun, pause_seconds)
                pause_until = max(pause_until, now + pause_seconds)
        wait = pace.wait_seconds(now)
        assert max(0.0, pause_until - now) <= wait < math.inf
        if wait == 0:
            pace.begin(now)
            under_way.append(now)
    for _ in range(3):
        # Whatever has been: after the pause one may go, and then another within a minute.
        now += pace.wait_seconds(now) + 1e-6
        assert pace.wait_seconds(now) <= 1e-6
        pace.begin(now)
        assert pace.wait_seconds(now) <= 1 / SLOWEST_PER_SECOND + 1e-6


def test_what_a_storm_says_is_read_off_its_densest_stretch() -> None:
    run = Run(0.0)
    for second in range(30):
        run.add(float(second))
    for sent in range(10):
        run.add(30 + sent / 1000)
    rate, burst = run.storm(end=30.01, pause_until=31.01)
    assert rate == pytest.approx(10, rel=0.02)
    assert burst == pytest.approx(10, abs=0.2)


def test_what_a_bucket_must_have_held_is_read_off_what_passed() -> None:
    run = Run(0.0)
    for moment in (0.5, 0.0, 0.75):  # Answers come in any order.
        run.add(moment)
    assert run.rate_until(2.0) == 1.5
    assert run.sustained_rate(burst=1) == 4
    assert run.sustained_rate(burst=2) == pytest.approx(1 / 0.75)
    assert Run(0.0).sustained_rate(burst=1) == 0
