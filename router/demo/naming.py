"""Tells which message an arrival is, by the delivery documents. Pure."""

from collections.abc import Iterable
from typing import Final

from router.demo.arrival import Arrival
from router.documents.delivery import Delivery

PATIENCE_SECONDS: Final = 3.0
"""How long an arrival waits for its delivery document, which is mostly written after it."""
NAMES_KEPT: Final = 10_000


class Naming:
    """Holds arrivals back until their delivery document is there, or for PATIENCE_SECONDS."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._waiting: list[tuple[float, Arrival]] = []

    def learn(self, delivery: Delivery) -> None:
        """Note what its arrival may be known by."""
        for known_by in (str(delivery.uuid), delivery.reference):
            if known_by is not None:
                self._names[known_by] = delivery.message_id
        while len(self._names) > NAMES_KEPT:
            del self._names[next(iter(self._names))]

    def name(self, arrivals: Iterable[Arrival], now_seconds: float) -> list[tuple[Arrival, str | None]]:
        """What need not wait any longer of `arrivals` and of earlier ones, each with its message id, or None if none is known.

        `now_seconds` is a monotonic time.
        """
        named: list[tuple[Arrival, str | None]] = []
        waiting: list[tuple[float, Arrival]] = []
        for since, arrival in [*self._waiting, *((now_seconds, arrival) for arrival in arrivals)]:
            name = None if arrival.reference is None else self._names.get(arrival.reference)
            if name is None and arrival.reference is not None and now_seconds - since < PATIENCE_SECONDS:
                waiting.append((since, arrival))
            else:
                named.append((arrival, name))
        self._waiting = waiting
        return named
