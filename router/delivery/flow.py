"""Pure: how fast a lane is left, which says whether it is worth while to wait for a place in it."""

from collections import deque
from typing import Final

SPAN_SECONDS: Final = 1.0
"""What was left longer ago than this says nothing any more. CouchDB takes documents in batches, so it is left in bursts."""
BRISK_PER_SECOND: Final = 50.0
"""A lane that so many leave is about as fast as CouchDB, where what finds no place in it would wait instead."""
MOVING_PER_SECOND: Final = 10.0
"""A lane that fewer leave keeps what waits for a place in it too long."""
TRIAL_SECONDS: Final = 1.5
"""For so long a lane is waited for while the others have nothing to do: it may have been slow because they had."""
VERDICT_SECONDS: Final = 30.0
"""For so long a lane that was no faster then is not waited for again."""


class Flow:
    """Counts what leaves a lane. Time is handed in, in seconds of any steady clock."""

    def __init__(self) -> None:
        self._began_at = 0.0
        self._leaving = 0
        self._departures: deque[float] = deque(maxlen=int(SPAN_SECONDS * BRISK_PER_SECOND))
        self._trial_began_at = self._others_idle_at = self._slow_until = float("-inf")

    @property
    def leaving(self) -> int:
        """How many are done with for now, but for their document."""
        return self._leaving

    def begin(self, now: float) -> None:
        """There is something to send again, after there was nothing."""
        self._began_at = now

    def leaves(self) -> None:
        """One is done with for now, but for its document."""
        self._leaving += 1

    def left(self, now: float) -> None:
        """The document of one that was done with stands in CouchDB."""
        self._leaving -= 1
        self._departures.append(now)

    def is_worth_waiting_for(self, now: float, *, others_are_idle: bool) -> bool:
        """Whether to wait for a place in it. As long as all others have work it is enough that it moves at all; where one has
        none, or none is known that shares in what comes, only if it proves to be brisk."""
        if not self._has_left(MOVING_PER_SECOND, now):
            return False
        if not others_are_idle:
            return True
        if now < self._slow_until:
            return False
        if now - self._others_idle_at > SPAN_SECONDS:
            self._trial_began_at = now
        self._others_idle_at = now
        if now - self._trial_began_at < TRIAL_SECONDS or self._has_left(BRISK_PER_SECOND, now):
            return True
        self._slow_until = now + VERDICT_SECONDS
        return False

    def _has_left(self, per_second: float, now: float) -> bool:
        missing = int(SPAN_SECONDS * per_second) - self._leaving
        if missing <= 0 or now - self._began_at < SPAN_SECONDS:
            return True
        return len(self._departures) >= missing and now - self._departures[-missing] < SPAN_SECONDS
