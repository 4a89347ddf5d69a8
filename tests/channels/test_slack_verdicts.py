"""What each answer of Slack means, a test per row."""

from datetime import UTC, datetime

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent, Uncertain
from router.channels.http import Reply
from router.channels.slack.verdicts import (
    API_ERRORS,
    API_STATUSES,
    WEBHOOK_STATUSES,
    WEBHOOK_TEXTS,
    WithoutBlocks,
    api_outcome,
    webhook_outcome,
)

NOW = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)


def reply(status: int, body: object = b"", **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return Reply(status, httpx.Headers({key.replace("_", "-"): value for key, value in headers.items()}), content)


def kind_of_outcome(outcome: Outcome | WithoutBlocks) -> str:
    """The outcome in a word; `down` is a retry that says that the host is down."""
    match outcome:
        case Rejected():
            return outcome.scope.value
        case Retry(pauses=Scope.TARGET, host_is_down=False):
            return "slow down"
        case Retry(pauses=None, host_is_down=True):
            return "down"
        case _:
            return type(outcome).__name__


API = {
    "ratelimited": "slow down",
    "rate_limited": "slow down",
    "message_limit_exceeded": "Retry",
    "service_unavailable": "down",
    "request_timeout": "Retry",
    "team_added_to_org": "Retry",
    "org_login_required": "Retry",
    "internal_error": "Uncertain",
    "fatal_error": "Uncertain",
    "not_authed": "channel",
    "invalid_auth": "channel",
    "account_inactive": "channel",
    "token_revoked": "channel",
    "token_expired": "channel",
    "not_allowed_token_type": "channel",
    "missing_scope": "channel",
    "no_permission": "channel",
    "access_denied": "channel",
    "ekm_access_denied": "channel",
    "team_access_not_granted": "channel",
    "enterprise_is_restricted": "channel",
    "channel_not_found": "target",
    "user_not_found": "target",
    "not_in_channel": "target",
    "is_archived": "target",
    "restricted_action": "target",
    "restricted_action_read_only_channel": "target",
    "restricted_action_thread_only_channel": "target",
    "restricted_action_non_threadable_channel": "target",
    "messages_tab_disabled": "target",
    "msg_too_long": "message",
    "no_text": "message",
    "too_many_attachments": "message",
    "invalid_blocks": "WithoutBlocks",
    "invalid_blocks_format": "WithoutBlocks",
    "msg_blocks_too_long": "WithoutBlocks",
    "invalid_arg_name": "message",
    "invalid_arguments": "message",
    "invalid_array_arg": "message",
    "invalid_charset": "message",
    "invalid_form_data": "message",
    "invalid_json": "message",
    "invalid_post_type": "message",
    "json_not_object": "message",
    "missing_post_type": "message",
}


@pytest.mark.parametrize("error", sorted({*API, *API_ERRORS}))
def test_each_error_of_the_api(error: str) -> None:
    outcome = api_outcome(reply(200, {"ok": False, "error": error}), NOW, with_blocks=True)
    assert kind_of_outcome(outcome) == API[error]
    if not isinstance(outcome, WithoutBlocks):
        assert outcome.code == error


@pytest.mark.parametrize("error", [error for error, kind in API.items() if kind == "WithoutBlocks"])
def test_without_blocks_an_error_about_blocks_is_final(error: str) -> None:
    outcome = api_outcome(reply(200, {"ok": False, "error": error}), NOW, with_blocks=False)
    assert kind_of_outcome(outcome) == "message"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"ok": True, "ts": "1.2"}, "Sent"),
        (200, {"ok": False, "error": "a_new_error"}, "Retry"),
        (200, {"ok": False}, "Uncertain"),
        (200, {"ok": "true"}, "Uncertain"),
        (200, {"ok": 1}, "Uncertain"),
        (200, {}, "Uncertain"),
        (200, [], "Uncertain"),
        (200, b"", "Uncertain"),
        (200, b"<html>", "Uncertain"),
        (201, {"ok": True, "ts": "1.2"}, "Uncertain"),
        (301, b"", "Retry"),
        (307, b"", "Retry"),
        (400, b"", "message"),
        (401, b"", "channel"),
        (403, b"", "channel"),
        (404, b"", "channel"),
        (408, b"", "Retry"),
        (413, b"", "message"),
        (429, b"", "slow down"),
        (429, {"ok": False, "error": "ratelimited"}, "slow down"),
        (500, b"", "Uncertain"),
        (500, {"ok": False, "error": "service_unavailable"}, "down"),
        (502, b"<html>", "Uncertain"),
        (503, b"", "down"),
        (504, b"", "Uncertain"),
        (599, b"", "Uncertain"),
        (999, b"", "Uncertain"),
    ],
)
def test_each_status_of_the_api(status: int, body: object, kind: str) -> None:
    assert kind_of_outcome(api_outcome(reply(status, body), NOW, with_blocks=True)) == kind


