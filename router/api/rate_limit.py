"""Pure: how often each caller may call, by a token bucket each, in bounded memory."""

from collections import OrderedDict
from math import ceil
from typing import Final

from router.delivery.bucket import TokenBucket

MOST_CALLERS: Final = 10_000
"""How many callers are kept in mind, those that called last. One that was forgotten starts afresh, which is kind to it and
costs us no more than its burst."""


class RateLimit:
    """At most `rate_per_second` requests of each caller on average, up to `burst` at once. Time is handed in, in seconds of any
    steady clock."""

    def __init__(self, rate_per_second: float, burst: int, most_callers: int = MOST_CALLERS) -> None:
        self._rate = rate_per_second
        self._burst = burst
        self._most_callers = most_callers
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        """How many callers are kept in mind."""
        return len(self._buckets)

    def take(self, caller: str, now: float) -> int:
        """Count a request of `caller` and say 0; or, when it comes too soon, count nothing and say in how many whole seconds
        one may come again: the value of `Retry-After` (RFC 9110 section 10.2.3)."""
        bucket = self._bucket(caller, now)
        wait_seconds = bucket.wait_seconds(now)
        if wait_seconds > 0:
            return ceil(wait_seconds)
        bucket.take(now)
        return 0

    def _bucket(self, caller: str, now: float) -> TokenBucket:
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = TokenBucket(self._rate, self._burst, now)
            if len(self._buckets) > self._most_callers:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(caller)
        return bucket
