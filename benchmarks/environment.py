"""The Python environment of its own, `.local/bench`, for what benchmarks need and the router must not depend on."""

import asyncio
import hashlib
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.processes import CHECKOUT

ENVIRONMENT: Final = CHECKOUT / ".local" / "bench"
EXTRA: Final = "bench"
"""The optional dependencies in pyproject.toml that are installed into it: Apprise, to compare with, and matplotlib."""
INSTALL_TIMEOUT_SECONDS: Final = 600.0
_STAMP: Final = "installed-from"


class EnvironmentProblem(Exception):
    """The environment could not be made; the text says where to look."""


async def bench_python(say: Callable[[str], None]) -> Path:
    """The path of its Python; made first if it is not there as it should be. Raises EnvironmentProblem."""
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        wanted: list[str] = tomllib.load(file)["project"]["optional-dependencies"][EXTRA]
    constraints = CHECKOUT / "constraints.txt"
    digest = hashlib.sha256(constraints.read_bytes() + repr((wanted, sys.version)).encode()).hexdigest()
    python, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / _STAMP
    if python.exists() and stamp.exists() and stamp.read_text() == digest:
        return python
    say(f"installing {' and '.join(wanted)} into {ENVIRONMENT} (once)")
    await asyncio.to_thread(shutil.rmtree, ENVIRONMENT, ignore_errors=True)
    ENVIRONMENT.parent.mkdir(parents=True, exist_ok=True)
    log = ENVIRONMENT.with_name("bench.install.log")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        [*pip, "-c", str(constraints), *wanted],
    ):
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=asyncio.subprocess.STDOUT
            )
        try:
            async with asyncio.timeout(INSTALL_TIMEOUT_SECONDS):
                if await process.wait() != 0:
                    raise EnvironmentProblem(f"{' '.join(command)} failed; look at {log}")
        except TimeoutError:
            raise EnvironmentProblem(
                f"{' '.join(command)} took longer than {INSTALL_TIMEOUT_SECONDS:g} s; look at {log}"
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    stamp.write_text(digest)
    return python
