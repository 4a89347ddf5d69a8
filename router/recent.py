"""Remembers the latest few keys, each for a while or until it is pushed out."""

import math
from collections import OrderedDict


class Recent:
    """At most `limit` keys, the oldest forgotten first, none older than `seconds`."""

    def __init__(self, limit: int, seconds: float = math.inf) -> None:
        self._limit = limit
        self._seconds = seconds
        self._added: OrderedDict[str, float] = OrderedDict()

    def add(self, key: str, now: float = 0.0) -> None:
        """Remember `key` from `now` (a monotonic clock, seconds) on."""
        self._added[key] = now
        self._added.move_to_end(key)
        while len(self._added) > self._limit:
            self._added.popitem(last=False)

    def discard(self, key: str) -> None:
        """Forget `key`."""
        self._added.pop(key, None)

    def has(self, key: str, now: float = 0.0) -> bool:
        """Whether `key` was added within the last `seconds`."""
        added = self._added.get(key)
        return added is not None and now - added < self._seconds

    def count(self, now: float = 0.0) -> int:
        """How many were added within the last `seconds`."""
        return sum(now - added < self._seconds for added in self._added.values())
