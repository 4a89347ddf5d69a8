"""The CouchDB of a run, and how it is killed and started again, by whichever way it can be."""

import asyncio
import os
import secrets
import shlex
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from router.demo.pouchdb import PouchDBServer
from router.documents.json_types import JsonObject

VARIABLE: Final = "ROUTER_BENCH_COUCHDB_URL"
START_TIMEOUT_SECONDS: Final = 60.0
REQUEST_TIMEOUT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}


class CouchError(Exception):
    """CouchDB cannot be used for this; the text is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Couch:
    """A running server with a database of this run's own."""

    url: str
    """Without credentials."""
    admin: str
    password: str
    database: str
    name: str
    """What it is and how it is restarted, for the table's notes."""
    kill: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]
    """Comes back when it answers again."""

    def http(self) -> httpx.AsyncClient:
        """A plain client, as the admin. To be closed."""
        return httpx.AsyncClient(
            base_url=self.url,
            auth=(self.admin, self.password),
            headers=_HEADERS,
            timeout=REQUEST_TIMEOUT_SECONDS,
        )

    async def put(self, http: httpx.AsyncClient, document: JsonObject) -> None:
        """Write a document that nobody else writes, however often it takes, until CouchDB has said that it stands."""
        while True:
            try:
                answer = await http.put(f"/{self.database}/{document['_id']}", json=document)
                # 409: an earlier try did get through, only its answer did not.
                if answer.status_code in (201, 202, 409):
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_POLL_SECONDS)

    async def document_count(self, http: httpx.AsyncClient) -> int:
        """How many documents there are; 0 while CouchDB does not answer."""
        try:
            answer = await http.get(f"/{self.database}")
            return int(answer.json()["doc_count"]) if answer.status_code == 200 else 0
        except httpx.TransportError:
            return 0

    async def documents(self, http: httpx.AsyncClient, prefix: str) -> list[JsonObject]:
        """All documents whose `_id` starts with `prefix`."""
        within = {"startkey": f'"{prefix}"', "endkey": f'"{prefix}\ufff0"', "include_docs": "true"}
        answer = await http.get(f"/{self.database}/_all_docs", params=within)
        answer.raise_for_status()
        return [row["doc"] for row in answer.json()["rows"]]


@asynccontextmanager
async def couchdb(folder: Path, url: str | None, command: str | None) -> AsyncIterator[Couch]:
    """A CouchDB with a fresh database, dropped in the end.

    Without `url` it is PouchDB Server with its data in `folder`. `url` names a server, with an admin's credentials; `command`
    starts it in the foreground, and then it is killed with -9; without, it is restarted through its own API. Raises CouchError.
    """
    name = f"crash-{secrets.token_hex(6)}"
    if url is None:
        server = PouchDBServer(data_folder=folder / "couchdb")
        async with server:
            couch = Couch(
                server.url,
                server.admin,
                server.password,
                name,
                "PouchDB Server, its data on disk, killed with -9",
                lambda: asyncio.to_thread(server.kill),
                lambda: asyncio.to_thread(server.start),
            )
            yield await _with_database(couch)
        return
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as problem:
        raise CouchError(f"--couchdb or {VARIABLE} is no address ({problem})") from None
    bare = str(parts.copy_with(username=None, password=None)).rstrip("/")
    if command is None:
        remote = _Remote(bare, parts.username, parts.password)
        version = await remote.version()
        how = "restarted through its API (_node/_local/_restart)"
        couch = Couch(bare, parts.username, parts.password, name, f"{version}, {how}", remote.kill, remote.start)
        yield await _with_database(couch)
        await _drop(couch)
        return
    owned = _Owned(bare, parts.username, parts.password, shlex.split(command), folder / "couchdb.log")
    try:
        await owned.start()
        version = await owned.version()
        couch = Couch(bare, parts.username, parts.password, name, f"{version}, killed with -9", owned.kill, owned.start)
        yield await _with_database(couch)
        await _drop(couch)
    finally:
        await owned.stop()


class _Remote:
    """A server that somebody else runs."""

    def __init__(self, url: str, admin: str, password: str) -> None:
        self._url = url
        self._auth = (admin, password)

    async def version(self) -> str:
        """What it calls itself, `Apache CouchDB 3.5.2`. Raises CouchError when nobody answers."""
        try:
            async with httpx.AsyncClient(auth=self._auth, timeout=REQUEST_TIMEOUT_SECONDS) as http:
                welcome = (await http.get(f"{self._url}/")).json()
        except (httpx.TransportError, ValueError):
            raise CouchError(
                f"no CouchDB answers at {self._url}; start it, or correct --couchdb or {VARIABLE}"
            ) from None
        return f"Apache CouchDB {welcome.get('version')}"

    async def kill(self) -> None:
        """Ask it to restart itself. It answers first, and goes down then."""
        async with httpx.AsyncClient(auth=self._auth, timeout=REQUEST_TIMEOUT_SECONDS) as http:
            answer = await http.post(f"{self._url}/_node/_local/_restart", json={})
        if answer.status_code >= 300:
            raise CouchError(
                f"the CouchDB at {self._url} does not let itself be restarted ({answer.status_code}); "
                "give an admin's credentials, or --couchdb-command to have it started and killed here"
            )

    async def start(self) -> None:
        """Wait until it answers. Raises CouchError when it does not in time."""
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS), httpx.AsyncClient(auth=self._auth, timeout=2) as http:
                while True:
                    with suppress(httpx.TransportError):
                        if (await http.get(f"{self._url}/_up")).status_code == 200:
                            return
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise CouchError(f"CouchDB did not answer at {self._url} within {START_TIMEOUT_SECONDS:g} s") from None


class _Owned(_Remote):
    """A server that is started here, by a command that stays in the foreground."""

    def __init__(self, url: str, admin: str, password: str, command: list[str], log: Path) -> None:
        super().__init__(url, admin, password)
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it answers. Raises CouchError."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - the command is the user's own
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        await super().start()

    async def kill(self) -> None:
        """`kill -9`, its helper processes included."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it in good order."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            await asyncio.to_thread(process.wait, START_TIMEOUT_SECONDS)


async def _with_database(couch: Couch) -> Couch:
    async with couch.http() as http:
        answer = await http.put(f"/{couch.database}")
    if answer.status_code not in (201, 202):
        raise CouchError(f"CouchDB at {couch.url} refused to make a database ({answer.status_code})")
    return couch


async def _drop(couch: Couch) -> None:
    async with couch.http() as http:
        await http.delete(f"/{couch.database}")
