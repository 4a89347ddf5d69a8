"""The crash table's short form: everything is killed while messages go to all four channels, and every arrival is counted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from benchmarks.crash.__main__ import merged
from benchmarks.crash.couch import couchdb
from benchmarks.crash.plan import CHANNELS, Plan
from benchmarks.crash.report import BEGIN, END, senders_of, write_section
from benchmarks.crash.router_run import run_router
from benchmarks.crash.siege import broken_promises
from benchmarks.crash.tally import (
    Arrival,
    Statement,
    Tally,
    admits_repeat,
    mismatches,
    mistake_in,
    statement_of,
    tally,
)
from benchmarks.crash.world import world
from router.demo.synapse import Synapse
from router.documents.json_types import JsonObject

PLAN = Plan(
    messages=40,
    groups=2,
    feed_seconds=2,
    kill_for_seconds=60,
    calm_seconds=40,
    couchdb_restarts_at=(1 / 3, 2 / 3),
    down_seconds=0.2,
    look_seconds=0.2,
)
KILLS = 3
ARRIVALS_PER_KILL = 25
QUICK = {
    "ROUTER_FEED__BACKOFF_MAX_SECONDS": "0.5",
    "ROUTER_SLACK__TARGET_RATE_PER_SECOND": "1000",
    **{f"ROUTER_{channel.upper()}__RETRY__BASE_SECONDS": "0.2" for channel in CHANNELS},
}


async def test_nothing_is_lost_repeated_in_secret_or_misreported_whatever_is_killed(
    synapse: Synapse, tmp_path: Path
) -> None:
    said: list[str] = []
    async with (
        couchdb(tmp_path, None, None) as couch,
        world(PLAN, tmp_path, couch, synapse) as servers,
    ):
        logs = [tmp_path / f"{peer}.arrivals" for peer in ("slack", "sphinx", "mail")]
        result = await run_router(servers, said.append, QUICK, after_arrivals(logs))
    assert broken_promises(result) == [], f"{result}; {said}"
    assert (result.kills, result.couchdb_restarts, result.homeserver_restarts) == (KILLS, 2, 1)
    assert result.database_lost == 0
    assert all(found.arrived == PLAN.messages for found in result.tallies.values())


def after_arrivals(logs: Sequence[Path]) -> Callable[[], Awaitable[None]]:
    """Moments of a kill: each time so many more messages have arrived, and so with others on their way."""
    kills = 0

    async def next_moment() -> None:
        nonlocal kills
        if kills == KILLS:
            await asyncio.Event().wait()
        kills += 1
        while sum(log.read_bytes().count(b"\n") for log in logs) < kills * ARRIVALS_PER_KILL:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    return next_moment


HERE, ELSEWHERE = "C0TEAM0000", "C0TEAM0001"


def arrival(reference: str | None = "1.1", *, target: str = HERE, handle: str | None = None) -> Arrival:
    return Arrival("slack", "crash-00000", target, reference, handle)


def statement(status: str, reference: str | None = None, *, admits_repeat: bool = False) -> Statement:
    return Statement(status, reference, admits_repeat)


@pytest.mark.parametrize(
    ("said", "arrivals", "wrong"),
    [
        (statement("COMPLETE", "1.1"), [arrival("1.1")], None),
        (statement("COMPLETE", "1.2"), [arrival("1.1"), arrival("1.2")], None),
        (statement("COMPLETE"), [arrival("1.1")], None),
        (statement("COMPLETE", "2.0.0 OK: queued as M1"), [arrival("M1")], None),
        (statement("COMPLETE", "1.9"), [arrival("1.1")], "a reference that no arrival has"),
        (statement("COMPLETE", "1.1"), [arrival(None)], "a reference that no arrival has"),
        (statement("COMPLETE", "1.1"), [], "nothing arrived"),
        (statement("FAILED"), [], None),
        (statement("FAILED"), [arrival()], "it arrived"),
        (statement("EXPIRED"), [arrival()], "it arrived"),
        (statement("CANCELLED"), [arrival()], "it arrived"),
        (statement("EXPIRED"), [], None),
        (statement("CANCELLED"), [], None),
        (statement("UNCERTAIN"), [], None),
        (statement("UNCERTAIN"), [arrival()], None),
        (statement("PENDING"), [], "in the end"),
        (statement("PENDING"), [arrival()], "in the end"),
        (statement("WAITING_KEY_EXCHANGE"), [], "in the end"),
        (statement("UNROUTABLE"), [], "in the end"),
        (statement("COMPLETE", "1.1"), [arrival("1.1", target=ELSEWHERE)], "somewhere else"),
        (None, [], "no document"),
        (None, [arrival()], "no document"),
    ],
)
def test_a_statement_is_held_against_what_arrived(
    said: Statement | None, arrivals: list[Arrival], wrong: str | None
) -> None:
    found = mistake_in(said, arrivals, HERE)
    assert found is None if wrong is None else found is not None and wrong in found


@pytest.mark.parametrize(
    ("outcomes", "admits"),
    [
        ([], False),
        (["sent"], False),
        (["retry", "sent"], False),
        (["waiting", "sent"], False),
        (["rejected"], False),
        (["uncertain"], False),
        (["uncertain", "sent"], True),
        (["uncertain", "retry", "uncertain"], True),
        (["started", "sent"], True),
        (["sent", "sent"], True),
    ],
)
def test_a_history_admits_a_repeat_when_two_of_its_attempts_may_have_arrived(outcomes: list[str], admits: bool) -> None:
    assert admits_repeat(outcomes) is admits
    document = {"status": "COMPLETE", "reference": "1.1", "attempts": [{"outcome": one} for one in outcomes]}
    assert statement_of(document) == Statement("COMPLETE", "1.1", admits)


@pytest.mark.parametrize(
    ("arrivals", "admits", "expected"),
    [
        ([arrival("1.1")], False, {}),
        ([], False, {"lost": 1, "misreported": 1}),
        ([arrival("1.1"), arrival("1.2")], False, {"repeated": 1, "not_admitted": 1}),
        ([arrival("1.1"), arrival("1.2")], True, {"repeated": 1}),
        ([arrival("1.1", handle="<a@x>")], False, {}),
        ([arrival("1.1", handle="<a@x>"), arrival("1.2", handle="<a@x>")], True, {"came_again": 1}),
        ([arrival("1.1", handle="<a@x>"), arrival("1.2", handle="<a@x>")], False, {"came_again": 1, "not_admitted": 1}),
        ([arrival("1.1", handle="<a@x>"), arrival("1.2", handle="<b@x>")], True, {"repeated": 1}),
    ],
)
def test_repeats_are_told_apart_by_what_a_person_sees(
    arrivals: list[Arrival], admits: bool, expected: Mapping[str, int]
) -> None:
    said = statement("COMPLETE", "1.1", admits_repeat=admits)
    found = tally({"crash-00000": HERE}, arrivals, {"crash-00000": said}).to_json()
    figures = ("lost", "repeated", "came_again", "misreported", "not_admitted")
    assert {name: found[name] for name in figures if found[name]} == expected
    assert (found["messages"], found["arrived"]) == (1, int(bool(arrivals)))


def test_of_a_sender_that_keeps_no_record_nothing_is_said_that_cannot_be_known() -> None:
    found = tally({"crash-00000": HERE}, [arrival(), arrival()], None).to_json()
    assert (found["repeated"], found["misreported"], found["not_admitted"]) == (1, None, None)


@pytest.mark.parametrize(
    ("channel", "found", "broken"),
    [
        ("slack", Tally(lost=["m"]), "1 lost"),
        ("email", Tally(misreported={"m": "why"}), "1 misreported"),
        ("slack", Tally(repeated=["m"], not_admitted=["m"]), "does not admit"),
        ("sphinx", Tally(repeated=["m"], not_admitted=[]), None),
        ("matrix", Tally(repeated=["m"], not_admitted=[]), "1 repeated"),
        ("email", Tally(repeated=["m"], not_admitted=[]), "1 repeated"),
        ("email", Tally(came_again=["m"], not_admitted=["m"]), None),
    ],
)
def test_what_the_router_promises_depends_on_whether_the_channel_can_tell(
    channel: str, found: Tally, broken: str | None
) -> None:
    sentences = mismatches({channel: found})
    assert len(sentences) == (broken is not None)
    assert broken is None or broken in sentences[0]


def test_the_table_takes_its_own_place_in_the_results_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    file.write_text(
        f"# Figures\n\n<!-- bench -->\nours\n<!-- /bench -->\n\n{BEGIN}\nan earlier table\n{END}\n\nThe end.\n"
    )
    write_section(file, {"senders": [], "left_out": {"script": "no Apprise here"}})
    text = file.read_text()
    assert text.startswith("# Figures\n\n<!-- bench -->\nours\n<!-- /bench -->\n")
    assert text.endswith(f"{END}\n\nThe end.\n")
    assert "an earlier table" not in text
    assert "no Apprise here" in text


def test_a_sender_that_is_run_again_alone_replaces_its_own_rows() -> None:
    def sender(kind: str, name: str) -> JsonObject:
        return {"kind": kind, "sender": name}

    earlier: JsonObject = {
        "senders": [sender("router", "old"), sender("alertmanager", "kept")],
        "left_out": {"script": "no Apprise here"},
    }
    found = merged(earlier, {"senders": [sender("router", "new")], "left_out": {}}, "router")
    assert [one["sender"] for one in senders_of(found)] == ["new", "kept"]
    assert found["left_out"] == {"script": "no Apprise here"}
    found = merged(earlier, {"senders": [sender("script", "new")], "left_out": {}}, "script")
    assert [one["sender"] for one in senders_of(found)] == ["old", "new", "kept"]
    assert found["left_out"] == {}
