"""What a peer got and when: the source of every figure about deliveries."""

import re
import time
from collections import Counter

from router.documents.json_types import JsonObject

NUMBER = re.compile(rb"bench-(\d{7})")
"""How a message of the benchmark is told in whatever a channel makes of it: `traffic.message_id`."""


class Ledger:
    """Sends that were accepted, with the moment that the first of their bytes came; other requests only by count.

    Moments are of the machine's monotonic clock, which all its processes share (clock_gettime(2)), in nanoseconds.
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._targets: list[str] = []
        self._arrived_ns: list[int] = []
        self._requests: Counter[str] = Counter()
        self._last_answer_ns = 0

    @property
    def accepted(self) -> int:
        """How many sends were accepted."""
        return len(self._numbers)

    def request(self, kind: str) -> None:
        """A request came, of whatever kind."""
        self._requests[kind] += 1

    def accept(self, content: bytes, target: str, arrived_ns: int) -> None:
        """A send was accepted; which message it was is found in `content`."""
        found = NUMBER.search(content)
        self._numbers.append(int(found[1]) if found else -1)
        self._targets.append(target)
        self._arrived_ns.append(arrived_ns)

    def answered(self) -> None:
        """An answer to a send has left."""
        self._last_answer_ns = time.monotonic_ns()

    def count(self) -> JsonObject:
        """What there is so far, in short."""
        return {"accepted": self.accepted, "requests": dict(self._requests), "last_answer_ns": self._last_answer_ns}

    def report(self) -> JsonObject:
        """All there is: `arrivals` as three lists that belong together."""
        return {
            **self.count(),
            "numbers": list(self._numbers),
            "targets": list(self._targets),
            "arrived_ns": list(self._arrived_ns),
        }
