"""The contract between the delivery engine and a channel: what goes in, and the outcomes that may come out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, Literal, Protocol, TypeVar
from uuid import UUID

from router.couch.database import Database
from router.documents.json_types import JsonValue
from router.rendering.rendered import Rendered
from router.settings import ChannelSettings


@dataclass(frozen=True, slots=True)
class Target:
    """One address on one channel.

    Two targets of one channel are the same if their `identity` is: that is what the delivery id is made from.
    """

    channel: str
    address: str
    """The canonical address, all that the channel needs to reach it."""
    shown: str
    """What documents, logs and tables show: `address`, or a shortened form where the address is a secret."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What an object target says beside its address (a mailbox's `name`, say). Never needed to reach it."""
    alias_of: str = ""
    """Who is reached, where the same one may have several addresses (a Sphinx pubkey with and without its route hint);
    empty where the address says it all."""
    host: str = ""
    """The server that is asked for this target, where a channel has several (`hooks.slack.com`); empty for its only one.
    What stands still when that server is down. Never a secret."""

    @property
    def identity(self) -> str:
        """What makes two targets of a channel one."""
        return self.alias_of or self.address

    @property
    def is_secret(self) -> bool:
        """Whether the address must not be written down."""
        return self.shown != self.address


class TargetError(ValueError):
    """A target in the mapping that the channel cannot read; the text says what is wrong and what to write instead."""


class Scope(StrEnum):
    """What a refusal or a pause is about."""

    MESSAGE = "message"
    TARGET = "target"
    CHANNEL = "channel"


Code = int | str | None
"""The other side's own code for what happened: an HTTP or SMTP status, an `errcode`, an error string."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The other side accepted the message."""

    reference: str | None
    """What the other side calls it: an event id, a Slack `ts`, a Sphinx `tag`, the SMTP reply."""
    code: Code = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not accepted now; the same delivery may be accepted later."""

    reason: str
    code: Code = None
    after_seconds: float | None = None
    """How long the other side asked us to wait; None when it did not say."""
    pauses: Scope | None = None
    """What must pause for `after_seconds`, when the other side asked us to slow down (429). Such an attempt costs no
    retry."""
    host_is_down: bool = False
    """Whether the server itself does not work (no connection, no TLS, no such name, 5xx), which would be so for every
    target on it: that counts towards its breaker, and costs no retry while that is not closed. An `Uncertain` attempt always
    counts."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused: this message (`MESSAGE`) or anything for this target (`TARGET`) for good, or, until somebody mends
    the router's own credentials or settings, everything on this channel (`CHANNEL`)."""

    reason: str
    scope: Scope
    code: Code = None


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The bytes left, no answer came, and the channel cannot tell a repeat."""

    reason: str
    code: Code = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is wrong, but the other side is not ready; look again after `after_seconds`, which costs no retry."""

    reason: str
    status: Literal["PENDING", "WAITING_KEY_EXCHANGE"]
    after_seconds: float
    reference: str | None = None
    """What the other side calls what it already took; handed back in `Outgoing.reference` at the next look."""
    code: Code = None


Outcome = Sent | Retry | Rejected | Uncertain | Waiting


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One delivery as a channel gets it."""

    delivery_id: str
    uuid: UUID
    """Made from the delivery id alone: the same on every attempt and after every restart."""
    target: Target
    group: str
    """The group through which the target was reached, `#admins`."""
    content: Rendered
    created_at: datetime
    """When the message was made; the same on every attempt."""
    message_id: str
    routed_at: datetime
    """When the delivery was made; after a crash the same only where `ChannelKind.is_recorded_first`."""
    reference: str | None = None
    """What an earlier attempt of this delivery left behind as `Waiting.reference`."""
    user: str | None = None
    """Whose target it is; None for one that the mapping lists."""
    is_mandatory: bool = False
    """Whether the user cannot switch it off."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of `router check`: something tried for real with the channel's credentials."""

    what: str
    """What was tried, `whoami`."""
    ok: bool
    detail: str
    """Whom the other side takes us for; or one sentence that says what is wrong and what to do."""


class Channel(Protocol):
    """A way to reach somebody. One instance serves all targets of the channel, many sends at a time."""

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Make one attempt. Never decides about retries, never raises for what the other side or the network does,
        never waits longer than the channel's `attempt_timeout_seconds`."""
        ...

    async def check(self) -> list[CheckResult]:
        """Try the credentials for real without sending anything to anybody."""
        ...

    async def close(self) -> None:
        """Give connections back. May be called once, also after a `send` that was cancelled."""
        ...


S = TypeVar("S", bound=ChannelSettings)


@dataclass(frozen=True, slots=True)
class ChannelKind(Generic[S]):
    """What there is to know of a channel before it is opened.

    A third party adds a channel by naming such an object in the entry-point group `router.channels`.
    """

    name: str
    """The key in the mapping and in settings: `matrix`."""
    settings_type: type[S]
    """Read from `ROUTER_<NAME>__…`; all its fields have defaults, so that a router without the channel starts."""
    parse_target: Callable[[JsonValue, S], Target]
    """Read one target of the mapping (a text, or an object). Pure. Raises TargetError."""
    missing: Callable[[S], str | None]
    """None when the settings suffice to open the channel; else one sentence that names the variables to set."""
    tells_repeats: bool = field(default=False, kw_only=True)
    """Whether the other side, or the recipient's program, sees by the delivery's uuid that it has a message already. Where
    it cannot, each attempt that may have arrived is told in the delivery document."""
    open: Callable[[S], Channel]
    """Make the channel. Opens no connection yet: that is for the first `send` or `check`."""
    open_on: Callable[[S, Database], Channel] | None = field(default=None, kw_only=True)
    """The same instead, for a channel that keeps what it delivers in the router's own database, which the channel does not
    close."""
    is_recorded_first: bool = field(default=False, kw_only=True)
    """Whether a delivery must stand in CouchDB before its first attempt: where what the channel makes of it is named by the
    moment at which it was routed, which a router that starts again after a crash can only know from there."""

    def opened(self, settings: S, database: Database) -> Channel:
        """The channel, made in the way that it is to be made."""
        return self.open(settings) if self.open_on is None else self.open_on(settings, database)
