"""The feed on a real server: nothing lost over reconnects, restarts, and a database dropped and made again."""

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from router.couch.database import Database
from router.couch.errors import Refused
from router.couch.feed import Feed
from router.couch.requests import ids_beginning_with
from router.documents.json_types import JsonObject, JsonValue
from router.settings import CouchDBSettings
from tests.couch.following import following, quick_settings
from tests.peers.feed import until
from tests.servers.couchdb import CouchServer, RestartableCouchDB


def feed_on(
    settings: CouchDBSettings, database: Database, since: JsonValue = 0, identity: str | None = None, **feed: float
) -> Feed:
    """A feed on a real database, with a heartbeat that a busy machine can keep."""
    return Feed(
        settings,
        quick_settings(**({"heartbeat_seconds": 0.5} | feed)),
        since=since,
        identity=identity,
        get_identity=database.identity,
    )


async def write(database: Database, ids: list[str]) -> None:
    """A small document for each id."""
    results = await database.bulk([{"_id": doc_id, "body": f"{doc_id}\u2028\u0085é"} for doc_id in ids])
    assert all(result.error is None for result in results.values())


def ids_up_to(number: int, prefix: str = "doc") -> list[str]:
    return [f"{prefix}-{place:04}" for place in range(number)]


async def test_everything_written_arrives(couchdb_settings: CouchDBSettings, database: Database) -> None:
    before, after = ids_up_to(1500), ids_up_to(200, "late")
    await write(database, before)
    async with following(feed_on(couchdb_settings, database)) as follower:
        await until(lambda: len(follower.rows) == 1500)
        await write(database, after)
        await until(lambda: len(follower.rows) == 1700)
    assert sorted(follower.ids) == sorted(before + after)
    assert all(
        row.document is not None and str(row.document["body"]).endswith("\u2028\u0085é") for row in follower.rows
    )
    assert all(row.rev is not None and row.rev.startswith("1-") for row in follower.rows)
    assert all(row.seq is not None for row in follower.rows)


async def test_rows_of_every_kind(couchdb_settings: CouchDBSettings, database: Database) -> None:
    documents: list[JsonObject] = [
        {"_id": "plain", "a": 1},
        {"_id": "_design/x", "views": {}},
        {"_id": "delivery:plain:email:0", "status": "COMPLETE"},
        {"_id": 'odd /?#+%"\\\u2028é', "a": 1},
        {"_id": "gone", "a": 1},
    ]
    for document in documents:
        rev = await database.put(document)
    await database.put({"_id": "gone", "_rev": rev, "_deleted": True})
    async with following(feed_on(couchdb_settings, database)) as follower:
        await until(lambda: len(follower.rows) == len(documents))
    rows = {row.id: row for row in follower.rows}
    assert set(rows) == {str(document["_id"]) for document in documents}
    assert {row.id for row in follower.rows if row.document is None} == {"_design/x", "delivery:plain:email:0", "gone"}
    assert [row.id for row in follower.rows if row.deleted] == ["gone"]


async def test_delivery_documents_tell_of_conflicts_and_of_waiting(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, database: Database
) -> None:
    waiting: JsonObject = {"type": "delivery", "status": "PENDING", "channel": "email", "next_attempt_at": "later"}
    leaves: list[JsonObject] = [
        {"_id": doc_id, "_rev": rev, **waiting}
        for doc_id, rev in [
            ("delivery:a", "1-aa"),
            ("delivery:a", "1-bb"),
            ("delivery:a", "1-cc"),
            ("b", "1-a"),
            ("b", "1-b"),
        ]
    ]
    async with couchdb_server.async_http() as http:
        answer = await http.post(f"/{database.name}/_bulk_docs", json={"new_edits": False, "docs": leaves})
        answer.raise_for_status()
    await database.put({"_id": "delivery:c", **waiting, "status": "COMPLETE"})
    async with following(feed_on(couchdb_settings, database)) as follower:
        await until(lambda: {"delivery:a", "b", "delivery:c"} <= set(follower.ids))
        rows = {row.id: row for row in follower.rows}
        assert (rows["delivery:a"].rev, set(rows["delivery:a"].conflicts)) == ("1-cc", {"1-aa", "1-bb"})
        assert rows["delivery:a"].document is None
        assert rows["delivery:a"].waiting == ("email", "later")
        assert rows["b"].conflicts == ("1-a",)
        assert rows["b"].document == {"_id": "b", "_rev": "1-b", **waiting}
        assert (rows["delivery:c"].conflicts, rows["delivery:c"].waiting) == ((), None)
        assert rows["b"].waiting is None
        # A conflict ends when the losers are deleted, and the feed says that too.
        for rev in ("1-aa", "1-bb"):
            await database.put({"_id": "delivery:a", "_rev": rev, "_deleted": True})
        await until(lambda: follower.ids.count("delivery:a") >= 2 and follower.rows[-1].conflicts == ())
    assert not follower.rows[-1].deleted


