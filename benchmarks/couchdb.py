"""The CouchDB that a benchmark runs on, its databases, and what stands in them."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from benchmarks.processes import BenchError
from benchmarks.traffic import MAPPING_ID
from router.couch.database import Database
from router.couch.setup import setup
from router.demo.pouchdb import PouchDBServer
from router.documents.delivery import PREFIX
from router.documents.json_types import JsonObject, JsonValue
from router.settings import CouchDBSettings

REQUEST_TIMEOUT_SECONDS = 900.0
"""Long: the first question to an index over a few hundred thousand documents is answered when it is built."""
WRITERS = 4
"""Bulk writes side by side when a database is filled."""
PER_WRITE = 500
PER_READ = 5000


@dataclass(frozen=True, slots=True)
class CouchServer:
    """A server that answers, and its admin."""

    url: str
    """Without credentials."""
    admin: str
    password: str
    version: str
    """What it calls itself, `CouchDB 3.5.2`."""

    def settings(self, database: str) -> CouchDBSettings:
        """Settings for a database on it."""
        return CouchDBSettings(
            url=self.url,
            database=database,
            username=self.admin,
            password=SecretStr(self.password),
            request_timeout_seconds=REQUEST_TIMEOUT_SECONDS,
        )

    def plan(self, database: str) -> JsonObject:
        """What a helper process needs to know to use the database."""
        return {"url": f"{self.url}/{database}", "user": self.admin, "password": self.password}


@asynccontextmanager
async def couch_server(address: str | None) -> AsyncIterator[CouchServer]:
    """The server at `address`, which holds an admin's credentials; without one a PouchDB Server in memory.

    Raises BenchError when it does not answer.
    """
    if address is None:
        async with PouchDBServer() as server:
            yield CouchServer(server.url, server.admin, server.password, "PouchDB Server in memory")
        return
    url = httpx.URL(address)
    bare = str(url.copy_with(username=None, password=None)).rstrip("/")
    try:
        async with httpx.AsyncClient(auth=(url.username, url.password), timeout=10) as http:
            welcome = (await http.get(f"{bare}/")).json()
    except (httpx.HTTPError, ValueError):
        raise BenchError(f"no CouchDB answers at {bare}: check --couchdb or ROUTER_BENCH_COUCHDB_URL") from None
    yield CouchServer(bare, url.username, url.password, f"CouchDB {welcome.get('version')}")


class Bed:
    """One database of a benchmark's run, as an app and an admin see it."""

    def __init__(self, server: CouchServer, database: Database) -> None:
        self.server = server
        self.database = database

    @property
    def plan(self) -> JsonObject:
        """What a helper process needs to know to use it."""
        return self.server.plan(self.database.name)

    def variables(self) -> dict[str, str]:
        """The settings of a router on this database."""
        return {
            "ROUTER_COUCHDB__URL": self.server.url,
            "ROUTER_COUCHDB__DATABASE": self.database.name,
            "ROUTER_COUCHDB__USERNAME": self.server.admin,
            "ROUTER_COUCHDB__PASSWORD": self.server.password,
        }

    async def fill(self, documents: Sequence[JsonObject]) -> None:
        """Write these documents. Raises BenchError unless all were taken."""
        chunks = [documents[start : start + PER_WRITE] for start in range(0, len(documents), PER_WRITE)]
        waiting = iter(chunks)

        async def write() -> None:
            for chunk in waiting:
                results = await self.database.bulk(chunk)
                refused = [result for result in results.values() if result.rev is None]
                if refused:
                    raise BenchError(f"CouchDB refused a document of the benchmark: {refused[0].reason}")

        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(write())

    async def deliveries(self) -> AsyncIterator[JsonObject]:
        """All delivery documents, read page by page."""
        start = PREFIX
        while True:
            page = await self.database.ids_between(start, PREFIX + "\ufff0", limit=PER_READ)
            for document in page:
                yield document
            if len(page) < PER_READ:
                return
            start = str(page[-1]["_id"]) + "\0"

    async def statuses(self) -> Counter[str]:
        """How many delivery documents have which status."""
        return Counter([str(document["status"]) async for document in self.deliveries()])

    async def documents(self) -> int:
        """How many documents there are, those about deliveries and all others."""
        count = (await self.database.info())["doc_count"]
        return count if isinstance(count, int) else 0

    async def seq(self) -> JsonValue:
        """Where the feed ends now."""
        return (await self.database.info()).get("update_seq", 0)


@asynccontextmanager
async def bed(
    server: CouchServer, mapping: JsonObject | None = None, documents: Sequence[JsonObject] = ()
) -> AsyncIterator[Bed]:
    """A new database that holds these documents, set up as the router does it, with this mapping document; dropped at the
    end.

    The documents come first: once the database is set up, CouchDB has each write checked by JavaScript, which makes many
    take long.
    """
    name = f"bench-{secrets.token_hex(6)}"
    async with Database(server.settings(name)) as database:
        made = Bed(server, database)
        try:
            await database.create_database()
            await made.fill(documents)
            await setup(database, MAPPING_ID)
            if mapping is not None:
                await database.put(mapping)
            yield made
        finally:
            async with httpx.AsyncClient(auth=(server.admin, server.password), timeout=REQUEST_TIMEOUT_SECONDS) as http:
                await http.delete(f"{server.url}/{name}")


class Tail:
    """Sees when the last delivery document was written, without reading more of the feed than its end."""

    POLL_SECONDS = 0.05
    QUIET_SECONDS = 1.0
    """How long no delivery document must have been written for the last one to be the last."""

    def __init__(self, bed: Bed, since: JsonValue) -> None:
        self._bed = bed
        self._since = since

    async def end_ns(self, from_ns: int, timeout_seconds: float) -> int:
        """The moment (monotonic) at which the last delivery document was there, at the latest; `from_ns` if none was written
        since. At most POLL_SECONDS late."""
        session = self._bed.database.session
        last_ns = from_ns
        deadline = time.monotonic() + timeout_seconds
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < self.QUIET_SECONDS:
            if time.monotonic() > deadline:
                raise BenchError(f"delivery documents were still being written after {timeout_seconds:g} s")
            answer = await session.query(
                f"/{self._bed.database.name}/_changes", {"since": self._since, "seq_interval": 1}
            )
            asked_ns = time.monotonic_ns()
            if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
                raise BenchError("CouchDB gave no changes")
            self._since = answer["last_seq"]
            rows = answer["results"]
            if isinstance(rows, list) and any(
                isinstance(row, dict) and str(row.get("id")).startswith(PREFIX) for row in rows
            ):
                last_ns, quiet_since = asked_ns, time.monotonic()
            await asyncio.sleep(self.POLL_SECONDS)
        return last_ns
