"""What the running router says of itself at one moment: the source of `/readyz` and of the gauges in `/metrics`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["starting", "standby", "active", "stopping"]
"""`starting` until CouchDB has let us in and the mapping is read; `standby` while another router holds the lease."""
ROLES: tuple[Role, ...] = ("starting", "standby", "active", "stopping")

BreakerState = Literal["closed", "open", "half_open"]
BREAKER_STATES: tuple[BreakerState, ...] = ("closed", "open", "half_open")

ChannelState = Literal["ready", "troubled", "not configured"]

MappingState = Literal["OK", "INVALID", "MISSING"]
"""The mapping document as it stands in CouchDB; whatever it is, the last good one is in force."""
MAPPING_STATES: tuple[MappingState, ...] = ("OK", "INVALID", "MISSING")


@dataclass(frozen=True, slots=True)
class ChannelSnapshot:
    """One channel and its lane."""

    not_configured: str | None = None
    """None when the channel has what it needs; else one sentence that names the variables to set."""
    depth: int = 0
    """Deliveries in the lane's window."""
    room: int = 0
    """How many more it takes in now: no more than are needed to try whether its hosts work, while none of them does."""
    paused_seconds: float = 0.0
    """For how long the whole channel still waits, by its rate or because the other side asked for it; 0 when it does not."""
    breakers: Mapping[str, BreakerState] = field(default_factory=dict)
    """The state of each host's breaker, by host; a host that never failed may be missing."""
    trouble: str | None = None
    """What the last attempt said that opened a breaker which is not closed yet; None while all are closed."""

    @property
    def state(self) -> ChannelState:
        """In a word. `troubled` while a breaker is not closed."""
        if self.not_configured is not None:
            return "not configured"
        return "troubled" if any(state != "closed" for state in self.breakers.values()) else "ready"


@dataclass(frozen=True, slots=True)
class FeedSnapshot:
    """The changes feed."""

    connected: bool = False
    lag_documents: int | None = None
    """Changes behind the last one that is done with; None while nobody could count them."""
    silent_seconds: float = 0.0
    """Since the last byte, heartbeats included; 0 while we are busy with what came."""
    is_silent: bool = False
    """Whether that is longer than CouchDB's heartbeats allow."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The router at one moment. No secret is in it."""

    role: Role
    couchdb_trouble: str | None = None
    """None while CouchDB answers; else what is wrong with it, in a sentence."""
    mapping: MappingState | None = None
    """None before it was read."""
    mapping_in_force: str | None = None
    """Revision of the mapping that is routed by; None while there never was a good one."""
    channels: Mapping[str, ChannelSnapshot] = field(default_factory=dict)
    """By name; empty while this router is not the active one."""
    feed: FeedSnapshot | None = None
    """None while this router is not the active one."""
    checkpoint_age_seconds: float | None = None
    """Since the checkpoint was last saved, or last found to have nothing behind it. None while this router is not the active
    one."""
    pending: Mapping[str, int] = field(default_factory=dict)
    """Deliveries that wait in CouchDB, by channel; only channels of which there are some, or that exist."""
    unroutable: int | None = None
    """Messages that wait for a mapping that has their group; None while nobody could count them."""
