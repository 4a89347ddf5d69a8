"""PouchDB Server, a CouchDB for tests and the demo: start it, stop it, kill it, start it again on what it kept."""

import asyncio
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from router.demo.pouchdb_environment import SERVER_SCRIPT, find_node, install

START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 5.0
POLL_SECONDS = 0.02


class StartError(RuntimeError):
    """The server did not come up; the text says what it said."""


class PouchDBServer:
    """One PouchDB Server on loopback, with one server admin.

    `start`, `stop` and `kill` block; a test's session fixture calls them. As an async context manager it does the same
    without blocking the loop. It dies with the process that started it, however that ends.
    """

    def __init__(
        self,
        *,
        data_folder: Path | None = None,
        install_folder: Path | None = None,
        port: int = 0,
        admin: str = "admin",
        password: str | None = None,
        log: Path | None = None,
    ) -> None:
        """Without `data_folder` everything is in memory and gone at `stop`. Port 0 is a free port, kept when started again.
        Without `password` one is made up. `log` is the file for what it says; by default one beside its data, which goes with
        them."""
        self.admin = admin
        self.password = password or secrets.token_urlsafe(12)
        self._data_folder = data_folder and data_folder.resolve()
        self._install_folder = install_folder
        self._port = port
        self._state: Path | None = None
        self._log = log and log.resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = threading.Event()

    @property
    def port(self) -> int:
        """The port it listens on; 0 before the first start."""
        return self._port

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process's number; None when none was started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Install what is missing, start, and wait until it answers.

        Raises InstallError, and StartError when it does not answer within START_TIMEOUT_SECONDS.
        """
        if self.is_running:
            return
        modules = install(self._install_folder, cancelled=self._cancelled)
        state = self._state_folder()
        port_file = state / "port"
        port_file.unlink(missing_ok=True)
        said = self._log or state / "server.log"
        with said.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [find_node().node, str(SERVER_SCRIPT)],
                cwd=state,
                env={
                    **os.environ,
                    "NODE_PATH": str(modules),
                    "NODE_NO_WARNINGS": "1",
                    "POUCHDB_STATE": str(state),
                    "POUCHDB_DATA": "" if self._data_folder is None else str(state),
                    "POUCHDB_PORT": str(self._port),
                    "POUCHDB_ADMIN": self.admin,
                    "POUCHDB_PASSWORD": self.password,
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for us; we end the server when we are done with it.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not port_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline or self._cancelled.is_set():
                end = said.read_text(errors="replace").strip()[-1000:]
                self.kill()
                raise StartError(f"PouchDB Server did not start within {START_TIMEOUT_SECONDS:g} s; it said: {end!r}")
            time.sleep(POLL_SECONDS)
        self._port = int(port_file.read_text())

    def stop(self) -> None:
        """End it, and throw away what was in memory. Harmless when it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._forget_process()
        if self._data_folder is None and self._state is not None:
            shutil.rmtree(self._state, ignore_errors=True)
            self._state = None

    def kill(self) -> None:
        """`kill -9`. `start` brings it back on the same port, with its data if they are on disk."""
        if self._process is not None:
            self._process.kill()
        self._forget_process()

    async def __aenter__(self) -> Self:
        self._cancelled.clear()
        try:
            await asyncio.to_thread(self.start)
        except asyncio.CancelledError:
            # The thread goes on by itself for a moment; it sees this and ends what it began.
            self._cancelled.set()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _state_folder(self) -> Path:
        if self._state is None:
            if self._data_folder is None:
                self._state = Path(tempfile.mkdtemp(prefix="router-pouchdb-"))
            else:
                self._state = self._data_folder
                self._state.mkdir(parents=True, exist_ok=True)
        return self._state

    def _forget_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
