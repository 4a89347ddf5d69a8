"""CouchDB for tests: the one that ROUTER_TEST_COUCHDB_URL names, else one in Docker, else PouchDB Server in memory.

The variable holds an address with a server admin's credentials, `http://admin:secret@127.0.0.1:5984`.
"""

import os
import secrets
import shutil
import subprocess
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import pytest
from pydantic import SecretStr

from router.couch.database import Database
from router.demo.pouchdb import PouchDBServer
from router.settings import CouchDBSettings

VARIABLE = "ROUTER_TEST_COUCHDB_URL"
IMAGE = "couchdb:3.5"
DOCKER_INFO_TIMEOUT_SECONDS = 5.0
DOCKER_START_TIMEOUT_SECONDS = 90.0
REQUEST_TIMEOUT_SECONDS = 10.0
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class CouchServer:
    """A server that answers, and its admin."""

    kind: Literal["couchdb", "pouchdb"]
    url: str
    """Without credentials."""
    admin: str
    password: str

    def settings(self, database: str, username: str | None = None, password: str | None = None) -> CouchDBSettings:
        """Settings for `database`, as the admin unless another user is named."""
        return CouchDBSettings(
            url=self.url,
            database=database,
            username=username or self.admin,
            password=SecretStr(password or self.password),
            request_timeout_seconds=REQUEST_TIMEOUT_SECONDS,
        )

    def http(self) -> httpx.Client:
        """A plain HTTP client as the admin, for what tests do behind the router's back. To be closed."""
        return httpx.Client(
            base_url=self.url, auth=(self.admin, self.password), headers=HEADERS, timeout=REQUEST_TIMEOUT_SECONDS
        )

    def async_http(self) -> httpx.AsyncClient:
        """The same for tests that are coroutines."""
        return httpx.AsyncClient(
            base_url=self.url, auth=(self.admin, self.password), headers=HEADERS, timeout=REQUEST_TIMEOUT_SECONDS
        )

    @contextmanager
    def fresh_database(self, shards: int | None = None) -> Iterator[str]:
        """Make a database with a name of its own, and drop it in the end. `shards` is for CouchDB; PouchDB knows of none."""
        name = f"test-{secrets.token_hex(6)}"
        with self.http() as http:
            http.put(f"/{name}", params={} if shards is None else {"q": shards}).raise_for_status()
            yield name
            assert http.delete(f"/{name}").status_code in (200, 202, 404)


@dataclass(frozen=True, slots=True)
class RestartableCouchDB:
    """A server on disk that a test may kill, stop and start again, and a database on it."""

    server: PouchDBServer
    settings: CouchDBSettings

    def kill(self) -> None:
        """`kill -9`."""
        self.server.kill()

    def stop(self) -> None:
        """SIGTERM."""
        self.server.stop()

    def start(self) -> None:
        """Start it again on the same port and data; comes back when it answers."""
        self.server.start()


@pytest.fixture(scope="session")
def couchdb_server() -> Iterator[CouchServer]:
    """The server that all tests share."""
    with _named_server() if os.environ.get(VARIABLE) else _docker() if _docker_answers() else _pouchdb() as server:
        yield server


@pytest.fixture
def couchdb_settings(couchdb_server: CouchServer) -> Iterator[CouchDBSettings]:
    """Settings for a database that is this test's own, as the admin."""
    with couchdb_server.fresh_database() as name:
        yield couchdb_server.settings(name)


@pytest.fixture
async def database(couchdb_settings: CouchDBSettings) -> AsyncIterator[Database]:
    """That database, open."""
    async with Database(couchdb_settings) as database:
        yield database


@pytest.fixture
def restartable_couchdb(tmp_path: Path) -> Iterator[RestartableCouchDB]:
    """A PouchDB Server of this test's own, with its data on disk, and an empty database `notifications`."""
    server = PouchDBServer(data_folder=tmp_path / "couchdb")
    server.start()
    try:
        couch = CouchServer("pouchdb", server.url, server.admin, server.password)
        with couch.http() as http:
            http.put("/notifications").raise_for_status()
        yield RestartableCouchDB(server, couch.settings("notifications"))
    finally:
        server.stop()


@contextmanager
def _named_server() -> Iterator[CouchServer]:
    url = httpx.URL(os.environ[VARIABLE])
    bare = str(url.copy_with(username=None, password=None)).rstrip("/")
    welcome = httpx.get(bare + "/", timeout=REQUEST_TIMEOUT_SECONDS).text
    yield CouchServer("pouchdb" if "express-pouchdb" in welcome else "couchdb", bare, url.username, url.password)


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(
            ["docker", "info"], capture_output=True, timeout=DOCKER_INFO_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


@contextmanager
def _docker() -> Iterator[CouchServer]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from testcontainers.core.container import DockerContainer

        password = secrets.token_urlsafe(12)
        container = DockerContainer(IMAGE).with_exposed_ports(5984)
        container.with_env("COUCHDB_USER", "admin").with_env("COUCHDB_PASSWORD", password)
        with container:
            url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(5984)}"
            server = CouchServer("couchdb", url, "admin", password)
            _wait_until_up(url)
            with server.http() as http:
                assert http.put("/_users").status_code in (201, 202, 412)
            yield server


def _wait_until_up(url: str) -> None:
    deadline = time.monotonic() + DOCKER_START_TIMEOUT_SECONDS
    while True:
        try:
            if httpx.get(f"{url}/_up", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, (
            f"CouchDB in Docker did not answer within {DOCKER_START_TIMEOUT_SECONDS:g} s"
        )
        time.sleep(0.2)


@contextmanager
def _pouchdb() -> Iterator[CouchServer]:
    server = PouchDBServer()
    server.start()
    try:
        yield CouchServer("pouchdb", server.url, server.admin, server.password)
    finally:
        server.stop()
