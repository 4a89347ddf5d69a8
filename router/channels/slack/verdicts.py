"""Pure: what each answer of Slack means for a delivery, as tables."""

from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

from router.channels.base import Code, Outcome, Rejected, Retry, Scope, Sent, Uncertain
from router.channels.http import Reply, quoted

Meaning = Literal["retry", "slow_down", "uncertain", "blocks", "message", "target", "channel"]
"""`retry`: not accepted now. `slow_down`: this target has had too many. `uncertain`: Slack itself cannot say whether it
was posted. `blocks`: the text may pass without its blocks. The rest: refused, and what the refusal is about (a `Scope`)."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What an answer means, and the sentence that says so."""

    meaning: Meaning
    advice: str
    host_is_down: bool = False
    """As in `Retry`."""


@dataclass(frozen=True, slots=True)
class WithoutBlocks:
    """Not an outcome yet: the blocks were refused, the text alone may pass."""


_TOO_FAST = Ruling("slow_down", "Slack asked us to slow down")
"""Why a 429 pauses the target and not the channel: Slack counts chat.postMessage (one a second) per channel, and its own
Java SDK keys that method's queue by channel (`AsyncRateLimitExecutor.toMethodNameWithSuffix`). A workspace's limit then
pauses each target that meets it, while webhooks and other workspaces go on."""
_UNSURE = Ruling(
    "uncertain", "Slack had an error of its own and says that the message may have been posted all the same"
)
_DOWN = Ruling("retry", "Slack is not available at the moment", host_is_down=True)
_NOT_NOW = replace(_DOWN, host_is_down=False)
_MIGRATING = Ruling("retry", "the Slack workspace is being moved to an Enterprise organisation")
_BAD_TOKEN = Ruling("channel", "Slack does not accept the bot token; set ROUTER_SLACK__BOT_TOKEN to a valid one")
_NO_SCOPE = Ruling(
    "channel",
    "the Slack app may not post; give it the scope chat:write, install it again and set ROUTER_SLACK__BOT_TOKEN",
)
_NO_ACCESS = Ruling(
    "channel", "the Slack workspace's administrators do not let the app of ROUTER_SLACK__BOT_TOKEN post"
)
_NOT_OURS = Ruling("message", "Slack calls the request malformed, which is a fault of the router; please report it")
_NO_POSTING = Ruling("target", "the workspace does not let the app post in this Slack channel; ask its administrators")
_NO_CHANNEL = Ruling(
    "target",
    "there is no such Slack channel, or the app cannot see it; correct the mapping, or invite the app if it is private",
)
_ARCHIVED = Ruling("target", "the Slack channel is archived; bring it back or take it out of the mapping")
_BLOCKS = Ruling("blocks", "Slack refused the message's blocks and its plain text too")
_TOO_LONG = Ruling("message", "the message is too long for Slack; lower ROUTER_SLACK__MAX_TEXT_CHARS")
_EMPTY = Ruling("message", "the message has no text")
_ATTACHMENTS = Ruling("message", "the message has too many attachments")
_HOOK_GONE = Ruling("target", "the webhook was removed or switched off; make a new one and put it into the mapping")
_HOOK_WRONG = Ruling("target", "Slack does not know this webhook; copy its address into the mapping again")
_HOOK_REFUSED = Ruling("target", "an administrator of the workspace does not let this webhook post")