async def test_idle_heartbeats_are_heard_and_a_write_comes_through_them(
    couchdb_settings: CouchDBSettings, database: Database
) -> None:
    async with following(feed_on(couchdb_settings, database, since="now")) as follower:
        await until(lambda: follower.heard_at() > 0)
        first = follower.heard_at()
        # Longer than a silence may last: heartbeats must have come.
        await until(lambda: follower.heard_at() > first + 1.2)
        assert follower.feed.connected
        await write(database, ["late"])
        await until(lambda: follower.ids == ["late"], seconds=1)


async def test_now_passes_over_what_is_there(couchdb_settings: CouchDBSettings, database: Database) -> None:
    await write(database, ids_up_to(20))
    async with following(feed_on(couchdb_settings, database, since="now")) as follower:
        await until(lambda: bool(follower.batches))
        await write(database, ["late"])
        await until(lambda: "late" in follower.ids)
    assert follower.ids == ["late"]
    assert follower.batches[0].last_seq is not None


async def test_a_stored_seq_leads_on_without_loss(couchdb_settings: CouchDBSettings, database: Database) -> None:
    ids = ids_up_to(300)
    await write(database, ids)
    async with following(feed_on(couchdb_settings, database)) as follower:
        await until(lambda: len(follower.rows) == 300)
    for place in random.Random(3).sample(range(300), 4):  # noqa: S311
        rest = set(follower.ids[place + 1 :])
        async with following(feed_on(couchdb_settings, database, since=follower.rows[place].seq)) as second:
            await until(lambda rest=rest, second=second: rest <= set(second.ids))  # type: ignore[misc]


async def test_an_oversized_row_is_told_and_passed(couchdb_settings: CouchDBSettings, database: Database) -> None:
    await write(database, ["before"])
    await database.put({"_id": "huge", "id": "wrong", "seq": 666, "body": "é" * 100_000, "z": {"seq": 667}})
    await write(database, ["after"])
    async with following(feed_on(couchdb_settings, database, max_row_bytes=64 * 1024)) as follower:
        await until(lambda: len(follower.rows) == 3)
    rows = {row.id: row for row in follower.rows}
    assert set(rows) == {"before", "huge", "after"}
    huge = rows["huge"]
    assert huge.document is None
    assert huge.oversized_bytes is not None
    assert huge.oversized_bytes > 200_000
    assert type(huge.seq) is type(rows["before"].seq)
    assert huge.seq not in (666, 667, rows["before"].seq, rows["after"].seq, None)
    async with following(feed_on(couchdb_settings, database, since=huge.seq)) as second:
        await write(database, ["last"])
        await until(lambda: "last" in second.ids)
        assert "huge" not in second.ids


async def test_a_document_nested_too_deep_stops_nobody(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, database: Database
) -> None:
    with couchdb_server.http() as http:
        body = b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"
        http.put(
            f"/{database.name}/deep", content=body, headers={"Content-Type": "application/json"}
        ).raise_for_status()
    await write(database, ["good"])
    async with following(feed_on(couchdb_settings, database)) as follower:
        await until(lambda: len(follower.rows) == 2)
    rows = {row.id: row for row in follower.rows}
    assert rows["deep"].unreadable == "nested too deep"
    assert rows["good"].document is not None


async def test_half_a_surrogate_pair_stops_nobody(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, database: Database
) -> None:
    with couchdb_server.http() as http:
        answer = http.put(
            f"/{database.name}/half", content=b'{"a":"x\\ud800y"}', headers={"Content-Type": "application/json"}
        )
    # CouchDB refuses it; PouchDB keeps it.
    assert answer.status_code == (201 if couchdb_server.kind == "pouchdb" else 400)
    await write(database, ["good"])
    async with following(feed_on(couchdb_settings, database)) as follower:
        await until(lambda: "good" in follower.ids)
    documents = {row.id: row.document for row in follower.rows}
    if couchdb_server.kind == "pouchdb":
        assert (documents["half"] or {}).get("a") == "x\ufffdy"
    else:
        assert set(documents) == {"good"}


async def test_a_database_dropped_and_made_again_is_noticed(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, database: Database
) -> None:
    await write(database, ids_up_to(5, "old"))
    with capture_logs() as logs:
        async with following(feed_on(couchdb_settings, database)) as follower:
            await until(lambda: len(follower.rows) == 5)
            identity, since = follower.feed.identity, follower.rows[-1].seq
            await _recreate(database)
            await write(database, ids_up_to(3, "new"))
            if couchdb_server.kind == "couchdb":
                await until(lambda: len(follower.rows) >= 8)
                assert [batch.recreated for batch in follower.batches].count(True) == 1
        # PouchDB Server never ends the feed of a deleted database; there it is noticed at the next opening.
        async with following(feed_on(couchdb_settings, database, since=since, identity=identity)) as second:
            await until(lambda: len(second.rows) == 3)
            assert second.batches[0].recreated
            assert sorted(second.ids) == ids_up_to(3, "new")
            assert second.feed.identity != identity
    assert any("dropped and made again" in entry["event"] for entry in logs)


