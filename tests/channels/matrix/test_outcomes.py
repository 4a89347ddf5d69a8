"""Every row of the tables: what each refusal and each broken connection means."""

import errno
import socket
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import Rejected, Retry, Scope
from router.channels.matrix.outcomes import (
    AT_STEP,
    DEFAULT_PAUSE_SECONDS,
    ERRCODES,
    STATUS_CLASSES,
    STATUSES,
    About,
    Failure,
    Step,
    classify,
    unreachable,
)
from router.channels.retry_after import MAX_RETRY_AFTER_SECONDS

NOW = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)
ABOUT = About("#ops:example.org", "@router:example.org", "ROUTER_MATRIX__ACCESS_TOKEN", ("syt_secret",))

ANYWHERE = {
    "M_UNKNOWN_TOKEN": (401, "channel", "ROUTER_MATRIX__ACCESS_TOKEN"),
    "M_MISSING_TOKEN": (401, "channel", "ROUTER_MATRIX__ACCESS_TOKEN"),
    "M_USER_DEACTIVATED": (403, "channel", "@router:example.org is deactivated"),
    "M_USER_LOCKED": (401, "channel", "@router:example.org is locked"),
    "M_USER_SUSPENDED": (403, "channel", "@router:example.org is locked or suspended"),
    "M_CONSENT_NOT_GIVEN": (403, "channel", "terms"),
    "M_LIMIT_EXCEEDED": (429, "pause channel", "slow down"),
    "M_RESOURCE_LIMIT_EXCEEDED": (403, "retry", "limit of its own"),
    "M_TOO_LARGE": (413, "message", "ROUTER_MATRIX__MAX_CONTENT_BYTES"),
    "M_BAD_JSON": (400, "message", "malformed"),
    "M_NOT_JSON": (400, "message", "malformed"),
    "M_INVALID_PARAM": (400, "message", "malformed"),
    "M_MISSING_PARAM": (400, "message", "malformed"),
    "M_UNRECOGNIZED": (404, "channel", "ROUTER_MATRIX__HOMESERVER"),
    "M_GUEST_ACCESS_FORBIDDEN": (403, "target", "guest"),
    "M_FORBIDDEN": (403, "target", "#ops:example.org"),
    "M_NOT_FOUND": (404, "target", "#ops:example.org"),
}

AT = {
    (Step.LOGIN, "M_FORBIDDEN"): (403, "channel", "ROUTER_MATRIX__PASSWORD"),
    (Step.LOGIN, "M_INVALID_USERNAME"): (400, "channel", "ROUTER_MATRIX__USER_ID"),
    (Step.LOGIN, "M_INVALID_PARAM"): (400, "channel", "ROUTER_MATRIX__USER_ID"),
    (Step.LOGIN, "M_UNKNOWN"): (400, "channel", "set ROUTER_MATRIX__ACCESS_TOKEN instead"),
    (Step.WHOAMI, "M_FORBIDDEN"): (403, "channel", "ROUTER_MATRIX__ACCESS_TOKEN"),
    (Step.RESOLVE, "M_NOT_FOUND"): (404, "target", "no room with the alias #ops:example.org"),
    (Step.RESOLVE, "M_INVALID_PARAM"): (400, "target", "no room with the alias #ops:example.org"),
    (Step.STATE, "M_FORBIDDEN"): (403, "target", "invite @router:example.org"),
    (Step.JOIN, "M_FORBIDDEN"): (403, "target", "invite @router:example.org"),
    (Step.JOIN, "M_NOT_FOUND"): (404, "target", "knows no room"),
    (Step.JOIN, "M_UNKNOWN"): (404, "target", "knows no room"),
    (Step.JOIN, "M_INVALID_PARAM"): (400, "target", "knows no room"),
    (Step.JOIN, "M_INCOMPATIBLE_ROOM_VERSION"): (400, "target", "cannot join"),
    (Step.JOIN, "M_UNABLE_TO_AUTHORISE_JOIN"): (400, "target", "invite @router:example.org"),
    (Step.JOIN, "M_UNABLE_TO_GRANT_JOIN"): (400, "target", "invite @router:example.org"),
    (Step.JOIN, "M_LIMIT_EXCEEDED"): (429, "pause target", "slow down"),
    (Step.SEND, "M_FORBIDDEN"): (403, "target", "power level"),
    (Step.SEND, "M_NOT_FOUND"): (404, "target", "knows no room"),
    (Step.PROFILE, "M_NOT_FOUND"): (404, "target", "no user"),
    (Step.PROFILE, "M_INVALID_PARAM"): (400, "target", "no user"),
    (Step.PROFILE, "M_UNKNOWN"): (404, "target", "no user"),
    (Step.CREATE, "M_FORBIDDEN"): (403, "target", "direct chat"),
    (Step.CREATE, "M_NOT_FOUND"): (404, "target", "direct chat"),
    (Step.CREATE, "M_INVALID_PARAM"): (400, "target", "direct chat"),
    (Step.CREATE, "M_INVITE_BLOCKED"): (403, "target", "direct chat"),
    (Step.CREATE, "M_LIMIT_EXCEEDED"): (429, "pause target", "slow down"),
    (Step.INVITE, "M_FORBIDDEN"): (403, "target", "direct chat"),
    (Step.INVITE, "M_INVITE_BLOCKED"): (403, "target", "direct chat"),
    (Step.INVITE, "M_LIMIT_EXCEEDED"): (429, "pause target", "slow down"),
}

