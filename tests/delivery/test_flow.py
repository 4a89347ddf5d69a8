"""Whether to wait for a place in a lane: by how fast it is left, and by whether the others have anything to do."""

import pytest

from router.delivery.flow import (
    BRISK_PER_SECOND,
    MOVING_PER_SECOND,
    SPAN_SECONDS,
    TRIAL_SECONDS,
    VERDICT_SECONDS,
    Flow,
)


class Lane:
    """One that is left at a steady rate, from 0 on."""

    def __init__(self, per_second: float) -> None:
        self.flow = Flow()
        self.flow.begin(0)
        self.gap = 1 / per_second
        self._now = 0.0

    def until(self, now: float) -> Flow:
        while self._now + self.gap <= now:
            self._now += self.gap
            self.flow.leaves()
            self.flow.left(self._now)
        return self.flow

    def is_waited_for(self, now: float, *, others_are_idle: bool) -> bool:
        return self.until(now).is_worth_waiting_for(now, others_are_idle=others_are_idle)


@pytest.mark.parametrize(
    ("per_second", "while_others_work", "while_they_do_not"),
    [
        (2 * BRISK_PER_SECOND, True, True),
        (0.8 * BRISK_PER_SECOND, True, False),
        (2 * MOVING_PER_SECOND, True, False),
        (0.5 * MOVING_PER_SECOND, False, False),
    ],
)
def test_a_lane_that_is_left_so_fast(per_second: float, while_others_work: bool, while_they_do_not: bool) -> None:
    now = 5 * SPAN_SECONDS
    assert Lane(per_second).is_waited_for(now, others_are_idle=False) is while_others_work
    lane = Lane(per_second)
    lane.is_waited_for(now, others_are_idle=True)
    # The others are idle for so long that it had its trial.
    moments = [now + share * TRIAL_SECONDS for share in (0.25, 0.5, 0.75, 1.0, 1.25)]
    assert [lane.is_waited_for(moment, others_are_idle=True) for moment in moments][-1] is while_they_do_not


def test_one_that_has_only_begun_is_given_the_time_to_show() -> None:
    flow = Flow()
    flow.begin(100)
    assert flow.is_worth_waiting_for(100 + 0.9 * SPAN_SECONDS, others_are_idle=False)
    assert not flow.is_worth_waiting_for(100 + 1.1 * SPAN_SECONDS, others_are_idle=False)


def test_one_that_was_slow_because_the_others_worked_proves_it_when_they_do_not() -> None:
    lane = Lane(0.5 * BRISK_PER_SECOND)
    began = 5 * SPAN_SECONDS
    assert lane.is_waited_for(began, others_are_idle=True)
    lane.gap = 0.5 / BRISK_PER_SECOND
    for tenth in range(1, 40):
        assert lane.is_waited_for(began + tenth * TRIAL_SECONDS / 10, others_are_idle=True)


def test_one_that_was_not_is_tried_again_only_after_a_while() -> None:
    lane = Lane(2 * MOVING_PER_SECOND)
    began = 5 * SPAN_SECONDS
    said = [lane.is_waited_for(began + step * 0.1, others_are_idle=True) for step in range(400)]
    waited_seconds = said.count(True) * 0.1
    assert said[0]
    assert waited_seconds == pytest.approx(2 * TRIAL_SECONDS, abs=0.5)
    assert not any(said[int(TRIAL_SECONDS * 10) + 2 : int(VERDICT_SECONDS * 10)])


def test_what_waits_only_for_its_document_has_as_good_as_left() -> None:
    flow = Flow()
    flow.begin(0)
    for _ in range(int(BRISK_PER_SECOND * SPAN_SECONDS)):
        flow.leaves()
    assert flow.leaving == BRISK_PER_SECOND * SPAN_SECONDS
    assert flow.is_worth_waiting_for(1000, others_are_idle=True)
