"""What waits for one target: in the feed's order within each priority, whatever is looked at, put back and taken out."""

from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router.delivery.job import Job
from router.delivery.target_queue import TargetQueue
from router.delivery.turns import MOST_PASSED_OVER, RANKS
from router.documents.delivery import Priority
from tests.delivery.jobs import job


def queue_of(*priorities: Priority) -> TargetQueue:
    queue = TargetQueue()
    for number, priority in enumerate(priorities):
        queue.append(job(str(number), priority=priority))
    return queue


def drained(queue: TargetQueue) -> list[str]:
    return [queue.take().delivery.message_id for _ in range(len(queue))]


def test_the_urgent_first_and_in_their_order() -> None:
    queue = queue_of("normal", "low", "critical", "normal", "low", "critical")
    assert drained(queue) == ["2", "5", "0", "3", "1", "4"]
    assert not queue


def test_what_is_looked_at_is_what_is_taken_unless_something_more_urgent_comes() -> None:
    queue = queue_of("low", "normal")
    assert queue.peek() is queue.peek()
    assert queue.peek().delivery.message_id == "1"
    queue.append(job("2", priority="critical"))
    assert queue.peek().delivery.message_id == "2"
    assert drained(queue) == ["2", "1", "0"]


def test_a_stream_of_critical_ones_that_never_ends_starves_nobody() -> None:
    queue = queue_of("low", "normal", "normal", "critical")
    taken = []
    for number in range(4, 20):
        queue.append(job(str(number), priority="critical"))
        queue.peek()
        taken.append(queue.take().delivery.message_id)
    assert {"0", "1", "2"} < set(taken)
    assert taken[:3] == ["3", "4", "5"]


def test_one_that_is_put_back_is_the_first_of_its_priority() -> None:
    queue = queue_of("normal", "normal")
    first = queue.take()
    queue.append(job("2"))
    queue.put_back(first)
    assert drained(queue) == ["0", "1", "2"]


def test_an_empty_one_has_nothing_to_give() -> None:
    queue = queue_of("normal")
    queue.take()
    for ask in (queue.peek, queue.take):
        with pytest.raises(ValueError, match="nothing waits"):
            ask()
    assert queue.take_all() == []


class Lane(RuleBasedStateMachine):
    """A lane and deletions at work on a queue, against a list for each priority."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = TargetQueue()
        self.lists: dict[str, list[Job]] = defaultdict(list)
        self.number = 0
        self.taken: Job | None = None
        self.passed = dict.fromkeys(RANKS, 0)

    @rule(priority=st.sampled_from(tuple(RANKS)))
    def one_comes(self, priority: Priority) -> None:
        self.number += 1
        one = job(str(self.number), priority=priority)
        self.lists[priority].append(one)
        self.queue.append(one)

    @precondition(lambda self: any(self.lists.values()))
    @rule(looks=st.integers(0, 3))
    def the_next_is_taken(self, looks: int) -> None:
        for _ in range(looks):
            self.queue.peek()
        self.taken = self.queue.take()
        priority = self.taken.delivery.priority
        for each in RANKS:
            self.passed[each] = self.passed[each] + 1 if self.lists[each] and each != priority else 0
            assert self.passed[each] <= max(2, MOST_PASSED_OVER[RANKS[each]] + 1)
        assert self.lists[priority].pop(0) is self.taken

    @precondition(lambda self: self.taken is not None)
    @rule()
    def it_is_put_back(self) -> None:
        assert self.taken is not None
        self.lists[self.taken.delivery.priority].insert(0, self.taken)
        self.queue.put_back(self.taken)
        self.taken = None

    @rule(which=st.integers(0, 100))
    def one_is_cancelled(self, which: int) -> None:
        jobs = [one for ones in self.lists.values() for one in ones]
        if not jobs:
            return
        gone = jobs[which % len(jobs)]
        assert self.queue.remove(gone)
        assert not self.queue.remove(gone)
        self.lists[gone.delivery.priority].remove(gone)

    @precondition(lambda self: self.taken is not None)
    @rule()
    def one_that_is_being_sent_cannot_be_taken_out(self) -> None:
        assert self.taken is not None
        assert not self.queue.remove(self.taken)

    @rule()
    def all_are_handed_back(self) -> None:
        assert self.queue.take_all() == [one for priority in RANKS for one in self.lists[priority]]
        self.lists.clear()

    @invariant()
    def none_is_lost(self) -> None:
        assert len(self.queue) == sum(map(len, self.lists.values()))
        assert bool(self.queue) == any(self.lists.values())


Lane.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=40)
TestLane = Lane.TestCase
