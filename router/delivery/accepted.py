"""Pure: what was accepted between two pauses, and what that says about the rate that is allowed."""

import math
from collections import deque

MARKS = 64
"""Of so many accepted sends the moment is kept."""
NEGLIGIBLE_SECONDS = 1e-3
"""No stretch of time is taken for shorter."""


class Run:
    """The sends that left between the end of one pause and the next 429, as far as they were accepted. Time is handed in, in
    seconds of any steady clock. Of the last `MARKS` the moment is kept, of the others the number."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.accepted = 0
        self._last: deque[float] = deque(maxlen=MARKS)

    def add(self, begun: float) -> None:
        """The send that left at `begun` was accepted. They may come in any order."""
        self.accepted += 1
        self._last.append(begun)

    def storm(self, end: float, pause_until: float) -> tuple[float, float]:
        """Sends per second, and how many at once: by that stretch before the first 429 in which most was accepted."""
        moments = sorted(self._last)
        stretches = [(len(moments) - i, began) for i, began in enumerate(moments)]
        if self.began > -math.inf:
            stretches.append((self.accepted, self.began))
        rate = max((n / _at_least(pause_until - began) for n, began in stretches), default=0.0)
        burst = max((n - rate * (end - began) for n, began in stretches), default=1.0)
        return rate or 1 / _at_least(pause_until - end), max(1.0, burst)

    def rate_until(self, pause_until: float) -> float:
        """Sends per second from the end of one pause to the end of the next. A bucket that was as empty at both ends filled
        at this rate; one that overflowed in the pause, or a window that began anew, allows more. Never 0: none counts as one."""
        return max(1, self.accepted) / _at_least(pause_until - self.began)

    def sustained_rate(self, burst: float) -> float:
        """Sends per second that a bucket of `burst` must have filled with at least, to let through what was accepted."""
        moments = sorted(self._last)
        return max(
            (
                (len(moments) - i - burst) / (moments[-1] - began)
                for i, began in enumerate(moments)
                if began < moments[-1]
            ),
            default=0.0,
        )


def _at_least(seconds: float) -> float:
    return max(seconds, NEGLIGIBLE_SECONDS)
