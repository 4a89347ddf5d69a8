"""The rules of a lease that are pure: when it may be taken, when its holder stops, and what a damaged document says."""

from dataclasses import replace
from typing import Any

import pytest

from router.couch.holder import Process
from router.couch.lease_store import LEASE_ID
from router.couch.tenure import Standing, Term, Watch, read_standing
from router.documents.json_types import JsonObject

LASTS_SECONDS = 10.0
HELD = Standing("1-a", "other", duration_seconds=LASTS_SECONDS)
MISSING = Standing(None)


@pytest.mark.parametrize(
    ("seen", "wait_seconds"),
    [
        ([(0, MISSING)], 0),
        ([(0, HELD)], 10),
        ([(0, HELD), (9.5, HELD)], 0.5),
        ([(0, HELD), (10, HELD)], 0),
        ([(0, HELD), (12, HELD)], 0),
        ([(0, HELD), (9.5, replace(HELD, rev="2-b"))], 10),
        ([(0, HELD), (9.5, replace(HELD, rev="2-b", holder="third"))], 10),
        ([(0, replace(HELD, duration_seconds=30.0)), (10, replace(HELD, duration_seconds=30.0))], 20),
        ([(0, replace(HELD, duration_seconds=1.5))], 1.5),
        ([(0, replace(HELD, released=True))], 0),
        ([(0, HELD), (1, replace(HELD, rev="2-b", released=True))], 0),
        ([(0, replace(HELD, holder="me"))], 0),
        ([(0, HELD), (9.5, replace(HELD, heartbeat=1))], 10),
        ([(0, replace(HELD, heartbeat=1)), (9.5, replace(HELD, heartbeat=2)), (18, replace(HELD, heartbeat=2))], 1.5),
        ([(0, replace(HELD, heartbeat=1)), (10, replace(HELD, heartbeat=1))], 0),
        # Deleted or damaged under its holder, who is there for a while yet.
        ([(0, HELD), (1, MISSING)], 10),
        ([(0, HELD), (1, MISSING), (11, MISSING)], 0),
        ([(0, replace(HELD, duration_seconds=30.0)), (1, MISSING)], 30),
        ([(0, Standing("1-a"))], 7),
        ([(0, replace(HELD, duration_seconds=30.0)), (1, Standing("2-b"))], 30),
        ([(0, Standing("1-a")), (7, Standing("1-a"))], 0),
    ],
)
def test_when_it_may_be_taken(seen: list[tuple[float, Standing]], wait_seconds: float) -> None:
    watch = Watch("me", 7.0)
    waits = [watch.wait_seconds(standing, 1000 + at, 1000 + at) for at, standing in seen]
    assert waits[-1] == pytest.approx(wait_seconds)


def test_an_answer_that_was_long_on_its_way_says_nothing_of_now() -> None:
    watch = Watch("me", 7.0)
    assert watch.wait_seconds(HELD, 0, 3) == pytest.approx(13)  # It may have been new at the last moment.
    assert watch.wait_seconds(HELD, 12, 13) == pytest.approx(1)  # It may have been old at the first.
    assert watch.wait_seconds(HELD, 13, 14) == 0


def test_the_lease_of_one_that_has_ended_is_free_at_once() -> None:
    assert Watch("me", 7.0).wait_seconds(HELD, 0, 0, has_ended=True) == 0


def test_after_a_lost_race_our_own_name_is_as_good_as_any() -> None:
    watch = Watch("me", 7.0)
    watch.lost_race()
    assert watch.wait_seconds(replace(HELD, holder="me"), 0, 0) == LASTS_SECONDS


def test_the_holder_stops_before_anybody_may_take_over() -> None:
    term = Term(1000.0, 10.0)
    assert 1000 < term.renew_at < term.stop_at < term.over_at < 1010


GOOD: JsonObject = {
    "_id": LEASE_ID,
    "_rev": "3-c",
    "holder": "a:1:b",
    "process": {"host": "a", "boot_id": "b", "pid_namespace": "pid:[1]", "pid": 1, "started": 7},
    "acquired_at": "2026-11-21T08:27:00.000Z",
    "duration_seconds": 10,
    "released": False,
    "turn": 4,
}


def test_a_document_is_read() -> None:
    process = Process("a", "b", "pid:[1]", 1, 7)
    assert read_standing(GOOD) == Standing("3-c", "a:1:b", process, "2026-11-21T08:27:00.000Z", 10.0, turn=4)
    assert read_standing({**GOOD, "released": True}).released
    assert read_standing(None) == MISSING


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"holder": 5}, {"holder": None}),
        ({"holder": ""}, {"holder": None}),
        ({"process": None}, {"process": None}),
        ({"process": {"pid": 1}}, {"process": None}),
        ({"process": {"host": "a", "boot_id": "b", "pid_namespace": "c", "pid": -1, "started": 7}}, {"process": None}),
        (
            {"process": {"host": "a", "boot_id": "b", "pid_namespace": "c", "pid": True, "started": 7}},
            {"process": None},
        ),
        ({"acquired_at": []}, {"acquired_at": None}),
        ({"duration_seconds": "10"}, {"duration_seconds": None}),
        ({"duration_seconds": True}, {"duration_seconds": None}),
        ({"duration_seconds": 0}, {"duration_seconds": None}),
        ({"duration_seconds": -1}, {"duration_seconds": None}),
        ({"duration_seconds": 1e9}, {"duration_seconds": None}),
        ({"duration_seconds": float("inf")}, {"duration_seconds": None}),
        ({"released": "yes"}, {"released": False}),
        ({"turn": "4"}, {"turn": 0}),
        ({"turn": -4}, {"turn": 0}),
        ({"turn": True}, {"turn": 0}),
    ],
)
def test_a_damaged_document_is_read_as_far_as_it_goes(change: JsonObject, expected: dict[str, Any]) -> None:
    assert read_standing({**GOOD, **change}) == replace(read_standing(GOOD), **expected)
