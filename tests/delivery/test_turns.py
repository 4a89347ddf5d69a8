"""Whose turn it is: the urgent pass, and nobody waits for ever."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.delivery.turns import MOST_PASSED_OVER, RANKS, Turns

WAITING = st.tuples(st.booleans(), st.booleans(), st.booleans()).filter(any)
"""For which ranks something waits."""


@pytest.mark.parametrize(
    ("waiting", "shares"),
    [
        ((True, True, True), {0: 5, 1: 2, 2: 1}),
        ((True, True, False), {0: 6, 1: 2}),
        ((True, False, True), {0: 7, 2: 1}),
        ((False, True, True), {1: 7, 2: 1}),
        ((True, False, False), {0: 8}),
        ((False, True, False), {1: 8}),
        ((False, False, True), {2: 8}),
    ],
)
def test_shares_of_eighty_turns(waiting: tuple[bool, ...], shares: dict[int, int]) -> None:
    turns = Turns()
    had = Counter(turns.choose(waiting) for _ in range(80))
    assert had == {rank: pytest.approx(10 * share, abs=1) for rank, share in shares.items()}


@given(st.lists(WAITING, max_size=60))
def test_nobody_is_passed_over_for_ever_and_only_those_are_chosen_who_wait(looks: list[tuple[bool, ...]]) -> None:
    turns, passed = Turns(), dict.fromkeys(RANKS.values(), 0)
    for waiting in looks:
        expected = turns.next(waiting)
        assert turns.next(waiting) == expected
        chosen = turns.choose(waiting)
        assert chosen == expected
        assert waiting[chosen]
        for rank in passed:
            passed[rank] = passed[rank] + 1 if waiting[rank] and rank != chosen else 0
            # Two may be due at the same time, and then one of them is passed over once more; the critical ones by both.
            assert passed[rank] <= max(2, MOST_PASSED_OVER[rank] + 1)


@given(st.lists(st.just((False, True, False)), max_size=20))
def test_a_critical_one_that_comes_alone_passes_all_normal_ones(before: list[tuple[bool, ...]]) -> None:
    turns = Turns()
    for waiting in before:
        turns.choose(waiting)
    assert turns.choose((True, True, False)) == 0


def test_where_nothing_waits_it_is_nobodys_turn() -> None:
    for ask in (Turns().next, Turns().choose):
        with pytest.raises(ValueError, match="nothing waits"):
            ask(([], [], []))
