"""A few connections that are kept open between mails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from router.channels.email.connection import Connection


@dataclass(frozen=True, slots=True)
class _Idle:
    connection: Connection
    until: float


class Pool:
    """At most `size` connections, open or opening. The one used last is used next, so that the others may time out."""

    def __init__(self, size: int, idle_seconds: float) -> None:
        self._size = size
        self._lent = 0
        self._slots = asyncio.Semaphore(size)
        self._idle_seconds = idle_seconds
        self._idle: list[_Idle] = []
        """In the order in which they came back."""
        self._expiry: asyncio.TimerHandle | None = None
        """For the first of them; one for each would be set and taken back with every mail."""
        self._is_closed = False

    @asynccontextmanager
    async def connection(
        self, opener: Callable[[], Awaitable[Connection]], *, fresh: bool = False
    ) -> AsyncIterator[Connection]:
        """Lend a connection: one that is open and idle, unless it must be `fresh`, else a new one from `opener`.

        Waits for a free place without a limit of its own. A connection whose use raised is closed, not kept.
        """
        async with self._slots:
            self._lent += 1
            try:
                connection = self._take(fresh) or await opener()
                try:
                    yield connection
                except BaseException:
                    connection.drop()
                    raise
            finally:
                self._lent -= 1
            self._keep(connection)

    async def close(self) -> None:
        """Close what is idle, and keep nothing that comes back."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        await asyncio.gather(*(kept.connection.quit() for kept in idle))

    def _take(self, fresh: bool) -> Connection | None:
        while self._idle and not fresh:
            kept = self._idle.pop()
            if kept.connection.is_open:
                return kept.connection
        while len(self._idle) + self._lent > self._size:
            self._idle.pop(0).connection.leave()
        return None

    def _keep(self, connection: Connection) -> None:
        if not connection.is_open:
            return
        if self._is_closed:
            connection.leave()
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + self._idle_seconds
        self._idle.append(_Idle(connection, until))
        if self._expiry is None:
            self._expiry = loop.call_at(until, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0].until <= loop.time():
            self._idle.pop(0).connection.leave()
        self._expiry = loop.call_at(self._idle[0].until, self._expire) if self._idle else None