API_ERRORS: Final = MappingProxyType(
    {
        "ratelimited": _TOO_FAST,
        "rate_limited": _TOO_FAST,
        "message_limit_exceeded": Ruling("retry", "the Slack workspace has reached its limit of messages"),
        "service_unavailable": _DOWN,
        "request_timeout": Ruling("retry", "Slack got the request cut short"),
        "team_added_to_org": _MIGRATING,
        "org_login_required": _MIGRATING,
        "internal_error": _UNSURE,
        "fatal_error": _UNSURE,
        "not_authed": _BAD_TOKEN,
        "invalid_auth": _BAD_TOKEN,
        "account_inactive": _BAD_TOKEN,
        "token_revoked": _BAD_TOKEN,
        "token_expired": _BAD_TOKEN,
        "not_allowed_token_type": _BAD_TOKEN,
        "missing_scope": _NO_SCOPE,
        "no_permission": _NO_SCOPE,
        "access_denied": _NO_ACCESS,
        "ekm_access_denied": _NO_ACCESS,
        "team_access_not_granted": _NO_ACCESS,
        "enterprise_is_restricted": _NO_ACCESS,
        "channel_not_found": _NO_CHANNEL,
        "user_not_found": Ruling("target", "there is no such person in the Slack workspace; correct the mapping"),
        "not_in_channel": Ruling("target", "the app is not in this Slack channel; invite it with /invite"),
        "is_archived": _ARCHIVED,
        "restricted_action": _NO_POSTING,
        "restricted_action_read_only_channel": _NO_POSTING,
        "restricted_action_thread_only_channel": _NO_POSTING,
        "restricted_action_non_threadable_channel": _NO_POSTING,
        "messages_tab_disabled": Ruling("target", "the Slack app's Messages tab is off; switch it on under App Home"),
        "msg_too_long": _TOO_LONG,
        "no_text": _EMPTY,
        "too_many_attachments": _ATTACHMENTS,
        "invalid_blocks": _BLOCKS,
        "invalid_blocks_format": _BLOCKS,
        "msg_blocks_too_long": _BLOCKS,
        "invalid_arg_name": _NOT_OURS,
        "invalid_arguments": _NOT_OURS,
        "invalid_array_arg": _NOT_OURS,
        "invalid_charset": _NOT_OURS,
        "invalid_form_data": _NOT_OURS,
        "invalid_json": _NOT_OURS,
        "invalid_post_type": _NOT_OURS,
        "json_not_object": _NOT_OURS,
        "missing_post_type": _NOT_OURS,
    }
)
"""`error` of an answer `{"ok": false}`, which comes with HTTP 200 (wire-formats 2, chat.postMessage).

`fatal_error` and `internal_error` are documented to leave it open whether the message was posted, so they are uncertain:
under `resend` that is a retry, under `hold` an admin judges."""

API_STATUSES: Final = MappingProxyType(
    {
        401: _BAD_TOKEN,
        403: _NO_ACCESS,
        404: Ruling("channel", "there is no Slack API at ROUTER_SLACK__API_URL"),
        408: _NOT_NOW,
        413: _TOO_LONG,
        429: _TOO_FAST,
        503: _DOWN,
    }
)
"""HTTP status of an answer of the Web API that has no error of Slack's in its body."""

WEBHOOK_TEXTS: Final = MappingProxyType(
    {
        (400, "invalid_payload"): _NOT_OURS,
        (400, "invalid_blocks"): _BLOCKS,
        (400, "invalid_blocks_format"): _BLOCKS,
        (400, "msg_blocks_too_long"): _BLOCKS,
        (400, "no_text"): _EMPTY,
        (400, "too_many_attachments"): _ATTACHMENTS,
        (400, "user_not_found"): Ruling("target", "the person whom the webhook writes to is gone; make a new webhook"),
        (400, "invalid_token"): _HOOK_WRONG,
        (403, "invalid_token"): _HOOK_WRONG,
        (403, "action_prohibited"): _HOOK_REFUSED,
        (403, "posting_to_general_channel_denied"): _HOOK_REFUSED,
        (403, "team_disabled"): Ruling("target", "the webhook's Slack workspace is switched off"),
        (404, "no_team"): _HOOK_WRONG,
        (404, "no_service"): _HOOK_GONE,
        (404, "no_service_id"): _HOOK_WRONG,
        (404, "no_active_hooks"): _HOOK_GONE,
        (404, "channel_not_found"): Ruling("target", "the webhook's Slack channel is gone; make a new webhook"),
        (410, "channel_is_archived"): _ARCHIVED,
        (500, "rollup_error"): Ruling("retry", "Slack had an error of its own and did not post the message"),
    }
)
"""HTTP status and body of an incoming webhook's refusal (wire-formats 2). A text that comes with a status other than its
own means what the status means: the documentation gives some of the texts without theirs."""

