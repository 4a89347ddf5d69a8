"""Pure: when what waits in CouchDB for one target is due, so that it is read back in the order of the feed."""

from datetime import datetime, timedelta


class WaitingLine:
    """Deliveries that came one after the other and cannot leave yet. Nothing of them is held here but two moments.

    A new one goes to the end. One that has come due and still cannot leave is moved: it is due a little later, and whatever
    is younger than it and comes due before it is moved behind it in turn.
    """

    def __init__(self, step: timedelta) -> None:
        """`step` lies between two that are due: what the target's rate asks, at least a millisecond."""
        self._step = step
        self._end: datetime | None = None
        self._moved: tuple[datetime, datetime] | None = None
        """When the last one that was moved is due, and when it came."""

    def append(self, earliest: datetime) -> datetime:
        """When a new one is due: not before `earliest`, and behind all others."""
        moved_end = self._moved[0] if self._moved else earliest
        self._end = max(earliest, moved_end, self._end or earliest) + self._step
        return self._end

    def move(self, came: datetime, earliest: datetime) -> datetime:
        """When one that came at `came` is due, which must wait longer: not before `earliest`, and behind those moved before
        it."""
        due = earliest if self._moved is None else max(earliest, self._moved[0] + self._step)
        # They are read in their order: when an older one is moved again, those after it are yet to follow.
        self._moved = due, came
        self._end = max(due, self._end or due)
        return due

    def is_behind(self, came: datetime, due: datetime) -> bool:
        """Whether one that stands in line, came at `came` and is due at `due`, would pass one that was moved."""
        return self._moved is not None and came > self._moved[1] and due <= self._moved[0]

    def is_over(self, now: datetime) -> bool:
        """Whether all in the line have come due."""
        return self._end is None or self._end <= now
