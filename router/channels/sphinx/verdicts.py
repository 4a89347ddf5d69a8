"""Pure: what each answer of a Sphinx v2 bot means, as tables. The bot publishes no list of errors (wire-formats 1)."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal

from router.channels.base import Code, Outcome, Rejected, Retry, Scope, Sent, Uncertain, Waiting
from router.channels.http import Reply, quoted
from router.documents.json_types import JsonValue

MAX_TAG_CHARS: Final = 200


class Contact(Enum):
    """How far the bot is with a person."""

    UNKNOWN = "unknown"
    NO_KEY = "no key"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Settled:
    """Not an outcome yet: looking at this tag again brings nothing; the next attempt has to send anew."""

    outcome: Retry | Uncertain


Meaning = Literal["retry", "slow_down", "uncertain", "message", "target", "channel"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a status means, and the sentence that says so."""

    meaning: Meaning
    advice: str
    host_is_down: bool = False
    """As in `Retry`."""


_TOKEN = Ruling(
    "channel", "the Sphinx bot does not accept the token; set ROUTER_SPHINX__ADMIN_TOKEN to its ADMIN_TOKEN"
)
_NOT_A_BOT = Ruling("channel", "this is not the address of a Sphinx v2 bot; set ROUTER_SPHINX__URL")
_TOO_FAST = Ruling("slow_down", "the Sphinx bot asked us to slow down")
_DOWN = Ruling("retry", "the Sphinx bot is not available at the moment", host_is_down=True)
_NOT_NOW = replace(_DOWN, host_is_down=False)
_REDIRECT = Ruling("retry", "the answer was a redirect, which is not followed; see ROUTER_SPHINX__URL")

LOOK_STATUSES: Final = MappingProxyType[int, Contact | Ruling](
    {
        400: Contact.UNKNOWN,
        404: Contact.UNKNOWN,
        500: Contact.UNKNOWN,
        401: _TOKEN,
        403: _TOKEN,
        405: _NOT_A_BOT,
        429: _TOO_FAST,
    }
)
"""HTTP status of a look at a contact. The two known clients take every status but 2xx for `no such contact`; so do we for
the three that a bot may well give to a question about a stranger."""

ADD_STATUSES: Final = MappingProxyType(
    {
        400: Ruling(
            "target", "the Sphinx bot does not accept this contact; check its pubkey and route hint in the mapping"
        ),
        401: _TOKEN,
        403: _TOKEN,
        404: _NOT_A_BOT,
        405: _NOT_A_BOT,
        422: Ruling(
            "target", "the Sphinx bot does not accept this contact; check its pubkey and route hint in the mapping"
        ),
        429: _TOO_FAST,
    }
)
"""HTTP status of add_contact. Adding twice harms nobody, so all that may pass is tried again."""

SEND_STATUSES: Final = MappingProxyType(
    {
        401: _TOKEN,
        403: _TOKEN,
        404: _NOT_A_BOT,
        405: _NOT_A_BOT,
        408: _NOT_NOW,
        413: Ruling("message", "the message is too long for the Sphinx bot; lower ROUTER_SPHINX__MAX_CONTENT_BYTES"),
        429: _TOO_FAST,
        503: _DOWN,
    }
)
"""HTTP status of send, when the body does not say more."""

TAG_STATUSES: Final = MappingProxyType({401: _TOKEN, 403: _TOKEN, 405: _NOT_A_BOT, 429: _TOO_FAST})
"""HTTP status of a look at sends/{tag}; 404 is a tag that the bot does not know."""

_REPEATABLE_FAMILIES: Final = MappingProxyType({3: _REDIRECT, 5: _DOWN})
_SEND_FAMILIES: Final = MappingProxyType(
    {
        1: Ruling(
            "uncertain",
            "the Sphinx bot answered with half an answer, so that nobody knows whether the message went out",
        ),
        3: _REDIRECT,
        4: Ruling("message", "the Sphinx bot refused the message"),
        5: Ruling(
            "uncertain", "the Sphinx bot broke off with an error, so that nobody knows whether the message went out"
        ),
    }
)
"""What a status means that is in no table, by its first digit; anything else may pass."""

SendStatus = Literal["complete", "pending", "failed"]
SEND_RESULTS: Final = MappingProxyType[str, SendStatus](
    {"COMPLETE": "complete", "PENDING": "pending", "FAILED": "failed"}
)
"""`status` in the answers to send and sends/{tag}. FAILED is tried again, with backoff: the usual reasons (no route, a peer
that is offline) pass. When the retries are used up, the delivery ends FAILED with the bot's own words."""


@dataclass(frozen=True, slots=True)
class Bot:
    """What the judgements below need to know of the bot."""

    pending_recheck_seconds: float
    secrets: tuple[str, ...]
    """Texts that must not come back in a reason, should the bot repeat them."""


