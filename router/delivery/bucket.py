"""Pure: a token bucket, which says how long the next message must wait."""

ROUNDING = 1e-9
"""A token that lacks no more than this is there: sums of times are not exact, and who waits for the rest waits for ever."""


class TokenBucket:
    """At most `rate_per_second` on average, with up to `burst` at once. Time is handed in, in seconds of any steady clock."""

    def __init__(self, rate_per_second: float, burst: int, now: float) -> None:
        self._rate = rate_per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def wait_seconds(self, now: float) -> float:
        """How long until a token is there; 0 when one is."""
        self._fill(now)
        missing = 1 - self._tokens
        return missing / self._rate if missing > ROUNDING else 0.0

    def take(self, now: float) -> None:
        """Use one token up."""
        self._fill(now)
        self._tokens -= 1

    def is_full(self, now: float) -> bool:
        """Whether nothing has been taken for so long that the bucket may be forgotten."""
        self._fill(now)
        return self._tokens >= self._burst

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
