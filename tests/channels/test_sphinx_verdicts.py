"""What each answer of a Sphinx v2 bot means, a test per row."""

from datetime import UTC, datetime

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import Rejected, Retry, Scope, Sent, Uncertain, Waiting
from router.channels.http import Reply
from router.channels.sphinx.verdicts import (
    ADD_STATUSES,
    LOOK_STATUSES,
    SEND_RESULTS,
    SEND_STATUSES,
    TAG_STATUSES,
    Bot,
    Contact,
    Settled,
    add_problem,
    contact_state,
    send_outcome,
    tag_outcome,
)

NOW = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)
BOT = Bot(pending_recheck_seconds=30, secrets=("the-token",))


def reply(status: int, body: object = b"", **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return Reply(status, httpx.Headers({key.replace("_", "-"): value for key, value in headers.items()}), content)


def in_a_word(found: object) -> str:
    """What was found, in a word or two; `down` is a retry that says that the host is down."""
    match found:
        case Contact():
            return found.value
        case Rejected():
            return found.scope.value
        case Retry(pauses=Scope.CHANNEL, host_is_down=False):
            return "slow down"
        case Retry(pauses=None, host_is_down=True):
            return "down"
        case Settled():
            return f"settled {in_a_word(found.outcome)}"
        case _:
            return type(found).__name__


LOOK = [
    (200, {"pubkey": "02", "contact_key": "03aa"}, "ready"),
    (200, {"contact_key": "03aa"}, "ready"),
    (200, {"pubkey": "02", "contact_key": None}, "no key"),
    (200, {"pubkey": "02", "contact_key": ""}, "no key"),
    (200, {"pubkey": "02", "contact_key": "  "}, "no key"),
    (200, {"pubkey": "02", "contact_key": 7}, "no key"),
    (200, {"pubkey": "02"}, "no key"),
    (200, {"error": "not found"}, "unknown"),
    (200, {"error": "not found", "pubkey": "02"}, "unknown"),
    (200, {}, "unknown"),
    (200, [], "unknown"),
    (200, None, "unknown"),
    (200, b"", "unknown"),
    (204, b"", "unknown"),
    (200, b"<html>", "Retry"),
    (302, b"", "Retry"),
    (400, b"", "unknown"),
    (401, b"", "channel"),
    (403, b"", "channel"),
    (404, b"", "unknown"),
    (405, b"", "channel"),
    (418, b"", "Retry"),
    (429, b"", "slow down"),
    (500, b"", "unknown"),
    (502, b"", "down"),
    (503, b"", "down"),
    (504, b"", "down"),
]


@pytest.mark.parametrize(("status", "body", "found"), LOOK)
def test_each_answer_to_a_look_at_a_contact(status: int, body: object, found: str) -> None:
    assert in_a_word(contact_state(reply(status, body), BOT, NOW)) == found


ADD = [
    (200, {"status": "ok"}, "NoneType"),
    (200, b"", "NoneType"),
    (201, b"anything", "NoneType"),
    (200, {"error": "busy"}, "Retry"),
    (307, b"", "Retry"),
    (400, {"error": "bad"}, "target"),
    (401, b"", "channel"),
    (403, b"", "channel"),
    (404, b"", "channel"),
    (405, b"", "channel"),
    (418, b"", "Retry"),
    (422, b"", "target"),
    (429, b"", "slow down"),
    (500, b"", "down"),
    (502, b"", "down"),
    (503, b"", "down"),
    (504, b"", "down"),
]


@pytest.mark.parametrize(("status", "body", "found"), ADD)
def test_each_answer_to_add_contact(status: int, body: object, found: str) -> None:
    assert in_a_word(add_problem(reply(status, body), BOT, NOW)) == found


SEND = [
    (200, {"status": "COMPLETE", "tag": "t1"}, "Sent"),
    (200, {"status": "COMPLETE"}, "Sent"),
    (200, {"status": "PENDING", "tag": "t1"}, "Waiting"),
    (200, {"status": "PENDING"}, "Uncertain"),
    (200, {"status": "PENDING", "tag": ""}, "Uncertain"),
    (200, {"status": "PENDING", "tag": ".."}, "Uncertain"),
    (200, {"status": "PENDING", "tag": 7}, "Uncertain"),
    (200, {"status": "PENDING", "tag": "x" * 201}, "Uncertain"),
    (200, {"status": "FAILED", "tag": "t1", "message": "no route"}, "Retry"),
    (200, {"status": "COMPLETE", "error": "no route"}, "Retry"),
    (200, {"error": "no route"}, "Retry"),
    (200, {"error": {"message": "no route"}}, "Retry"),
    (200, {"type": 0, "message": "hello", "uuid": "u1"}, "Uncertain"),
    (200, {"type": 0, "uuid": "u1", "error": None}, "Uncertain"),
    (200, {"status": "QUEUED", "tag": "t1"}, "Uncertain"),
    (200, {"status": "complete", "tag": "t1"}, "Uncertain"),
    (200, {"status": None}, "Uncertain"),
    (200, {}, "Uncertain"),
    (200, [], "Uncertain"),
    (200, b"", "Uncertain"),
    (200, b"<html>", "Uncertain"),
    (202, {"status": "PENDING", "tag": "t1"}, "Waiting"),
    (302, b"", "Retry"),
    (400, {"error": "dest is required"}, "message"),
    (401, {"error": "Unauthorized"}, "channel"),
    (403, b"", "channel"),
    (404, b"", "channel"),
    (405, b"", "channel"),
    (408, b"", "Retry"),
    (413, b"", "message"),
    (422, b"", "message"),
    (429, b"", "slow down"),
    (500, b"", "Uncertain"),
    (500, {"error": "no route"}, "Retry"),
    (500, {"status": "FAILED", "message": "no route"}, "Retry"),
    (500, {"status": "COMPLETE", "tag": "t1"}, "Uncertain"),
    (502, b"<html>", "Uncertain"),
    (503, b"", "down"),
    (504, b"", "Uncertain"),
]


@pytest.mark.parametrize(("status", "body", "found"), SEND)
def test_each_answer_to_send(status: int, body: object, found: str) -> None:
    assert in_a_word(send_outcome(reply(status, body), BOT, NOW)) == found


TAG = [
    (200, [{"tag": "t1", "ts": 1, "status": "COMPLETE", "error": None}], "Sent"),
    (200, [{"tag": "t0", "status": "FAILED"}, {"tag": "t1", "status": "COMPLETE"}], "Sent"),
    (200, [{"tag": "t1", "status": "PENDING"}, {"tag": "t1", "status": "COMPLETE"}], "Sent"),
    (200, {"tag": "t1", "status": "COMPLETE"}, "Sent"),
    (200, [{"tag": "t1", "status": "PENDING", "error": ""}], "Waiting"),
    (200, [{"tag": "t1", "status": "FAILED", "error": "no route"}], "settled Retry"),
    (200, [{"tag": "t1", "status": "QUEUED"}], "Retry"),
    (200, [], "settled Uncertain"),
    (200, [{"tag": "t0", "status": "COMPLETE"}], "settled Uncertain"),
    (200, None, "Retry"),
    (200, {"error": "what?"}, "Retry"),
    (200, [7], "Retry"),
    (200, b"<html>", "Retry"),
    (302, b"", "Retry"),
    (400, b"", "Retry"),
    (401, b"", "channel"),
    (403, b"", "channel"),
    (404, b"", "settled Uncertain"),
    (405, b"", "channel"),
    (429, b"", "slow down"),
    (500, b"", "down"),
    (502, b"", "down"),
    (503, b"", "down"),
    (504, b"", "down"),
]


@pytest.mark.parametrize(("status", "body", "found"), TAG)
def test_each_answer_about_a_tag(status: int, body: object, found: str) -> None:
    assert in_a_word(tag_outcome(reply(status, body), "t1", BOT, NOW)) == found


@pytest.mark.parametrize(
    ("table", "rows"), [(LOOK_STATUSES, LOOK), (ADD_STATUSES, ADD), (SEND_STATUSES, SEND), (TAG_STATUSES, TAG)]
)
def test_every_status_in_a_table_has_a_row_above(table: dict[int, object], rows: list[tuple[int, object, str]]) -> None:
    assert set(table) <= {status for status, _, _ in rows}


def test_every_result_has_a_row_above() -> None:
    assert set(SEND_RESULTS) == {"COMPLETE", "PENDING", "FAILED"}


def test_the_tag_is_the_reference() -> None:
    assert send_outcome(reply(200, {"status": "COMPLETE", "tag": "t1"}), BOT, NOW) == Sent("t1", 200)
    pending = send_outcome(reply(200, {"status": "PENDING", "tag": "t1"}), BOT, NOW)
    assert isinstance(pending, Waiting)
    assert (pending.status, pending.after_seconds, pending.reference) == ("PENDING", 30, "t1")


@pytest.mark.parametrize(
    "body", [{"status": "FAILED", "message": "no\n route\x00 the-token"}, {"error": "no\n route\x00 the-token"}]
)
def test_the_bots_own_words_are_in_the_reason_but_no_secret_is(body: object) -> None:
    outcome = send_outcome(reply(200, body), BOT, NOW)
    assert outcome == Retry("the Sphinx bot could not send it: “no route …”", "FAILED")


def test_the_wait_that_the_bot_asks_for_is_kept() -> None:
    outcome = send_outcome(reply(429, b"", retry_after="30"), BOT, NOW)
    assert isinstance(outcome, Retry)
    assert (outcome.after_seconds, outcome.pauses) == (30, Scope.CHANNEL)


@given(st.integers(100, 999), st.binary(max_size=60))
def test_any_answer_has_a_meaning_and_only_an_acceptance_is_sent(status: int, body: bytes) -> None:
    answer = reply(status, body)
    contact_state(answer, BOT, NOW)
    add_problem(answer, BOT, NOW)
    assert isinstance(send_outcome(answer, BOT, NOW), Retry | Rejected | Uncertain)
    assert isinstance(tag_outcome(answer, "t1", BOT, NOW), Retry | Rejected | Settled)
