"""What waits for one target is read back in the order in which it came, however often it must wait on."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from router.delivery.line import WaitingLine
from tests.delivery.making import NOW, after

STEP = timedelta(milliseconds=1)


def test_new_ones_are_due_one_after_the_other() -> None:
    line = WaitingLine(STEP)
    dues = [line.append(after(5)), line.append(after(5)), line.append(after(1))]
    assert dues == sorted(dues)
    assert len(set(dues)) == 3
    assert not line.is_over(after(5))
    assert line.is_over(after(6))


@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60),
    st.integers(1, 30),
    st.integers(1, 2000),
)
def test_they_leave_in_the_order_in_which_they_came(
    looks: list[tuple[int, bool]], count: int, step_milliseconds: int
) -> None:
    """A model of lane and backlog: new ones come all the time; at each look those that are due are read, the oldest first,
    and wait on while the target is slow, or where they would pass one that waits."""
    line = WaitingLine(timedelta(milliseconds=step_milliseconds))
    now, came, left = NOW, 0, list[int]()
    waiting: dict[int, datetime] = {}
    births: dict[int, datetime] = {}

    def arrive() -> None:
        nonlocal came
        births[came] = now + came * STEP
        waiting[came] = line.append(now + timedelta(seconds=1))
        came += 1

    arrive()
    for seconds, is_slow in [*looks, *[(40, False)] * 60]:
        now += timedelta(seconds=seconds)
        for number in sorted((n for n in waiting if waiting[n] <= now), key=lambda n: births[n]):
            due = waiting[number]
            if is_slow or line.is_behind(births[number], due):
                waiting[number] = line.move(births[number], now + timedelta(seconds=5))
            else:
                left.append(number)
                del waiting[number]
            if came < count:
                arrive()
    assert left == list(range(came))
    assert not waiting
