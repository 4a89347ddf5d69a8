"""The places of a lane: never too many taken, in turn, and none lost, whoever is cancelled at whatever moment."""

import asyncio
from collections.abc import Coroutine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.delivery.slots import Slots
from router.delivery.turns import RANKS
from router.documents.delivery import Priority

PRIORITIES = st.sampled_from(tuple(RANKS))


class Crowd:
    """Senders that want a place each, and what became of them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.slots = Slots(size)
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.holding: list[str] = []
        self.had: list[str] = []
        """Who got a place, in the order in which they went on."""

    def come(self, name: str, priority: Priority = "normal") -> None:
        self.tasks[name] = asyncio.ensure_future(self._send(name, priority))

    async def _send(self, name: str, priority: Priority) -> None:
        await self.slots.take(name, priority)
        self.had.append(name)
        self.holding.append(name)
        assert len(self.holding) <= self.size

    def leave(self) -> None:
        """Who has held a place longest gives it back."""
        if self.holding:
            self.holding.pop(0)
            self.slots.give_back()

    async def end(self) -> None:
        """All have left: as many places are free as there were, and not one more."""
        await settled()
        while self.holding:
            self.leave()
            await settled()
        assert all(task.done() for task in self.tasks.values())
        for number in range(self.size):
            await asyncio.wait_for(self.slots.take(f"last {number}", "low"), 1)
        one_more = asyncio.ensure_future(self.slots.take("one too many", "critical"))
        await settled()
        assert not one_more.done()
        one_more.cancel()
        await asyncio.gather(one_more, *self.tasks.values(), return_exceptions=True)


async def settled() -> None:
    """Everybody has gone on as far as they can."""
    for _ in range(4):
        await asyncio.sleep(0)


def run(test: Coroutine[None, None, None]) -> None:
    with asyncio.Runner() as runner:
        runner.run(test)


@given(st.integers(1, 4), st.lists(PRIORITIES, max_size=25))
@settings(deadline=None, max_examples=50)
def test_first_come_first_served_among_those_of_a_priority(size: int, priorities: list[Priority]) -> None:
    async def test() -> None:
        crowd = Crowd(size)
        for number, priority in enumerate(priorities):
            crowd.come(f"{priority} {number:02}", priority)
        await crowd.end()
        assert crowd.had[:size] == [f"{priority} {number:02}" for number, priority in enumerate(priorities[:size])]
        for priority in RANKS:
            of_it = [name for name in crowd.had if name.startswith(priority)]
            assert of_it == sorted(of_it)
        assert len(crowd.had) == len(priorities)

    run(test())


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), PRIORITIES),
        st.tuples(st.just("leave"), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("hurry"), st.integers(0, 30)),
        st.tuples(st.just("settle"), st.none()),
    ),
    max_size=50,
)


@given(st.integers(1, 3), ACTIONS)
@settings(deadline=None, max_examples=150)
def test_no_place_is_lost_or_made_whatever_happens_in_one_moment(
    size: int, actions: list[tuple[str, Priority | int | None]]
) -> None:
    async def test() -> None:
        crowd = Crowd(size)
        for number, (what, whom) in enumerate(actions):
            names = list(crowd.tasks)
            if what == "come" and isinstance(whom, str):
                crowd.come(str(number), whom)
            elif what == "leave":
                crowd.leave()
            elif what == "settle":
                await settled()
            elif names and isinstance(whom, int):
                name = names[whom % len(names)]
                if what == "hurry":
                    crowd.slots.hurry(name)
                else:
                    crowd.tasks[name].cancel()
        await crowd.end()
        assert len(crowd.had) == sum(not task.cancelled() for task in crowd.tasks.values())

    run(test())


@pytest.mark.parametrize("given_first", [True, False])
async def test_a_place_given_in_the_very_moment_of_cancelling_goes_to_the_next(given_first: bool) -> None:
    crowd = Crowd(1)
    for name in ("holds", "is cancelled", "is next"):
        crowd.come(name)
    await settled()
    if given_first:
        crowd.leave()
        crowd.tasks["is cancelled"].cancel()
    else:
        crowd.tasks["is cancelled"].cancel()
        crowd.leave()
    await settled()
    assert crowd.had == ["holds", "is next"]
    await crowd.end()


async def test_all_are_cancelled_at_once_as_a_stop_does() -> None:
    crowd = Crowd(2)
    for number in range(6):
        crowd.come(str(number))
    await settled()
    for task in crowd.tasks.values():
        task.cancel()
    await crowd.end()
    assert crowd.had == ["0", "1"]


async def test_the_urgent_pass_and_the_others_have_their_turn() -> None:
    crowd = Crowd(1)
    crowd.come("first")
    for number in range(12):
        crowd.come(f"low {number}", "low")
        crowd.come(f"normal {number}", "normal")
    await settled()
    for number in range(12):
        crowd.come(f"critical {number}", "critical")
    await crowd.end()
    assert crowd.had[1:4] == ["critical 0", "critical 1", "critical 2"]
    assert [name.split()[0] for name in crowd.had[1:17]].count("critical") in range(9, 12)
    assert "normal 0" in crowd.had[1:6]
    assert "low 0" in crowd.had[1:10]


async def test_one_that_waits_goes_to_the_critical_ones_when_something_critical_comes_for_its_target() -> None:
    crowd = Crowd(1)
    for name in ("holds", "a", "b", "c"):
        crowd.come(name)
    crowd.come("low", "low")
    await settled()
    assert not crowd.slots.is_wanted_before("normal")
    crowd.slots.hurry("low")
    assert crowd.slots.is_wanted_before("normal")
    crowd.slots.hurry("c")
    crowd.slots.hurry("holds")  # It has its place already.
    await crowd.end()
    assert crowd.had == ["holds", "low", "c", "a", "b"]


async def test_who_is_wanted_before_whom() -> None:
    crowd = Crowd(1)
    crowd.come("holds")
    await settled()
    assert not crowd.slots.is_wanted_before("low")
    crowd.come("waits")
    await settled()
    assert crowd.slots.is_wanted_before("low")
    assert not crowd.slots.is_wanted_before("normal")
    assert not crowd.slots.is_wanted_before("critical")
    crowd.tasks["waits"].cancel()
    assert not crowd.slots.is_wanted_before("low")
    await crowd.end()


async def test_who_is_let_through_has_a_place_too_many_which_the_next_to_give_one_back_makes_good() -> None:
    slots = Slots(1)
    await slots.take("a", "normal")
    waiting = [asyncio.create_task(slots.take(name, "normal")) for name in ("b", "c")]
    await asyncio.sleep(0)
    slots.let_through("c")
    slots.let_through("nobody")
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [False, True]
    slots.give_back()
    await asyncio.sleep(0)
    assert not waiting[0].done()
    slots.give_back()
    await waiting[0]
    slots.give_back()
    await slots.take("d", "normal")
