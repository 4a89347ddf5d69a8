"""Pure: what each refusal of a homeserver, and each failure to reach it, means for a delivery, as tables."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

import aiohttp

from router.channels.base import Rejected, Retry, Scope
from router.channels.http import quoted
from router.channels.no_reply import no_reply
from router.channels.retry_after import MAX_RETRY_AFTER_SECONDS, retry_after_seconds

DEFAULT_PAUSE_SECONDS: Final = 5.0
"""How long to pause after a 429 that does not say how long."""


class Step(StrEnum):
    """What was asked of the homeserver."""

    VERSIONS = "versions"
    LOGIN = "login"
    WHOAMI = "whoami"
    RESOLVE = "resolve"
    STATE = "state"
    JOIN = "join"
    SEND = "send"
    PROFILE = "profile"
    DIRECT = "m.direct"
    CREATE = "createRoom"
    INVITE = "invite"


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is not what was asked for."""

    step: Step
    status: int
    """HTTP status; below 300 when it says success but the answer makes no sense."""
    errcode: str | None = None
    """`M_…`; None when the answer is no Matrix error, a proxy's HTML say."""
    error: str = ""
    """The homeserver's own words."""
    retry_after: str | None = None
    """The header `Retry-After`."""
    retry_after_ms: float | None = None
    """The same in the body, an older way (deprecated in Matrix 1.10)."""


class Refused(Exception):
    """The homeserver answered with something else than what was asked for."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.step}: {failure.status} {failure.errcode}")
        self.failure = failure


@dataclass(frozen=True, slots=True)
class About:
    """What the sentences name."""

    target: str
    user: str
    """The router's own user, as far as it is known."""
    credential: str
    """The setting that the login is made from."""
    secrets: tuple[str, ...] = ()
    """What must not appear in a reason even if the homeserver says it."""


Meaning = Literal["retry", "slow_down", "message", "target", "channel"]
"""`retry`: not accepted now. `slow_down`: we send too much. The rest: refused, and what the refusal is about (a `Scope`)."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What an answer means, and the sentence that says so."""

    meaning: Meaning
    advice: str
    """With places for the fields of `About`."""
    pauses: Scope = Scope.CHANNEL
    """What a `slow_down` pauses. Homeservers count messages by sender, over all rooms: hence the whole channel."""
    host_is_down: bool = False
    """As in `Retry`."""


_LOGIN_GONE = Ruling("channel", "the homeserver does not accept the router's login; set {credential} to a valid one")
_TOO_FAST = Ruling("slow_down", "the homeserver asked us to slow down")
_TOO_FAST_HERE = Ruling("slow_down", "the homeserver asked us to slow down", Scope.TARGET)
_MALFORMED = Ruling(
    "message", "the homeserver calls the request malformed, which is a fault of the router; please report it"
)
_TOO_LARGE = Ruling("message", "the message is too large for the homeserver; lower ROUTER_MATRIX__MAX_CONTENT_BYTES")
_NOT_MATRIX = Ruling(
    "channel",
    "the homeserver does not know the request; ROUTER_MATRIX__HOMESERVER is perhaps not a homeserver's base address",
)
_NOT_LET_IN = Ruling("target", "{user} is not in the room {target} and may not join it; invite {user} to the room")
_NO_ROOM = Ruling("target", "the homeserver knows no room {target}; correct the mapping, or invite {user} to the room")
_MAY_NOT_POST = Ruling("target", "{user} may not post in {target}; raise its power level in the room")
_NO_ALIAS = Ruling(
    "target", "there is no room with the alias {target}; correct the mapping, or give the room this alias"
)
_BAD_ROOM = Ruling(
    "target", "{user} cannot join the room {target}; the room needs something that the homeserver cannot do"
)
_NO_USER = Ruling("target", "there is no user {target}; correct the mapping")
_NO_CHAT = Ruling("target", "the homeserver does not let {user} open a direct chat with {target}")
_NO_INVITE = Ruling("target", "the homeserver does not let {user} invite {target} to their direct chat again")
_BAD_PASSWORD = Ruling(
    "channel",
    "the homeserver does not accept user and password; correct ROUTER_MATRIX__USER_ID and ROUTER_MATRIX__PASSWORD",
)
_NO_PASSWORDS = Ruling("channel", "the homeserver has no login by password; set ROUTER_MATRIX__ACCESS_TOKEN instead")
_DEACTIVATED = Ruling(
    "channel", "the router's user {user} is deactivated; set ROUTER_MATRIX__USER_ID and {credential} to another's"
)
_LOCKED = Ruling("channel", "the router's user {user} is locked or suspended; ask the homeserver's administrators")
_CONSENT = Ruling(
    "channel", "the router's user {user} has to agree to the homeserver's terms first; log in as it and do so"
)

