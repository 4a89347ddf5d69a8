"""The watermark stands at the last row before which nothing is open, in whatever order the rows end."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.delivery.watermark import Ticket, Watermark
from router.documents.json_types import JsonValue


def test_it_begins_where_it_is_told_to() -> None:
    assert Watermark("5-abc").position == "5-abc"
    assert Watermark(0).position == 0


def test_a_row_with_nothing_to_do_is_done_at_once() -> None:
    mark = Watermark(0)
    mark.add("1-a")
    assert (mark.position, mark.rows_open) == ("1-a", 0)


def test_a_row_is_done_when_all_of_it_is_closed() -> None:
    mark = Watermark(0)
    ticket = mark.add("1-a", 2)
    mark.close(ticket)
    assert (mark.position, mark.rows_open) == (0, 1)
    mark.close(ticket)
    assert (mark.position, mark.rows_open) == ("1-a", 0)


def test_a_row_that_is_open_holds_back_all_behind_it() -> None:
    mark = Watermark(0)
    first, second = mark.add("1-a", 1), mark.add("2-b", 1)
    mark.add("3-c")
    mark.close(second)
    assert (mark.position, mark.rows_open) == (0, 3)
    mark.close(first)
    assert (mark.position, mark.rows_open) == ("3-c", 0)


def test_a_row_without_a_seq_is_never_a_position() -> None:
    mark = Watermark("1-a")
    mark.add(None)
    assert mark.position == "1-a"
    ticket = mark.add(None, 1)
    mark.add("2-b")
    assert mark.position == "1-a"
    mark.close(ticket)
    assert mark.position == "2-b"


@pytest.mark.parametrize("seq", [0, 17, "17-g1AAA", [17, "g1AAA"], {"a": 1}])
def test_a_seq_may_be_any_json_and_is_given_back_as_it_is(seq: JsonValue) -> None:
    mark = Watermark(None)
    mark.add(seq)
    assert mark.position == seq


class AgainstAModel(RuleBasedStateMachine):
    """Rows in any order of adding and closing, beside a list that simply remembers them all."""

    @initialize(start=st.sampled_from([0, "5-a"]))
    def begin(self, start: JsonValue) -> None:
        self.start = start
        self.mark = Watermark(start)
        self.rows: list[tuple[JsonValue, Ticket, int]] = []

    @rule(has_seq=st.booleans(), count=st.integers(0, 3))
    def add(self, has_seq: bool, count: int) -> None:
        seq = f"{len(self.rows)}-x" if has_seq else None
        self.rows.append((seq, self.mark.add(seq, count), count))

    @precondition(lambda self: any(left for _, _, left in self.rows))
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([n for n, (_, _, left) in enumerate(self.rows) if left]))
        seq, ticket, left = self.rows[number]
        self.rows[number] = (seq, ticket, left - 1)
        self.mark.close(ticket)

    @invariant()
    def it_stands_at_the_end_of_what_is_done_without_a_gap(self) -> None:
        if not hasattr(self, "mark"):
            return
        position, done = self.start, 0
        for seq, _, left in self.rows:
            if left:
                break
            done += 1
            position = seq if seq is not None else position
        assert self.mark.position == position
        assert self.mark.rows_open == len(self.rows) - done


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
