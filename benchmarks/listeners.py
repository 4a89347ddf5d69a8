"""Front ends in a process of their own: many streams of server-sent events, most of them idle, and when what came.

Told `{"url": ..., "tokens": [...]}`; answers `{"connected": N}` once each stream is live, and to
`{"heard": N, "timeout_seconds": T}` with `{"titles": [...], "heard_ns": [...]}` once so many notifications have come in all.
"""

import asyncio
import time
from contextlib import suppress
from urllib.parse import urlsplit

import orjson

from benchmarks.child import lines_of_input, say
from router.documents.json_types import JsonObject

CONNECTING_AT_ONCE = 50
LINE_LIMIT_BYTES = 256 * 1024
CONNECT_TIMEOUT_SECONDS = 120.0


class Listeners:
    """The streams. Read at the socket: an HTTP client of 2,000 streams would be what is measured."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.titles: list[str] = []
        self.heard_ns: list[int] = []

    async def connect(self, tokens: list[str]) -> None:
        """Open a stream for each token, and wait until all are live."""
        places = asyncio.Semaphore(CONNECTING_AT_ONCE)
        live = [asyncio.Event() for _ in tokens]
        for token, event in zip(tokens, live, strict=True):
            self._tasks.append(asyncio.create_task(self._listen(token, places, event)))
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            for event in live:
                await event.wait()

    async def heard(self, count: int, timeout_seconds: float) -> None:
        """Wait until so many have come; whoever waits longer goes by what there is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while len(self.titles) < count:
                    self._news.clear()
                    await self._news.wait()

    async def close(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, token: str, places: asyncio.Semaphore, live: asyncio.Event) -> None:
        async with places:
            reader, writer = await asyncio.open_connection(self._host, self._port, limit=LINE_LIMIT_BYTES)
            request = f"GET {self._path} HTTP/1.1\r\nhost: {self._host}\r\nauthorization: Bearer {token}\r\n\r\n"
            writer.write(request.encode("ascii"))
            status = await reader.readline()
            if b" 200 " not in status:
                raise ConnectionError(status.decode())
            # The first thing that comes says where in the feed it is live.
            while not (await reader.readline()).startswith((b"id:", b": heartbeat")):
                pass
            live.set()
        try:
            while line := await reader.readline():
                if line.startswith(b"data: "):
                    self.heard_ns.append(time.monotonic_ns())
                    self.titles.append(str(orjson.loads(line[6:])["title"]))
                    self._news.set()
        finally:
            writer.close()


async def main() -> None:
    """Follow what is told."""
    listeners: Listeners | None = None
    async for told in lines_of_input():
        if "tokens" in told:
            tokens = told["tokens"]
            listeners = Listeners(str(told["url"]))
            await listeners.connect([str(token) for token in tokens] if isinstance(tokens, list) else [])
            say({"connected": len(listeners.titles)})
        elif listeners is not None:
            await listeners.heard(int(str(told["heard"])), float(str(told["timeout_seconds"])))
            answer: JsonObject = {"titles": list(listeners.titles), "heard_ns": list(listeners.heard_ns)}
            say(answer)
    if listeners is not None:
        await listeners.close()


if __name__ == "__main__":
    asyncio.run(main())