WEBHOOK_STATUSES: Final = MappingProxyType(
    {
        400: Ruling("message", "Slack refused the message"),
        403: _HOOK_REFUSED,
        404: _HOOK_WRONG,
        408: _NOT_NOW,
        410: _HOOK_GONE,
        413: _TOO_LONG,
        429: _TOO_FAST,
        503: _DOWN,
    }
)
"""HTTP status of an incoming webhook's refusal with a text that is not in WEBHOOK_TEXTS."""

_FAMILIES: Final = MappingProxyType(
    {
        1: Ruling("uncertain", "Slack answered with half an answer"),
        2: Ruling("uncertain", "Slack's answer could not be read, so that nobody knows whether the message was posted"),
        3: Ruling("retry", "the answer was a redirect, which is not followed: something else than Slack answered"),
        4: Ruling("message", "Slack refused the message"),
        5: Ruling("uncertain", "Slack broke off with an error, so that nobody knows whether the message was posted"),
    }
)
"""What a status means that is in no table, by its first digit."""


def api_outcome(reply: Reply, now: datetime, *, with_blocks: bool) -> Outcome | WithoutBlocks:
    """What an answer to chat.postMessage means. `with_blocks`: whether the request had any."""
    body = reply.json()
    if reply.status == 429:
        return _apply(_TOO_FAST, 429, reply, now, with_blocks)
    if isinstance(body, dict):
        if body.get("ok") is True and reply.status == 200:
            ts = body.get("ts")
            return Sent(ts if isinstance(ts, str) else None, 200)
        error = body.get("error")
        if body.get("ok") is False and isinstance(error, str):
            # An error nobody here knows was still a refusal: worth a few more tries, and the document shows its name.
            ruling = API_ERRORS.get(error) or Ruling("retry", f"Slack refused it with {quoted(error, limit=60)}")
            return _apply(ruling, error[:60], reply, now, with_blocks)
    ruling = API_STATUSES.get(reply.status) or _FAMILIES.get(reply.status // 100, _FAMILIES[5])
    return _apply(ruling, reply.status, reply, now, with_blocks)


def webhook_outcome(reply: Reply, now: datetime, *, with_blocks: bool) -> Outcome | WithoutBlocks:
    """What an answer of an incoming webhook means. `with_blocks`: whether the request had any."""
    text = reply.text.strip()
    if reply.status == 200 and text == "ok":
        return Sent(None, 200)
    known = WEBHOOK_TEXTS.get((reply.status, text))
    ruling = known or WEBHOOK_STATUSES.get(reply.status) or _FAMILIES.get(reply.status // 100, _FAMILIES[5])
    return _apply(ruling, text if known else reply.status, reply, now, with_blocks)


def _apply(ruling: Ruling, code: Code, reply: Reply, now: datetime, with_blocks: bool) -> Outcome | WithoutBlocks:
    reason = f"{ruling.advice} ({code})"
    match ruling.meaning:
        case "retry":
            return Retry(reason, code, reply.asked_seconds(now), host_is_down=ruling.host_is_down)
        case "slow_down":
            return Retry(reason, code, reply.asked_seconds(now), pauses=Scope.TARGET)
        case "uncertain":
            return Uncertain(reason, code)
        case "blocks":
            return WithoutBlocks() if with_blocks else Rejected(reason, Scope.MESSAGE, code)
        case "message" | "target" | "channel":
            return Rejected(reason, Scope(ruling.meaning), code)