def contact_state(reply: Reply, bot: Bot, now: datetime) -> Contact | Retry | Rejected:
    """How far the bot is with a person, by its answer to a look at the contact."""
    if reply.status // 100 != 2:
        found = LOOK_STATUSES.get(reply.status) or _REPEATABLE_FAMILIES.get(reply.status // 100, _NOT_NOW)
        return found if isinstance(found, Contact) else _apply_repeatable(found, reply, bot, now)
    body = reply.json()
    if body is None and (not reply.whole or reply.text.strip() not in ("", "null")):
        return Retry(
            "the Sphinx bot's answer about the contact could not be read; see ROUTER_SPHINX__URL", reply.status
        )
    if not isinstance(body, dict) or _error(body) or not ("pubkey" in body or "contact_key" in body):
        return Contact.UNKNOWN
    key = body.get("contact_key")
    return Contact.READY if isinstance(key, str) and key.strip() else Contact.NO_KEY


def add_problem(reply: Reply, bot: Bot, now: datetime) -> Retry | Rejected | None:
    """None when add_contact was accepted; else what its answer means."""
    if reply.status // 100 == 2:
        error = _error(reply.json())
        return (
            Retry(f"the Sphinx bot could not add the contact: {quoted(error, *bot.secrets)}", reply.status)
            if error
            else None
        )
    return _apply_repeatable(
        ADD_STATUSES.get(reply.status) or _REPEATABLE_FAMILIES.get(reply.status // 100, _NOT_NOW), reply, bot, now
    )


def send_outcome(reply: Reply, bot: Bot, now: datetime) -> Outcome:
    """What the answer to send means. Both known shapes are read: `status`, `tag`, `message`; and `error`, `uuid`."""
    body = reply.json()
    error = _error(body)
    result, tag = _result(body), _tag(body)
    if reply.status // 100 == 2:
        if error or result == "failed":
            return _failed(error or _said(body, "message"), bot)
        if result == "complete":
            return Sent(tag, reply.status)
        if result == "pending" and tag is not None:
            return _pending(tag, bot)
        why = (
            "called the message PENDING but gave no tag to ask for"
            if result
            else "did not say what became of the message"
        )
        return Uncertain(f"the Sphinx bot {why}; it may have gone out or not", reply.status)
    ruling = SEND_STATUSES.get(reply.status) or _SEND_FAMILIES.get(reply.status // 100, _NOT_NOW)
    if ruling.meaning == "uncertain" and (error or result == "failed"):
        # The bot says itself that it did not go out.
        return _failed(error or _said(body, "message"), bot, reply.status)
    return _apply(ruling, reply, bot, now)


def tag_outcome(reply: Reply, tag: str, bot: Bot, now: datetime) -> Outcome | Settled:
    """What the answer to sends/{tag} means for a message that the bot called PENDING."""
    if reply.status == 404:
        return _unknown_tag(reply.status)
    if reply.status // 100 != 2:
        ruling = TAG_STATUSES.get(reply.status) or _REPEATABLE_FAMILIES.get(reply.status // 100, _NOT_NOW)
        return _apply_repeatable(ruling, reply, bot, now)
    body = reply.json()
    rows = body if isinstance(body, list) else [body]
    sends = [row for row in rows if isinstance(row, dict) and row.get("tag") == tag]
    if not sends:
        if isinstance(body, list) and all(isinstance(row, dict) for row in body):
            return _unknown_tag(reply.status)
        return Retry("the Sphinx bot's answer about a message that it called PENDING could not be read", reply.status)
    last = sends[-1]
    match _result(last):
        case "complete":
            return Sent(tag, reply.status)
        case "pending":
            return _pending(tag, bot)
        case "failed":
            return Settled(_failed(_error(last) or _said(last, "message"), bot))
        case None:
            return Retry("the Sphinx bot did not say what became of a message that it called PENDING", reply.status)


def _pending(tag: str, bot: Bot) -> Waiting:
    reason = "the Sphinx bot has taken the message and is still at it"
    return Waiting(reason, "PENDING", bot.pending_recheck_seconds, tag, "PENDING")


def _unknown_tag(status: int) -> Settled:
    reason = "the Sphinx bot called the message PENDING and now knows nothing of it; it may have gone out or not"
    return Settled(Uncertain(reason, status))


def _failed(said: str, bot: Bot, code: Code = "FAILED") -> Retry:
    return Retry(f"the Sphinx bot could not send it: {quoted(said or 'no reason given', *bot.secrets)}", code)


def _result(body: JsonValue) -> SendStatus | None:
    status = body.get("status") if isinstance(body, dict) else None
    return SEND_RESULTS.get(status) if isinstance(status, str) else None


def _tag(body: JsonValue) -> str | None:
    """The tag, if it can be asked for: it becomes part of a path."""
    tag = body.get("tag") if isinstance(body, dict) else None
    fits = isinstance(tag, str) and 0 < len(tag) <= MAX_TAG_CHARS and tag.strip(".") and tag.isprintable()
    return tag if isinstance(tag, str) and fits else None


def _error(body: JsonValue) -> str:
    """`error` of an answer, however it is put; empty when there is none."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message") or "an error"
    return error if isinstance(error, str) else "an error" if error else ""


def _said(body: JsonValue, key: str) -> str:
    value = body.get(key) if isinstance(body, dict) else None
    return value if isinstance(value, str) else ""


def _apply_repeatable(ruling: Ruling, reply: Reply, bot: Bot, now: datetime) -> Retry | Rejected:
    outcome = _apply(ruling, reply, bot, now)
    if isinstance(outcome, Uncertain):
        raise AssertionError("what may be asked twice has no row that is uncertain")
    return outcome


def _apply(ruling: Ruling, reply: Reply, bot: Bot, now: datetime) -> Retry | Rejected | Uncertain:
    body = reply.json()
    said = _error(body) or _said(body, "message")
    reason = f"{ruling.advice} ({reply.status})" + (f": {quoted(said, *bot.secrets)}" if said else "")
    match ruling.meaning:
        case "retry":
            return Retry(reason, reply.status, reply.asked_seconds(now), host_is_down=ruling.host_is_down)
        case "slow_down":
            # All messages go through one bot, so all of them pause.
            return Retry(reason, reply.status, reply.asked_seconds(now), pauses=Scope.CHANNEL)
        case "uncertain":
            return Uncertain(reason, reply.status)
        case "message" | "target" | "channel":
            return Rejected(reason, Scope(ruling.meaning), reply.status)
