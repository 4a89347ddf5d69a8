"""What the monitor finds out, on a real CouchDB."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from router.couch.database import Database
from router.couch.setup import setup
from router.documents.json_types import JsonObject, JsonValue
from router.monitor import Findings, Monitor, Timing
from router.settings import CouchDBSettings
from tests.peers.feed import until

QUICK = Timing(first_seconds=0, every_seconds=0.05, again_seconds=0.05, count_every=1, look_timeout_seconds=2)
CHANNELS = ("email", "matrix")


def delivery(number: int, **fields: str | None) -> JsonObject:
    made = {"message_id": "m", "channel": "email", "status": "PENDING", "created_at": "2026-01-01T00:00:00.000Z"}
    return {"_id": f"delivery:{number}", "type": "delivery", "next_attempt_at": None, **made, **fields}


@asynccontextmanager
async def watching(database: Database, position: JsonValue, timing: Timing = QUICK) -> AsyncIterator[Findings]:
    """What a monitor that runs for the time of the block has found."""
    monitor = Monitor(database, CHANNELS, lambda: position, timing)
    task = asyncio.create_task(monitor.run())
    try:
        yield monitor.findings
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_left_to_do(database: Database) -> None:
    await setup(database, "ccs.notifications")
    async with watching(database, None) as findings:
        await until(lambda: findings.unroutable is not None)
        assert (findings.pending, findings.unroutable) == ({"email": 0, "matrix": 0}, 0)
        await database.bulk(
            [
                *(delivery(number) for number in range(5)),
                delivery(5, next_attempt_at="2030-01-01T00:00:00.000Z", priority="critical"),
                delivery(6, channel="matrix", status="WAITING_KEY_EXCHANGE"),
                delivery(7, channel="fax"),
                delivery(8, channel="pager"),
                delivery(9, status="COMPLETE"),
                delivery(10, channel=None, status="UNROUTABLE"),
                delivery(11, channel=None, status="UNROUTABLE", created_at="2026-01-02T00:00:00.000Z"),
            ]
        )
        await until(lambda: findings.pending == {"email": 6, "matrix": 1, "unknown": 2})
        await until(lambda: findings.unroutable == 2)


async def test_how_far_behind_the_feed_is(database: Database) -> None:
    start = (await database.info())["update_seq"]
    await database.bulk([{"_id": str(number)} for number in range(7)])
    async with watching(database, start) as findings:
        await until(lambda: findings.lag_documents == 7)
        assert findings.trouble is None


async def test_without_an_index_that_counts_nothing_is_known_and_the_rest_is(database: Database) -> None:
    old: JsonObject = {"unfinished": {"map": "function (doc) { emit(['lane', 'email', 1], null); }"}}
    await database.put({"_id": "_design/router", "language": "javascript", "views": old})
    start = (await database.info())["update_seq"]
    await database.put({"_id": "a"})
    async with watching(database, start) as findings:
        await until(lambda: findings.lag_documents == 1)
        await database.put({"_id": "b"})
        # By then it has tried to count.
        await until(lambda: findings.lag_documents == 2)
        assert findings.pending == {}
        assert findings.unroutable is None
        assert findings.trouble is None


async def test_couchdb_away(unused_tcp_port: int) -> None:
    async with (
        Database(CouchDBSettings(url=f"http://127.0.0.1:{unused_tcp_port}")) as database,
        watching(database, None) as findings,
    ):
        await until(lambda: findings.trouble is not None)
        assert str(findings.trouble).startswith(f"CouchDB at http://127.0.0.1:{unused_tcp_port} cannot be reached")


async def test_couchdb_that_never_answers() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    timing = Timing(first_seconds=0, again_seconds=0.05, look_timeout_seconds=0.2)
    async with (
        server,
        Database(CouchDBSettings(url=f"http://127.0.0.1:{port}")) as database,
        watching(database, None, timing) as findings,
    ):
        await until(lambda: findings.trouble is not None)
        assert findings.trouble == "CouchDB did not answer within 0.2 seconds"


@pytest.mark.parametrize("seq", ["nonsense", [1, "x"]])
async def test_a_place_that_couchdb_cannot_read_is_no_trouble(database: Database, seq: JsonValue) -> None:
    await setup(database, "ccs.notifications")
    async with watching(database, seq) as findings:
        await database.put(delivery(1))
        await until(lambda: findings.pending == {"email": 1, "matrix": 0})
        await database.put(delivery(2))
        await until(lambda: findings.pending == {"email": 2, "matrix": 0})
        assert (findings.trouble, findings.lag_documents) == (None, None)