async def _recreate(database: Database) -> None:
    await database.session._delete(f"/{database.name}")
    # `instance_start_time` counts seconds: two databases of one second and one name cannot be told apart.
    await asyncio.sleep(1.1)
    await database.create_database()


async def test_a_database_that_is_missing_is_waited_for(couchdb_server: CouchServer) -> None:
    with couchdb_server.fresh_database() as name, couchdb_server.http() as http:
        http.delete(f"/{name}").raise_for_status()
        settings = couchdb_server.settings(name)
        with capture_logs() as logs:
            async with Database(settings) as database, following(feed_on(settings, database)) as follower:
                await until(lambda: bool(logs))
                assert "has no database" in logs[0]["reason"]
                assert "ROUTER_COUCHDB__DATABASE" in logs[0]["reason"]
                http.put(f"/{name}").raise_for_status()
                await write(database, ["good"])
                await until(lambda: follower.ids == ["good"])


async def test_a_wrong_password_is_told(couchdb_server: CouchServer) -> None:
    with couchdb_server.fresh_database() as name, capture_logs() as logs:
        settings = couchdb_server.settings(name, "nobody", "wrong")
        async with Database(settings) as database, following(feed_on(settings, database)):
            await until(lambda: bool(logs))
    assert "ROUTER_COUCHDB__PASSWORD" in logs[0]["reason"]
    assert "'nobody'" in logs[0]["reason"]


async def test_a_seq_of_no_database_starts_from_the_beginning(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, database: Database
) -> None:
    await write(database, ["good"])
    async with following(feed_on(couchdb_settings, database, since="99-nonsense")) as follower:
        if couchdb_server.kind == "couchdb":
            await until(lambda: follower.ids == ["good"])
        else:
            # PouchDB Server takes any text for a seq, and then has nothing to tell.
            await until(lambda: follower.feed.connected)
            assert follower.ids == []


async def test_a_server_killed_and_started_again_loses_nothing(restartable_couchdb: RestartableCouchDB) -> None:
    settings = restartable_couchdb.settings
    with capture_logs() as logs:
        async with Database(settings) as database, following(feed_on(settings, database)) as follower:
            await write(database, ids_up_to(50, "first"))
            await until(lambda: len(follower.rows) == 50)
            for turn in range(2):
                restartable_couchdb.kill()
                await until(lambda: not follower.feed.connected)
                restartable_couchdb.start()
                await write(database, ids_up_to(50, f"turn{turn}"))
                wanted = set(ids_up_to(50, f"turn{turn}"))
                await until(lambda wanted=wanted: wanted <= set(follower.ids))  # type: ignore[misc]
    assert len(set(follower.ids)) == 150
    # None came twice: the feed went on where it was.
    assert len(follower.ids) == 150
    assert any("cannot be reached" in entry.get("reason", "") for entry in logs)


async def test_a_feed_of_some_documents_only(couchdb_settings: CouchDBSettings, database: Database) -> None:
    feed = Feed(
        couchdb_settings,
        quick_settings(),
        since="now",
        identity=None,
        get_identity=database.identity,
        only=ids_beginning_with("b:"),
    )
    async with following(feed) as follower:
        await until(lambda: feed.connected)
        await write(database, ["a:1", "b:", "b", "b:1", "b;1", "B:1", "b:é", "b:\ufff0", "c:1"])
        await until(lambda: len(follower.rows) == 3)
        # Heartbeats go on while what nobody asked for is written.
        heard = follower.heard_at()
        for turn in range(5):
            await write(database, ids_up_to(20, f"a:{turn}"))
        await until(lambda: follower.heard_at() > heard)
        assert sorted(follower.ids) == ["b:1", "b:é", "b:\ufff0"]
        assert feed.openings == 1
        assert all(row.document for row in follower.rows)


async def test_changes_since_a_place(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, database: Database
) -> None:
    only = ids_beginning_with("b:")
    await write(database, ["a:1", "b:1", "b:2"])
    first, second = await database.changes_since(0, only, 10)
    assert {first.id, second.id} == {"b:1", "b:2"}
    assert first.rev is not None
    assert first.document is not None
    assert await database.changes_since(second.seq, only, 10) == []
    assert [row.id for row in await database.changes_since(first.seq, only, 10)] == [second.id]
    assert len(await database.changes_since(0, only, 1)) == 1
    if couchdb_server.kind == "couchdb":
        with pytest.raises(Refused):
            await database.changes_since("99-nonsense", only, 10)
