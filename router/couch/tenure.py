"""Pure: when a lease may be taken, and how long whoever took it may act on it."""

import math
from dataclasses import dataclass
from typing import Final

from router.couch.holder import Process
from router.documents.json_types import JsonObject, JsonValue

LONGEST_SECONDS: Final = 300.0
"""Longest lease. A document that names a longer one is damaged."""
RENEWALS: Final = 3
"""How often a lease is renewed in the time that it lasts."""
STOP_SHARE: Final = 0.8
"""The part of the lease after which its holder begins nothing new, if it could not renew it."""
OVER_SHARE: Final = 0.95
"""The part after which nothing of the holder's is in flight any more. The rest is for clocks that do not run at quite the same
rate, and for the time that it takes to cut something off."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the lease document says. Its times are for people: no clock is ever compared with another machine's."""

    rev: str | None
    """None when there is no document."""
    holder: str | None = None
    """None when nobody can be read from it: missing, or damaged."""
    process: Process | None = None
    """The holder's; None where that is not known."""
    acquired_at: str | None = None
    duration_seconds: float | None = None
    """How long it must stand unchanged before somebody else may take it; None when that cannot be read."""
    released: bool = False
    """Whether the holder gave it back."""
    turn: int = 0
    """How often it has changed hands."""
    heartbeat: JsonValue = None
    """What its holder last wrote beside it to show that it lives; another value each time. None before the first."""


def read_standing(document: JsonObject | None) -> Standing:
    """Read the lease document, whatever somebody may have made of it. The heartbeat stands elsewhere."""
    if document is None:
        return Standing(None)
    rev, holder, acquired_at = document.get("_rev"), document.get("holder"), document.get("acquired_at")
    turn = document.get("turn")
    return Standing(
        rev=str(rev),
        holder=holder if isinstance(holder, str) and holder else None,
        process=Process.from_document(document.get("process")),
        acquired_at=acquired_at if isinstance(acquired_at, str) else None,
        duration_seconds=_duration_in(document.get("duration_seconds")),
        released=document.get("released") is True,
        turn=turn if type(turn) is int and turn > 0 else 0,
    )


def _duration_in(value: JsonValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 < value <= LONGEST_SECONDS else None


class Watch:
    """What one router has seen of a lease that it waits for.

    The lease may be taken once document and heartbeat have stood unchanged, by the watcher's own clock, for as long as the
    document says. To take it is to write over the very revision that was watched: CouchDB lets only one do that.
    """

    def __init__(self, me: str, duration_seconds: float) -> None:
        """`me` is the holder that the watcher would be; `duration_seconds` counts where the document names none."""
        self._me = me
        self._duration_seconds = duration_seconds
        self._knows_own_name = True
        self._seen: Standing | None = None
        self._since = 0.0

    def lost_race(self) -> None:
        """A write of ours was answered with a conflict. From now on, a document that names us counts as anybody's: on a
        cluster whose nodes disagree, it may be what is left of that very write, while somebody else's was accepted."""
        self._knows_own_name = False

    def wait_seconds(
        self, standing: Standing, asked_at: float, answered_at: float, *, has_ended: bool = False
    ) -> float:
        """How much longer to wait before writing over `standing.rev`; 0 when it may be taken now.

        It was asked for and answered at these moments of one clock: what is new was written before the answer, and what is
        old stood there when it was asked for. `has_ended`: the holder is known to run no more.
        """
        before = self._seen
        if before is None or (before.rev, before.heartbeat) != (standing.rev, standing.heartbeat):
            self._since = answered_at
            if standing.duration_seconds is not None:
                self._duration_seconds = standing.duration_seconds
        self._seen = standing
        if standing.released or has_ended:
            return 0.0
        if standing.holder == self._me and self._knows_own_name:
            return 0.0
        if standing.rev is None and before is None:
            return 0.0  # A database that no router has worked on.
        # Somebody may have deleted or damaged the document under its holder, who has yet to notice.
        return max(0.0, self._since + self._duration_seconds - asked_at)


@dataclass(frozen=True, slots=True)
class Term:
    """The time that one write of lease or heartbeat is good for, by the holder's clock.

    The next one counts only if it is answered before this one's `stop_at`. So whoever looks when this one has run out sees it,
    or else it never counted: CouchDB does not hold the heartbeat against the lease.
    """

    began: float
    """When the write was begun. Whoever watches cannot have seen it earlier, so that their count begins later than ours."""
    duration_seconds: float

    @property
    def renew_at(self) -> float:
        """When it should be renewed."""
        return self.began + self.duration_seconds / RENEWALS

    @property
    def stop_at(self) -> float:
        """From when on nothing new may be begun."""
        return self.began + self.duration_seconds * STOP_SHARE

    @property
    def over_at(self) -> float:
        """From when on nothing may be in flight."""
        return self.began + self.duration_seconds * OVER_SHARE