def test_every_status_in_the_table_of_the_api_has_a_row_above() -> None:
    assert set(API_STATUSES) == {401, 403, 404, 408, 413, 429, 503}


def test_a_whole_answer_that_was_cut_is_uncertain() -> None:
    cut = Reply(200, httpx.Headers(), b'{"ok":true,"ts":"1.2"}', whole=False)
    assert kind_of_outcome(api_outcome(cut, NOW, with_blocks=True)) == "Uncertain"


WEBHOOK = {
    (400, "invalid_payload"): "message",
    (400, "invalid_blocks"): "WithoutBlocks",
    (400, "invalid_blocks_format"): "WithoutBlocks",
    (400, "msg_blocks_too_long"): "WithoutBlocks",
    (400, "no_text"): "message",
    (400, "too_many_attachments"): "message",
    (400, "user_not_found"): "target",
    (400, "invalid_token"): "target",
    (403, "invalid_token"): "target",
    (403, "action_prohibited"): "target",
    (403, "posting_to_general_channel_denied"): "target",
    (403, "team_disabled"): "target",
    (404, "no_team"): "target",
    (404, "no_service"): "target",
    (404, "no_service_id"): "target",
    (404, "no_active_hooks"): "target",
    (404, "channel_not_found"): "target",
    (410, "channel_is_archived"): "target",
    (500, "rollup_error"): "Retry",
    # Not in the table by their text: the status alone says it.
    (200, "ok"): "Sent",
    (200, "ok\n"): "Sent",
    (200, "<html>ok</html>"): "Uncertain",
    (200, ""): "Uncertain",
    (202, "ok"): "Uncertain",
    (302, ""): "Retry",
    (400, "something new"): "message",
    (401, ""): "message",
    (403, "something new"): "target",
    (404, "something new"): "target",
    (408, ""): "Retry",
    (410, "something new"): "target",
    (413, ""): "message",
    (429, "rate_limited"): "slow down",
    (500, "something new"): "Uncertain",
    (500, "no_text"): "Uncertain",
    (502, "<html>"): "Uncertain",
    (503, ""): "down",
    (504, ""): "Uncertain",
}


@pytest.mark.parametrize(("status", "text"), sorted({*WEBHOOK, *WEBHOOK_TEXTS}))
def test_each_answer_of_a_webhook(status: int, text: str) -> None:
    outcome = webhook_outcome(reply(status, text.encode()), NOW, with_blocks=True)
    assert kind_of_outcome(outcome) == WEBHOOK[status, text]


def test_every_status_in_the_table_of_webhooks_has_a_row_above() -> None:
    assert set(WEBHOOK_STATUSES) <= {status for status, text in WEBHOOK if (status, text) not in WEBHOOK_TEXTS}


@pytest.mark.parametrize("judge", [api_outcome, webhook_outcome])
def test_the_wait_that_slack_asks_for_is_kept(judge: type) -> None:
    outcome = judge(reply(429, b"", retry_after="30"), NOW, with_blocks=True)
    assert isinstance(outcome, Retry)
    assert (outcome.after_seconds, outcome.pauses, outcome.code) == (30, Scope.TARGET, 429)


def test_what_slack_calls_the_message_is_the_reference() -> None:
    assert api_outcome(reply(200, {"ok": True, "ts": "1503435956.000247"}), NOW, with_blocks=True) == Sent(
        "1503435956.000247", 200
    )


@given(st.integers(100, 999), st.binary(max_size=40), st.booleans())
def test_any_answer_has_an_outcome_and_only_an_acceptance_is_sent(status: int, body: bytes, with_blocks: bool) -> None:
    for judge in (api_outcome, webhook_outcome):
        outcome = judge(reply(status, body), NOW, with_blocks=with_blocks)
        assert with_blocks or not isinstance(outcome, WithoutBlocks)
        if isinstance(outcome, Sent):
            assert status == 200
        elif isinstance(outcome, Uncertain):
            assert status // 100 not in (3, 4)
