"""A process that is killed with -9 over and over and started again at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

STOP_TIMEOUT_SECONDS: Final = 30.0
"""How long it may take to end after SIGTERM, in the end, before it is killed."""


def beat(every_seconds: float) -> Callable[[], Awaitable[None]]:
    """Moments at an even distance, whatever happens in between."""
    loop = asyncio.get_running_loop()
    at = loop.time()

    async def next_moment() -> None:
        nonlocal at
        at += every_seconds
        await asyncio.sleep(at - loop.time())

    return next_moment


class Victim:
    """See `victim`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> None:
        self._command = command
        self._environment = environment
        self._folder = folder
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0
        self.ended_by_itself = 0
        """How often it was found dead. It should have gone on."""

    async def haunt(self, next_moment: Callable[[], Awaitable[None]], until: asyncio.Event) -> None:
        """Kill and start it each time that `next_moment` comes back, until told to leave it alone."""
        told = asyncio.ensure_future(until.wait())
        try:
            while not until.is_set():
                moment = asyncio.ensure_future(next_moment())
                try:
                    await asyncio.wait({moment, told}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    moment.cancel()
                if not until.is_set():
                    moment.result()
                    await self.kill()
                    await self.start()
        finally:
            told.cancel()

    async def start(self) -> None:
        """Start it. Does not wait for anything."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=dict(self._environment),
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def kill(self) -> None:
        """`kill -9`."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
            self.kills += 1
        else:
            self.ended_by_itself += 1
        await self._process.wait()

    async def end(self) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def victim(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
) -> AsyncIterator[Victim]:
    """Run `command` in `folder` for the time of the block, with what it says appended to `log`."""
    found = Victim(command, environment, folder, log)
    try:
        await found.start()
        yield found
    finally:
        await found.end()
