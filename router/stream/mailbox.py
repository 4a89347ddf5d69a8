"""What waits for one stream's client: a bounded buffer that the hub fills and the client empties."""

import asyncio
from collections import deque
from typing import Final

from router.stream.events import Event
from router.stream.place import Place
from router.stream.telling import Telling

MOST_NOTED: Final = 2000
"""So many rows of one user may come while a stream catches up."""


class Watch:
    """Of which documents there were rows since the watch began."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Of how many."""
        return len(self._ids)

    def note(self, document_id: str) -> None:
        """There was a row of this one."""
        self._ids.add(document_id)
        self._changed.set()

    async def until_all(self, document_ids: set[str]) -> None:
        """Wait until there were rows of all these."""
        while not document_ids <= self._ids:
            self._changed.clear()
            await self._changed.wait()


class Mailbox:
    """A stream as the hub sees it. Whoever fills it past its bound ends it: its client catches up when it reconnects."""

    __slots__ = ("__weakref__", "_events", "_limit", "customers", "is_ended", "joined_at", "user", "wake", "watch")

    def __init__(
        self, user: str, customers: frozenset[str] | None, limit: int, joined_at: Place | None, *, catches_up: bool
    ) -> None:
        """For at most `limit` events. `joined_at` is the place behind which the hub puts in what comes; None while the hub has
        none. `catches_up` says whether the client is to be told of earlier rows first."""
        self.user = user
        self.customers = customers
        self.joined_at = joined_at
        self.is_ended = False
        self.wake = asyncio.Event()
        """Set when there is something to look at."""
        self._limit = limit
        self._events: deque[Event] = deque()
        self.watch: Watch | None = Watch() if catches_up else None
        """What the hub tells of rows while the stream catches up."""

    def put(self, event: Event) -> None:
        """Keep `event` until the client takes it."""
        if self.is_ended:
            return
        if len(self._events) >= self._limit:
            self.end()
            return
        self._events.append(event)
        self.wake.set()

    def tell(self, document_id: str, telling: Telling | None) -> None:
        """Put in what a row of the feed tells, if it is for this stream."""
        if self.watch is not None:
            self.watch.note(document_id)
            if len(self.watch) > MOST_NOTED:
                self.end()
        if telling is not None and telling.is_for(self.customers):
            self.put(telling.event)

    def take(self) -> Event | None:
        """The oldest event; None when there is none."""
        return self._events.popleft() if self._events else None

    def end(self) -> None:
        """Keep nothing more, and let the stream end."""
        self.is_ended = True
        self._events.clear()
        self.watch = None
        self.wake.set()

    def join_at(self, place: Place) -> None:
        """Drop what the feed has told up to `place`, where it is now, since the client will have read that. What came past the
        feed stays. Harmless for a stream that has been ended."""
        if not self.is_ended:
            self.joined_at = place
            self._events = deque(event for event in self._events if event.id is None)
            self.watch = Watch()