BY_STATUS = {
    (200, None): ("retry", "not a homeserver"),
    (302, None): ("retry", "not a homeserver"),
    (401, None): ("retry", "not a homeserver"),
    (404, None): ("retry", "not a homeserver"),
    (408, None): ("retry", "not available"),
    (413, None): ("message", "ROUTER_MATRIX__MAX_CONTENT_BYTES"),
    (425, None): ("retry", "not available"),
    (429, None): ("pause channel", "slow down"),
    (500, None): ("down", "not available"),
    (502, None): ("down", "not available"),
    (503, None): ("down", "not available"),
    (504, None): ("down", "not available"),
    (600, None): ("retry", "not a homeserver"),
    (200, "M_UNKNOWN"): ("retry", "not a homeserver"),
    (302, "M_UNKNOWN"): ("retry", "not a homeserver"),
    (400, "M_UNKNOWN"): ("message", "refused the request"),
    (403, "ORG.EXAMPLE.NEW"): ("message", "refused the request"),
    (500, "M_UNKNOWN"): ("down", "not available"),
    (502, "M_FORBIDDEN"): ("down", "not available"),
    (503, "M_UNKNOWN_TOKEN"): ("down", "not available"),
}


def meaning(outcome: Retry | Rejected) -> str:
    """The outcome in a word; `down` is a retry that says that the host is down."""
    if isinstance(outcome, Rejected):
        return str(outcome.scope)
    if outcome.host_is_down:
        assert outcome.pauses is None
        return "down"
    return "retry" if outcome.pauses is None else f"pause {outcome.pauses}"


