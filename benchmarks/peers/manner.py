"""Pure: how a peer answers: at once, late, never, or so many a second and 429 past that. Time is handed in."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manner:
    """How a peer answers."""

    hangs: bool = False
    """Accepts connections, reads, and never answers."""
    delay_seconds: float = 0.0
    """How long after a request its answer leaves."""
    rate_per_second: float | None = None
    """Sends that are accepted a second; past that they get 429. None for all."""
    burst: int = 1
    """Sends that are accepted at once before that limit bites."""


class Limit:
    """A token bucket that is full at first."""

    def __init__(self, rate_per_second: float, burst: int) -> None:
        self._rate = rate_per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at: float | None = None

    def retry_after_seconds(self, now: float) -> int:
        """0 when the request may pass, which takes a token; else whole seconds, rounded up, until there is one again."""
        if self._at is not None:
            self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._rate)
        self._at = now
        # A token that lacks a rounding error is a token.
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return 0
        return max(1, math.ceil((1 - self._tokens) / self._rate))
