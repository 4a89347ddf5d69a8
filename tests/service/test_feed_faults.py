"""Feeds that no server can be made to give: whatever they say, and however often, each message arrives once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from router.couch.checkpoint import NAME as CHECKPOINT
from router.couch.database import Database
from router.documents.json_types import JsonObject, JsonValue
from router.settings import CouchDBSettings
from tests.peers.feed import Connection, FeedPeer, Script, feed_peer, idle, row_line
from tests.peers.postbox import Postbox
from tests.service.running import Desk
from tests.service.scene import DEADLINE_SECONDS, Scene, scene


async def checkpoint_is(database: Database, seq: JsonValue) -> None:
    """Until the checkpoint that is saved has this seq."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while True:
        found = await database.get_local(CHECKPOINT)
        if found is not None and found["seq"] == seq:
            return
        assert asyncio.get_running_loop().time() < deadline, f"the checkpoint is still {found}"
        await asyncio.sleep(0.02)


def message(number: int, **content: JsonValue) -> JsonObject:
    return {"_id": f"m{number}", "_rev": "1-a", "content": {"to": "#a", "body": f"m{number}", **content}}


def rows(*numbers: int, seq: str = "{}-x") -> bytes:
    """The rows of these messages; a `seq` of "null" is none."""
    return b"".join(row_line(None if seq == "null" else seq.format(n), f"m{n}", message(n)) for n in numbers)


def feed(*data: bytes, stop: str | None = None, reset: bool = False) -> Script:
    """Send `data`, and then the stop line, or a reset, or heartbeats."""

    async def script(connection: Connection) -> None:
        await connection.open()
        for piece in data:
            await connection.send(piece)
        if stop is not None:
            await connection.stop(stop)
        elif reset:
            await asyncio.sleep(0.05)  # what was sent arrives
            connection.reset()
        else:
            await connection.heartbeats()

    return script


def of_bytes(number: int, size: int) -> bytes:
    """The row of a message, of so many bytes without its newline."""
    bare = row_line(f"{number}-x", f"m{number}", message(number, data={"filling": ""}))
    return row_line(f"{number}-x", f"m{number}", message(number, data={"filling": "x" * (size + 1 - len(bare))}))


EIGHT_MIB = 8 * 1024 * 1024
ALL = range(1, 10)
ERROR_LINE = b'{"error":"timeout","reason":"The shard did not answer"}\n'

SCRIPTS: list[tuple[str, list[Script], str]] = [
    (
        "null seqs",
        [feed(rows(1, 2, seq="null"), rows(3), rows(4, 5, 6, seq="null"), stop="6-x"), feed(rows(7, 8, seq="null"), rows(9))],
        "9-x",
    ),
    ("only null seqs and a stop line", [feed(rows(*ALL, seq="null"), stop="9-x"), idle], "9-x"),
    ("a stop line behind every row", [*(feed(rows(n), stop=f"{n}-stop") for n in ALL), idle], "9-stop"),
    ("a rewind to an earlier seq", [feed(rows(*range(1, 7)), reset=True), feed(rows(*range(3, 10)))], "9-x"),
    ("a rewind to 0", [feed(rows(*range(1, 7)), stop="6-x"), feed(rows(*ALL, seq="{}-other"))], "9-other"),
    ("a row cut off", [feed(rows(1, 2) + rows(3)[:-20], reset=True), feed(rows(*range(3, 10)))], "9-x"),
    ("an error line", [feed(rows(1, 2), ERROR_LINE), feed(rows(*range(3, 10)))], "9-x"),
    ("rows twice in a batch", [feed(rows(*ALL) + rows(*ALL))], "9-x"),
    ("rows in no order", [feed(rows(5, 1, 9, 2, 8, 3, 7, 4, 6))], "6-x"),
    ("a row of 8 MiB", [feed(rows(1, 2), of_bytes(3, EIGHT_MIB), rows(*range(4, 10)))], "9-x"),
]  # fmt: skip


@asynccontextmanager
async def scripted(on: Scene, *scripts: Script) -> AsyncIterator[FeedPeer]:
    """Put a scripted feed in the place of CouchDB's own."""
    async with feed_peer(*scripts) as peer:
        on.gate.feed_url = peer.url
        on.proxy.end_all()
        yield peer
        on.gate.feed_url = None


@pytest.mark.parametrize(("scripts", "seq"), [row[1:] for row in SCRIPTS], ids=[row[0] for row in SCRIPTS])
async def test_a_feed_that_misbehaves(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, scripts: list[Script], seq: str
) -> None:
    async with scene(couchdb_settings, desk, postbox) as on, scripted(on, *scripts):
        on.written = [f"m{n}" for n in ALL]
        await on.each_arrived_once()
        await checkpoint_is(desk.database, seq)
        # It is over when nothing more can come of the rows.
        await on.each_arrived_once()


async def test_a_row_past_8_mib_is_refused_and_the_others_arrive(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    feed_with_it = feed(rows(1, 2), of_bytes(3, EIGHT_MIB + 1), rows(4))
    async with scene(couchdb_settings, desk, postbox) as on, scripted(on, feed_with_it):
        found = await desk.until(lambda found: len(found) == 4)
        await checkpoint_is(desk.database, "4-x")
    assert {str(d["message_id"]): d["status"] for d in found} == {
        "m1": "COMPLETE", "m2": "COMPLETE", "m3": "FAILED", "m4": "COMPLETE"
    }  # fmt: skip
    assert Counter(postbox.bodies()) == Counter(["m1", "m2", "m4"])