ERRCODES: Final = MappingProxyType(
    {
        "M_UNKNOWN_TOKEN": _LOGIN_GONE,
        "M_MISSING_TOKEN": _LOGIN_GONE,
        "M_USER_DEACTIVATED": _DEACTIVATED,
        "M_USER_LOCKED": _LOCKED,
        "M_USER_SUSPENDED": _LOCKED,
        "M_CONSENT_NOT_GIVEN": _CONSENT,
        "M_LIMIT_EXCEEDED": _TOO_FAST,
        "M_RESOURCE_LIMIT_EXCEEDED": Ruling("retry", "the homeserver is at a limit of its own; ask its administrators"),
        "M_TOO_LARGE": _TOO_LARGE,
        "M_BAD_JSON": _MALFORMED,
        "M_NOT_JSON": _MALFORMED,
        "M_INVALID_PARAM": _MALFORMED,
        "M_MISSING_PARAM": _MALFORMED,
        "M_UNRECOGNIZED": _NOT_MATRIX,
        "M_GUEST_ACCESS_FORBIDDEN": Ruling(
            "target", "{user} is a guest, and {target} admits none; use a registered user"
        ),
        "M_FORBIDDEN": Ruling("target", "the homeserver does not let {user} reach {target}"),
        "M_NOT_FOUND": Ruling("target", "the homeserver knows no {target}; correct the mapping"),
    }
)
"""By `errcode`, whatever was asked (spec, client-server API, "Standard error response")."""

AT_STEP: Final = MappingProxyType(
    {
        (Step.LOGIN, "M_FORBIDDEN"): _BAD_PASSWORD,
        (Step.LOGIN, "M_INVALID_USERNAME"): _BAD_PASSWORD,
        (Step.LOGIN, "M_INVALID_PARAM"): _BAD_PASSWORD,
        (Step.LOGIN, "M_UNKNOWN"): _NO_PASSWORDS,
        (Step.WHOAMI, "M_FORBIDDEN"): _LOGIN_GONE,
        (Step.RESOLVE, "M_NOT_FOUND"): _NO_ALIAS,
        (Step.RESOLVE, "M_INVALID_PARAM"): _NO_ALIAS,
        (Step.STATE, "M_FORBIDDEN"): _NOT_LET_IN,
        (Step.JOIN, "M_FORBIDDEN"): _NOT_LET_IN,
        (Step.JOIN, "M_NOT_FOUND"): _NO_ROOM,
        # Synapse's answers to an id without a known server, and to an id that is none.
        (Step.JOIN, "M_UNKNOWN"): _NO_ROOM,
        (Step.JOIN, "M_INVALID_PARAM"): _NO_ROOM,
        (Step.JOIN, "M_INCOMPATIBLE_ROOM_VERSION"): _BAD_ROOM,
        (Step.JOIN, "M_UNABLE_TO_AUTHORISE_JOIN"): _NOT_LET_IN,
        (Step.JOIN, "M_UNABLE_TO_GRANT_JOIN"): _NOT_LET_IN,
        (Step.JOIN, "M_LIMIT_EXCEEDED"): _TOO_FAST_HERE,
        (Step.SEND, "M_FORBIDDEN"): _MAY_NOT_POST,
        (Step.SEND, "M_NOT_FOUND"): _NO_ROOM,
        (Step.PROFILE, "M_NOT_FOUND"): _NO_USER,
        (Step.PROFILE, "M_INVALID_PARAM"): _NO_USER,
        # What Synapse 1.163 says of a user of its own that does not exist.
        (Step.PROFILE, "M_UNKNOWN"): _NO_USER,
        (Step.CREATE, "M_FORBIDDEN"): _NO_CHAT,
        (Step.CREATE, "M_NOT_FOUND"): _NO_CHAT,
        (Step.CREATE, "M_INVALID_PARAM"): _NO_CHAT,
        (Step.CREATE, "M_INVITE_BLOCKED"): _NO_CHAT,
        (Step.CREATE, "M_LIMIT_EXCEEDED"): _TOO_FAST_HERE,
        (Step.INVITE, "M_FORBIDDEN"): _NO_INVITE,
        (Step.INVITE, "M_INVITE_BLOCKED"): _NO_INVITE,
        (Step.INVITE, "M_LIMIT_EXCEEDED"): _TOO_FAST_HERE,
    }
)
"""Where it matters what was asked. The rate of joins, invitations and new rooms is limited apart from that of messages."""

