"""Installs Synapse into a Python environment of its own, once."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

CONSTRAINTS: Final = Path(__file__).with_name("synapse-constraints.txt")
INSTALL_TIMEOUT_SECONDS: Final = 600.0
"""How long the installation may take in all, waiting for another process's included."""
_LOCK_POLL_SECONDS: Final = 0.2
_STAMP: Final = "installed-from"

Progress = Callable[[str], None]
"""Told in a few words what is being done now."""


class SynapseError(Exception):
    """Synapse could not be installed, started or used; the text is one sentence that says what to do."""


def say_nothing(_doing: str) -> None:
    """The progress report of a caller who wants none."""


def default_environment() -> Path:
    """`.local/synapse` of the checkout; in the user's cache where the package is installed without one."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / ".local" / "synapse"
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "notification-router" / "synapse"


async def install(
    environment: Path | None = None,
    *,
    on_progress: Progress = say_nothing,
    timeout_seconds: float = INSTALL_TIMEOUT_SECONDS,
) -> Path:
    """Make sure that `environment` holds Synapse as pinned in synapse-constraints.txt, and give the path of its Python.

    `environment` is `default_environment()` unless given.
    Does nothing when it does already. Several processes may call it at once: one installs, the others wait for it.
    Raises SynapseError when this Python cannot make environments, the installation fails, or it takes too long.
    """
    environment = environment or default_environment()
    if _is_ready(environment):
        return _python(environment)
    log = environment.with_name(environment.name + ".install.log")
    environment.parent.mkdir(parents=True, exist_ok=True)
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            _locked(environment.with_name(environment.name + ".lock"), on_progress),
        ):
            if not _is_ready(environment):
                await _install(environment, log, on_progress)
    except TimeoutError:
        raise SynapseError(
            f"Installing Synapse took longer than {timeout_seconds:.0f} s and was stopped; look at {log}, then start again."
        ) from None
    return _python(environment)


async def _install(environment: Path, log: Path, on_progress: Progress) -> None:
    await asyncio.to_thread(shutil.rmtree, environment, ignore_errors=True)
    on_progress("making an environment for Synapse")
    if await _run(log, sys.executable, "-m", "venv", str(environment)) != 0:
        raise SynapseError(
            f"Python at {sys.executable} cannot make an environment for Synapse, perhaps because its venv module is missing "
            f"(on Debian: apt-get install python3-venv); what it said is in {log}."
        )
    on_progress("installing Synapse (up to two minutes, once)")
    pip = [
        str(_python(environment)),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--prefer-binary",
        "--requirement",
        str(CONSTRAINTS),
    ]
    if await _run(log, *pip) != 0:
        raise SynapseError(f"Synapse could not be installed; look at {log}, mend what it names, and start again.")
    (environment / _STAMP).write_text(_fingerprint())


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _is_ready(environment: Path) -> bool:
    try:
        return (environment / _STAMP).read_text() == _fingerprint() and _python(environment).exists()
    except OSError:
        return False


def _fingerprint() -> str:
    """What an environment is made from: the pins, and the Python it runs on."""
    return f"{hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()} python {sys.version.split()[0]}\n"


async def _run(log: Path, *command: str) -> int:
    """Run `command`, what it says appended to `log`; its exit status. Kills it when cancelled."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=asyncio.subprocess.STDOUT
        )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _locked(lock: Path, on_progress: Progress) -> AsyncIterator[None]:
    """Hold `lock`. The system lets go of it when its holder ends, so a killed installation blocks nobody."""
    with lock.open("w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    on_progress("waiting for another process that is installing Synapse")
                    told = True
                await asyncio.sleep(_LOCK_POLL_SECONDS)
        yield
