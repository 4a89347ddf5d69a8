"""A child process of the demo: started with its log in a file, watched, and always ended."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import orjson

from router.documents.json_types import JsonObject

FIRST_LINE_TIMEOUT_SECONDS: Final = 30.0
"""How long a stand-in may take to say where it is."""
COMMAND_TIMEOUT_SECONDS: Final = 60.0
"""How long a command of the router that ends by itself may take."""
STOP_TIMEOUT_SECONDS: Final = 15.0
"""How long a child may take to end after SIGTERM before it is killed."""
NOTICED_SECONDS: Final = 1.0
"""How long after a child's end it may take until that is noticed."""
SHOWN_LOG_CHARS: Final = 400
"""How much of a log's end an error shows."""


class DemoError(Exception):
    """The demo cannot go on; the text is one sentence that says why and where to look."""


class Child:
    """A Python module that runs beside the demo, `async with Child(…) as child`, and dies with it however it ends."""

    def __init__(
        self, name: str, module: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path
    ) -> None:
        """`module` is the module's name and its arguments. What it writes goes to `log`, but for its first lines where
        `first_line` is waited for."""
        self.name = name
        self.log = log
        self._module = module
        self._cwd = cwd
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "router.demo.leash",
                *self._module,
                cwd=self._cwd,
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                # A Ctrl-C in the terminal is for the demo, which then ends its children itself.
                start_new_session=True,
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        try:
            if process.returncode is None:
                process.terminate()
                async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                    await process.wait()
        except TimeoutError:
            pass  # It is killed below.
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    @property
    def pid(self) -> int:
        """The process id, once started."""
        if self._process is None:
            raise DemoError(f"{self.name} has not been started.")
        return self._process.pid

    def check(self) -> None:
        """Raise DemoError, which says how and where its log is, when it has ended."""
        if self._process is not None and self._process.returncode is not None:
            # Not the log's last line: where it was killed that has nothing to do with it.
            raise DemoError(f"{self.name} {ended(self._process.returncode)}; its log: {self.log}")

    async def check_after_silence(self) -> None:
        """`check`, for whoever has just got no answer of it: that comes to light a moment before its end does."""
        if self._process is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(NOTICED_SECONDS):
                    await self._process.wait()
        self.check()

    async def first_line(self) -> JsonObject:
        """The JSON object in the first line of its standard output. Raises DemoError when none comes in time."""
        if self._process is None or self._process.stdout is None:
            raise DemoError(f"{self.name} has not been started.")
        try:
            async with asyncio.timeout(FIRST_LINE_TIMEOUT_SECONDS):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise DemoError(
                f"{self.name} did not say where it is within {FIRST_LINE_TIMEOUT_SECONDS:g} s: {log_end(self.log)}"
            ) from None
        try:
            said: JsonObject = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise DemoError(f"{self.name} ended before it said where it is: {log_end(self.log)}") from None
        return said


async def run_command(
    name: str, module: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path
) -> bytes:
    """Run a Python module to its end and give its standard output. Raises DemoError when it fails or takes too long."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *module,
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        raise DemoError(f"{name} did not end within {COMMAND_TIMEOUT_SECONDS:g} s: {log_end(log)}") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise DemoError(f"{name} failed with exit code {process.returncode}: {log_end(log)}")
    return output


def ended(return_code: int) -> str:
    """How a process ended, for a sentence about it."""
    if return_code >= 0:
        return f"has ended with exit code {return_code}"
    try:
        name = signal.Signals(-return_code).name
    except ValueError:
        name = "no signal that has a name"
    return f"was killed by signal {-return_code} ({name})"


def log_end(log: Path) -> str:
    """The last words of a log, and where it is, for the end of a sentence."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    # The last line of a group of tracebacks is a rule without a word.
    said = next((line.strip(" |") for line in reversed(lines) if any(map(str.isalpha, line))), "it said nothing")
    return f"{said[-SHOWN_LOG_CHARS:]} (log: {log})"