def test_every_row_has_a_test() -> None:
    assert set(ANYWHERE) == set(ERRCODES)
    assert set(AT) == set(AT_STEP)
    assert set(STATUSES) <= {status for status, _ in BY_STATUS}
    assert {(status // 100, errcode is not None) for status, errcode in BY_STATUS} >= set(STATUS_CLASSES)


@pytest.mark.parametrize("errcode", ANYWHERE)
def test_errcodes(errcode: str) -> None:
    status, means, hint = ANYWHERE[errcode]
    outcome = classify(Failure(Step.DIRECT, status, errcode, "Go away."), ABOUT, NOW)
    assert (meaning(outcome), outcome.code) == (means, errcode)
    assert hint in outcome.reason
    assert outcome.reason.endswith(": “Go away.”")


@pytest.mark.parametrize(("step", "errcode"), AT)
def test_errcodes_that_depend_on_the_step(step: Step, errcode: str) -> None:
    status, means, hint = AT[step, errcode]
    outcome = classify(Failure(step, status, errcode), ABOUT, NOW)
    assert (meaning(outcome), outcome.code) == (means, errcode)
    assert hint in outcome.reason


@pytest.mark.parametrize(("status", "errcode"), BY_STATUS)
def test_statuses(status: int, errcode: str | None) -> None:
    means, hint = BY_STATUS[status, errcode]
    outcome = classify(Failure(Step.SEND, status, errcode), ABOUT, NOW)
    assert (meaning(outcome), outcome.code) == (means, errcode or status)
    assert hint in outcome.reason


@pytest.mark.parametrize(
    ("header", "milliseconds", "seconds"),
    [
        ("7", 1466, 7.0),
        ("Sat, 21 Nov 2026 08:27:30 GMT", 1466, 30.0),
        ("Sat, 21 Nov 2026 08:26:30 GMT", None, 0.0),
        (None, 1466, 1.466),
        ("soon", 1466, 1.466),
        (None, -5, 0.0),
        (None, 1e300, MAX_RETRY_AFTER_SECONDS),
        (None, None, DEFAULT_PAUSE_SECONDS),
        ("soon", None, DEFAULT_PAUSE_SECONDS),
    ],
)
def test_how_long_to_pause(header: str | None, milliseconds: float | None, seconds: float) -> None:
    failure = Failure(Step.SEND, 429, "M_LIMIT_EXCEEDED", "", header, milliseconds)
    outcome = classify(failure, ABOUT, NOW)
    assert isinstance(outcome, Retry)
    assert (outcome.after_seconds, outcome.pauses) == (seconds, Scope.CHANNEL)


def test_a_busy_homeserver_may_say_when_to_come_back() -> None:
    outcome = classify(Failure(Step.SEND, 503, None, "", "12"), ABOUT, NOW)
    assert isinstance(outcome, Retry)
    assert (outcome.after_seconds, outcome.pauses) == (12.0, None)


@given(
    st.sampled_from(Step),
    st.integers(100, 999),
    st.none() | st.sampled_from(sorted(ERRCODES)) | st.text(min_size=1),
    st.text() | st.just("your token syt_secret is no good"),
    st.none() | st.text(),
    st.none() | st.floats(allow_nan=False),
)
def test_whatever_is_answered_has_one_meaning(
    step: Step, status: int, errcode: str | None, error: str, header: str | None, milliseconds: float | None
) -> None:
    outcome = classify(Failure(step, status, errcode, error, header, milliseconds), ABOUT, NOW)
    assert outcome.reason
    assert "syt_secret" not in outcome.reason
    assert "\n" not in outcome.reason
    assert isinstance(outcome, Rejected) or outcome.after_seconds is None or 0 <= outcome.after_seconds <= 3600


KEY = ConnectionKey("matrix.example.org", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "hint", "host_is_down"),
    [
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "unknown")),
            "name of the homeserver could not be",
            True,
        ),
        (
            aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(errno.ECONNREFUSED, "x")),
            "the homeserver could not be reached (connection refused)",
            True,
        ),
        (aiohttp.ServerDisconnectedError(), "hung up", True),
        (aiohttp.ClientOSError(errno.ECONNRESET, "x"), "(connection reset by peer)", True),
        (aiohttp.ClientPayloadError("x"), "broke before an answer came", True),
        (aiohttp.InvalidURL("http://syt_secret@matrix.example.org"), "is no address", False),
        (ConnectionResetError(errno.ECONNRESET, "x"), "broke before an answer came", True),
    ],
)
def test_no_answer_is_always_tried_again(error: aiohttp.ClientError | OSError, hint: str, host_is_down: bool) -> None:
    outcome = unreachable(error)
    assert outcome.host_is_down is host_is_down
    assert hint in outcome.reason
    assert "example.org" not in outcome.reason
    assert (outcome.after_seconds, outcome.pauses, outcome.code) == (None, None, type(error).__name__)