_GARBAGE = Ruling("retry", "what answered is not a homeserver, or a broken one; see ROUTER_MATRIX__HOMESERVER")
"""Not the homeserver's being down: a filter on the way answers so too, for what it dislikes in one message."""
_DOWN = Ruling("retry", "the homeserver is not available at the moment", host_is_down=True)
_NOT_NOW = replace(_DOWN, host_is_down=False)

STATUSES: Final = MappingProxyType({408: _NOT_NOW, 413: _TOO_LARGE, 425: _NOT_NOW, 429: _TOO_FAST})
"""By status, when the `errcode` says nothing: no `errcode`, or one not in the tables."""

STATUS_CLASSES: Final = MappingProxyType(
    {
        (2, False): _GARBAGE,
        (3, False): _GARBAGE,
        (4, False): _GARBAGE,
        (5, False): _DOWN,
        (2, True): _GARBAGE,
        (3, True): _GARBAGE,
        (4, True): Ruling("message", "the homeserver refused the request"),
        (5, True): _DOWN,
    }
)
"""Last, by the hundreds of the status and whether there is an `errcode`: a refusal without one comes from a proxy on the way,
which may well be gone a minute later."""


def ruling_of(failure: Failure) -> Ruling:
    """The row of the tables that a failure falls under."""
    hundreds = failure.status // 100
    if failure.errcode is not None and hundreds < 5:
        for ruling in (AT_STEP.get((failure.step, failure.errcode)), ERRCODES.get(failure.errcode)):
            if ruling is not None:
                return ruling
    return STATUSES.get(failure.status) or STATUS_CLASSES.get((hundreds, failure.errcode is not None), _GARBAGE)


def classify(failure: Failure, about: About, now: datetime) -> Retry | Rejected:
    """What a failure means for the delivery. `now` (aware) is when the answer came."""
    ruling = ruling_of(failure)
    reason = ruling.advice.format(target=about.target, user=about.user, credential=about.credential)
    if failure.error:
        reason += f": {quoted(failure.error, *about.secrets)}"
    code = failure.errcode or failure.status
    if ruling.meaning == "retry":
        return Retry(reason, code, asked_seconds(failure, now), host_is_down=ruling.host_is_down)
    if ruling.meaning == "slow_down":
        asked = asked_seconds(failure, now)
        return Retry(reason, code, DEFAULT_PAUSE_SECONDS if asked is None else asked, ruling.pauses)
    return Rejected(reason, Scope(ruling.meaning), code)


def asked_seconds(failure: Failure, now: datetime) -> float | None:
    """How long the homeserver asked us to wait: by `Retry-After`, else by `retry_after_ms`; None when it did not say."""
    seconds = retry_after_seconds(failure.retry_after, now)
    if seconds is None and failure.retry_after_ms is not None:
        seconds = min(max(failure.retry_after_ms / 1000, 0.0), MAX_RETRY_AFTER_SECONDS)
    return seconds


def unreachable(error: aiohttp.ClientError | OSError) -> Retry:
    """What it means that no answer came. Always worth a retry: a homeserver tells a repeat by its transaction id."""
    return no_reply(error, "the homeserver").retry("; see ROUTER_MATRIX__HOMESERVER if it stays so")
