"""The processes that a benchmark is made of: its own helpers, told things by lines of JSON, and the router itself."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from benchmarks.child import LINE_LIMIT_BYTES
from router.demo.child import log_end
from router.documents.json_types import JsonObject

CHECKOUT: Final = Path(__file__).parent.parent
ANSWER_TIMEOUT_SECONDS: Final = 30.0
"""How long a helper may take to answer, unless more is allowed."""
END_TIMEOUT_SECONDS: Final = 30.0
"""How long a process may take to end after SIGTERM or the end of its input before it is killed."""
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A benchmark cannot go on; the text says why and where to look."""


def _environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    # The router and the helpers of this very checkout, wherever they are started.
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), **(more or {})}


class Helper:
    """A helper process that lives for as long as its input is open."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ask(self, command: JsonObject, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> JsonObject:
        """Tell it something, and give its answer. Raises BenchError when none comes."""
        assert self._process.stdin is not None  # noqa: S101 - it was started with a pipe
        try:
            self._process.stdin.write(orjson.dumps(command) + b"\n")
            await self._process.stdin.drain()
        except ConnectionError:
            raise BenchError(f"{self.name} has ended: {log_end(self._log)}") from None
        return await self.answer(timeout_seconds)

    async def answer(self, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> JsonObject:
        """The next object that it says. Raises BenchError when none comes."""
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        try:
            async with asyncio.timeout(timeout_seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise BenchError(f"{self.name} said nothing for {timeout_seconds:g} s: {log_end(self._log)}") from None
        if not line:
            raise BenchError(f"{self.name} has ended: {log_end(self._log)}")
        value: JsonObject = orjson.loads(line)
        return value

    async def end(self) -> None:
        """Close its input, which is the sign to end, and wait until it has."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await _ended(self._process)


@asynccontextmanager
async def helper(
    name: str, module: Sequence[str], folder: Path, *, python: str = sys.executable
) -> AsyncIterator[Helper]:
    """Run a module of ours, with its arguments, for the time of the block. What it complains of goes to a log in `folder`."""
    log = folder / f"{name}.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            python,
            "-m",
            *module,
            cwd=folder,
            env=_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LINE_LIMIT_BYTES,
        )
    started = Helper(name, process, log)
    try:
        yield started
    finally:
        await started.end()


async def run_helper(
    name: str,
    module: Sequence[str],
    folder: Path,
    plan: JsonObject,
    *,
    timeout_seconds: float,
    python: str = sys.executable,
) -> JsonObject:
    """Run a helper that is told one thing and has one answer."""
    async with helper(name, module, folder, python=python) as started:
        return await started.ask(plan, timeout_seconds)


@dataclass(slots=True)
class RouterProcess:
    """One running `python -m router run`, or another command of its."""

    process: asyncio.subprocess.Process
    log: Path
    started_ns: int
    """The moment before it was started, of the monotonic clock."""

    def check(self) -> None:
        """Raises BenchError when it does not run any more."""
        if self.process.returncode is not None:
            raise BenchError(
                f"the router has ended by itself with exit code {self.process.returncode}: {log_end(self.log)}"
            )

    def cpu_seconds(self) -> float:
        """CPU time so far, user and system, all threads (proc(5), `stat`)."""
        # The name in the second field may hold spaces and brackets.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def memory_bytes(self) -> int:
        """Resident memory now (proc(5), `status`)."""
        return self._status("VmRSS")

    def peak_memory_bytes(self) -> int:
        """The most resident memory since the start."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise BenchError(f"/proc says nothing of {name}")


@asynccontextmanager
async def router(variables: Mapping[str, str], folder: Path, command: str = "run") -> AsyncIterator[RouterProcess]:
    """Run the router, or another of its commands, for the time of the block, its log in a file as an operator's would be;
    SIGTERM at the end."""
    log = folder / f"router-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        started_ns = time.monotonic_ns()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "router",
            command,
            cwd=folder,
            env=_environment({"ROUTER_HTTP__PORT": str(free_port()), **variables}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    running = RouterProcess(process, log, started_ns)
    try:
        yield running
        running.check()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await _ended(process)


def free_port() -> int:
    """A port for an HTTP server of the router's: another router may run on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        pass  # It is killed below.
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
