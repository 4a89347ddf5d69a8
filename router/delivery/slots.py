"""How many sends of a lane run side by side, and who gets the next place: by priority, and first come first served."""

import asyncio
from collections import OrderedDict

from router.delivery.turns import RANKS, Turns
from router.documents.delivery import Priority


class Slots:
    """A semaphore that knows priorities. Whoever takes a place gives it back, unless the taking was cancelled."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: tuple[OrderedDict[str, asyncio.Future[None]], ...] = tuple(OrderedDict() for _ in RANKS)
        """By the target they wait for."""
        self._turns = Turns()

    async def take(self, target: str, priority: Priority) -> None:
        """Wait for a place to send to `target`, for which nobody else waits."""
        if self._free > 0:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[RANKS[priority]][target] = place
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                # It was given the place in the very moment in which it was cancelled.
                self.give_back()
            for rank in self._waiting:
                if rank.get(target) is place:
                    del rank[target]
            raise

    def hurry(self, target: str) -> None:
        """There is something critical for `target` now: who waits to send to it waits among the critical ones."""
        for rank in self._waiting[1:]:
            if (place := rank.pop(target, None)) is not None:
                self._waiting[0][target] = place

    def let_through(self, target: str) -> None:
        """Who waits to send to `target` gets a place at once, though none is free; the next that is given back is kept."""
        for rank in self._waiting:
            place = rank.pop(target, None)
            if place is not None and not place.done():
                self._free -= 1
                place.set_result(None)

    def is_wanted_before(self, priority: Priority) -> bool:
        """Whether something more urgent waits for a place."""
        return any(not place.done() for rank in self._waiting[: RANKS[priority]] for place in rank.values())

    def give_back(self) -> None:
        """Give the place to whose turn it is."""
        if self._free < 0:
            self._free += 1
            return
        while any(self._waiting):
            _, place = self._waiting[self._turns.choose(self._waiting)].popitem(last=False)
            # Who was cancelled a moment ago may not have had the time to step out of line.
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
