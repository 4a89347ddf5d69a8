"""The router as a process of its own, as an operator runs it: started, signalled, killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from router.settings import CouchDBSettings

END_TIMEOUT_SECONDS = 30.0


def environment(couchdb: CouchDBSettings, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a router on this database, quick enough for tests."""
    return {
        "PATH": os.environ["PATH"],
        "ROUTER_COUCHDB__URL": couchdb.url,
        "ROUTER_COUCHDB__DATABASE": couchdb.database,
        "ROUTER_COUCHDB__USERNAME": couchdb.username or "",
        "ROUTER_COUCHDB__PASSWORD": couchdb.password.get_secret_value() if couchdb.password else "",
        "ROUTER_FEED__HEARTBEAT_SECONDS": "1",
        "ROUTER_FEED__BACKOFF_MAX_SECONDS": "0.5",
        "ROUTER_LOG__FORMAT": "json",
        "ROUTER_HTTP__PORT": "0",
        **(more or {}),
    }


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    error: str


async def command(env: Mapping[str, str], *arguments: str, folder: Path | None = None, stdin: str = "") -> Ended:
    """Run `router ARGUMENTS...` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "router",
        *arguments,
        env=dict(env),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(END_TIMEOUT_SECONDS):
        out, error = await process.communicate(stdin.encode())
    assert process.returncode is not None
    assert "Traceback" not in error.decode(), error.decode()
    return Ended(process.returncode, out.decode(), error.decode())


@dataclass(slots=True)
class RouterProcess:
    """One running `router run`; its log goes to a file."""

    process: asyncio.subprocess.Process
    log_file: Path
    killed: bool = field(default=False)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text()

    async def has_logged(self, text: str, timeout_seconds: float = 20) -> None:
        """Until `text` stands in its log."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while text not in self.log:
            assert self.process.returncode is None, f"it ended: {self.log}"
            assert asyncio.get_running_loop().time() < deadline, f"no {text!r} in: {self.log}"
            await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        await self.process.wait()

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def router_process(env: Mapping[str, str], log_file: Path, *arguments: str) -> AsyncIterator[RouterProcess]:
    """Run `router run` for the time of the block; ended by SIGTERM unless it has ended by then."""
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "router",
            "run",
            *arguments,
            env=dict(env),
            cwd=log_file.parent,
            stdout=log,
            stderr=log,
        )
    running = RouterProcess(process, log_file)
    try:
        yield running
    finally:
        if process.returncode is None:
            await running.end()
