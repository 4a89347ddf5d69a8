"""The window of a lane: bounded, with places for those who have little to send, and it knows who is in it and since when."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from router.delivery.job import Job
from router.delivery.window import WINDOW_CHARS, Window
from router.documents.delivery import Priority
from tests.delivery.jobs import job


def filled(size: int, count: int, target: str = "flooded") -> Window:
    window = Window(size)
    for number in range(count):
        window.add(job(f"m{number}", target), now=number)
    return window


@pytest.mark.parametrize(
    ("what", "held", "queued", "priority", "fits"),
    [
        ("an empty one", 0, 0, "normal", True),
        ("the last place but the reserve", 29, 29, "normal", True),
        ("the reserve, a target with nothing here", 30, 0, "normal", True),
        ("the reserve, a target with a flood", 30, 30, "normal", False),
        ("the reserve, a flood but urgent", 30, 30, "critical", True),
        ("the very last place", 39, 0, "normal", True),
        ("full", 40, 0, "normal", False),
        ("full, urgent", 40, 0, "critical", False),
    ],
)
def test_places(what: str, held: int, queued: int, priority: Priority, fits: bool) -> None:
    assert filled(40, held).has_place_for(job("new", priority=priority), queued) is fits, what


def test_of_the_places_kept_each_target_may_take_a_tenth() -> None:
    window = filled(400, 300)  # 100 are kept.
    assert window.has_place_for(job("new"), queued=9)
    assert not window.has_place_for(job("new"), queued=10)


def test_a_window_of_one_place_works() -> None:
    window = filled(1, 0)
    assert window.has_place_for(job("new"), queued=0)
    assert (window.room, window.useful_room) == (1, 1)
    window.add(job("new"), now=0)
    assert window.room == 0


def test_one_message_always_fits_and_more_only_while_there_is_memory() -> None:
    window = Window(100)
    large = job("large", chars=WINDOW_CHARS + 1)
    assert window.has_place_for(large, queued=0)
    window.add(large, now=0)
    assert not window.has_place_for(job("small"), queued=0)
    window.remove(large)
    window.add(job("half", chars=WINDOW_CHARS // 2), now=0)
    assert window.has_place_for(job("other half", chars=WINDOW_CHARS // 2), queued=0)
    assert not window.has_place_for(job("a little more", chars=WINDOW_CHARS // 2 + 1), queued=0)


@pytest.mark.parametrize(("held", "room"), [(0, 30), (10, 20), (35, 0)])
def test_how_full_it_is(held: int, room: int) -> None:
    window = filled(40, held)
    assert (window.room, window.useful_room) == (room, 5)


def test_those_without_a_document_are_known_by_when_they_came() -> None:
    window = Window(10)
    recorded: list[str] = []
    jobs = [job(f"m{number}", is_recorded=number == 1) for number in range(4)]
    for number, one in enumerate(jobs):
        one.on_recorded = lambda name=one.delivery.message_id: recorded.append(name)  # type: ignore[misc]
        window.add(one, now=float(number))
    assert window.without_document_since(3.0) == [jobs[0], jobs[2]]
    assert window.came_before(jobs[0], 0.5)
    assert not window.came_before(jobs[0], 0.0)
    assert not window.came_before(jobs[1], 9.0)
    jobs[0].is_being_recorded = True
    assert window.without_document_since(9.0) == [jobs[2], jobs[3]]
    for _ in range(2):
        window.has_document(jobs[0])
    assert recorded == ["m0"]
    assert window.without_document_since(9.0) == [jobs[2], jobs[3]]


def test_departures_are_told_from_one_look_to_the_next() -> None:
    window = filled(10, 0)
    one, two, three = (job(name) for name in ("one", "two", "three"))
    for each in (one, two, three):
        window.add(each, now=0)
    window.remove(one)
    departed = window.watch_departures()
    assert departed == set()
    window.remove(two)
    window.remove(one)  # It is not in it any more.
    assert departed == {two.delivery.id}
    later = window.watch_departures()
    window.remove(three)
    assert departed == {two.delivery.id}
    assert later == {three.delivery.id}


class Lane(RuleBasedStateMachine):
    """What a lane does to its window, against a plain list."""

    SIZE = 8

    def __init__(self) -> None:
        super().__init__()
        self.window = Window(self.SIZE)
        self.jobs: list[Job] = []
        self.number = 0

    @rule(message=st.integers(0, 2), chars=st.sampled_from([1, 2, WINDOW_CHARS // 3]))
    def one_is_offered(self, message: int, chars: int) -> None:
        self.number += 1
        one = job(f"m{message}", f"t{self.number}", chars=chars)
        if self.window.has_place_for(one, queued=0):
            self.window.add(one, now=self.number)
            self.jobs.append(one)

    @rule(which=st.integers(0, 100))
    def one_leaves(self, which: int) -> None:
        if self.jobs:
            gone = self.jobs.pop(which % len(self.jobs))
            self.window.has_document(gone)
            self.window.remove(gone)
            assert gone.delivery.id not in self.window

    @invariant()
    def it_knows_what_it_holds(self) -> None:
        assert len(self.window) == len(self.jobs) <= self.SIZE
        assert self.window.room == max(0, self.SIZE - 2 - len(self.jobs))
        assert all(one.delivery.id in self.window for one in self.jobs)
        assert self.window.without_document_since(self.number + 1) == self.jobs
        for message in range(3):
            held = [one for one in self.jobs if one.delivery.message_id == f"m{message}"]
            assert self.window.of_message(f"m{message}") == held
        assert sum(one.size_chars for one in self.jobs) <= WINDOW_CHARS


Lane.TestCase.settings = settings(deadline=None, max_examples=30, stateful_step_count=30)
TestLane = Lane.TestCase
