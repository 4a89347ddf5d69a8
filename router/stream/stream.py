"""One client's stream: what it missed, then what comes, and a heartbeat where nothing does."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Final, Self
from weakref import finalize

from router.stream.events import Event, heartbeat
from router.stream.mailbox import Mailbox
from router.stream.place import Place

Join = Callable[[Mailbox, Callable[[Event], None]], Coroutine[None, None, None]]
"""What is to be done before a mailbox may be read: it gives the events that go before those in it, or ends it."""


class Stream:
    """An async iterator over the events of one client, and a context manager that frees its place in the end.

    It ends by itself when the client is too slow, or is to reconnect for another reason. One that is neither closed nor kept
    frees its place too.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        first: list[Event],
        join: Join | None,
        heartbeat_seconds: float,
        where_live: Callable[[], Place | None],
        leave: Callable[[Mailbox], None],
    ) -> None:
        """`join` is called when the first event is asked for, if it is not None. `leave` is called once, in the end."""
        self._mailbox = mailbox
        self._backlog: Final = deque(first)
        self._join = join
        self._joining: asyncio.Task[None] | None = None
        self._heartbeat_seconds = heartbeat_seconds
        self._where_live = where_live
        self._leave = finalize(self, leave, mailbox)
        self._leave.atexit = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and free its place. Harmless when that is done already."""
        self._mailbox.end()
        self._leave()
        self._join = None
        joining, self._joining = self._joining, None
        if joining is not None:
            joining.cancel()
            await asyncio.wait({joining})

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event, a heartbeat at the latest after `stream_heartbeat_seconds`."""
        mailbox = self._mailbox
        if self._join is not None:
            self._joining = asyncio.create_task(self._join(mailbox, self._give), name="stream catches up")
            self._joining.add_done_callback(lambda _: mailbox.wake.set())
            self._join = None
        while True:
            if self._joining is not None and self._joining.done():
                joining, self._joining = self._joining, None
                joining.result()
            if mailbox.is_ended:
                raise StopAsyncIteration
            if self._backlog:
                return self._backlog.popleft()
            if self._joining is None and (event := mailbox.take()) is not None:
                return event
            mailbox.wake.clear()
            try:
                async with asyncio.timeout(self._heartbeat_seconds):
                    await mailbox.wake.wait()
            except TimeoutError:
                if mailbox.wake.is_set():
                    continue  # At the very same moment. The place of the hub is behind what has just come.
                return heartbeat(self._place_id())

    def _give(self, event: Event) -> None:
        self._backlog.append(event)
        self._mailbox.wake.set()

    def _place_id(self) -> str | None:
        """Where the client is when it has been told everything, so that it need not be looked for far back when it reconnects."""
        if self._joining is not None or (place := self._where_live()) is None:
            return None
        return place.event_id
