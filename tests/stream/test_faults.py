"""What becomes of streams when CouchDB, its feed or the way there fails: nothing is missed, nothing comes twice."""

import asyncio

from structlog.testing import capture_logs

from router.couch.database import Database
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.peers.feed import Connection, Script, feed_peer, row_line, until
from tests.peers.tcp_proxy import HALF_OPEN, PASS, Link, tcp_proxy
from tests.servers.couchdb import CouchServer, RestartableCouchDB
from tests.stream.devices import Device, hub_on, inbox_of, notification, write


def is_feed(link: Link) -> bool:
    return b"/_changes?feed=continuous" in link.request


async def test_streams_outlive_a_feed_that_is_cut_and_one_that_falls_silent(
    couchdb_settings: CouchDBSettings, database: Database
) -> None:
    async with tcp_proxy(couchdb_settings.url) as proxy:
        settings = couchdb_settings.model_copy(update={"url": proxy.url})
        async with hub_on(settings, database) as hub:
            alice = Device(hub, "alice")
            async with alice.listening():
                for turn in range(6):
                    if turn % 2:
                        # Nothing passes, then what is half open is given up, and opened again.
                        accepted = proxy.accepted
                        proxy.treat(HALF_OPEN, is_feed)
                        await write(database, notification("alice"), notification("alice"))
                        await until(lambda accepted=accepted: proxy.accepted > accepted)  # type: ignore[misc]
                        proxy.treat(PASS)
                    else:
                        proxy.end_all(reset=turn % 4 == 0)
                        await write(database, notification("alice"), notification("alice"))
                    await until(lambda turn=turn: len(alice.told) == 2 * turn + 2)  # type: ignore[misc]
                assert alice.ends == 0
            assert {its_id for _, its_id, _ in alice.told} == set(await inbox_of(database, "alice"))
            assert len(alice.told) == 12


async def test_couchdb_killed_and_started_again(restartable_couchdb: RestartableCouchDB) -> None:
    settings = restartable_couchdb.settings
    async with Database(settings) as database, hub_on(settings, database) as hub:
        steady, back = Device(hub, "alice"), Device(hub, "alice")
        async with back.listening():
            await write(database, notification("alice"))
            await until(lambda: len(back.told) == 1)
        async with steady.listening():
            restartable_couchdb.kill()
            # Whoever comes back while CouchDB is away is kept waiting, with heartbeats, or is sent away to come again.
            async with back.listening(keep=True):
                comments = back.browser.comments
                await until(lambda: back.browser.comments > comments + 2)
                restartable_couchdb.start()
                await write(database, *(notification("alice") for _ in range(5)))
                await until(lambda: len(back.told) == 6 and len(steady.told) >= 5)
        assert {its_id for _, its_id, _ in back.told} == set(await inbox_of(database, "alice"))
        assert len(steady.told) == 5
        assert steady.ends == 0


async def test_a_database_dropped_and_made_again_ends_all_streams(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, database: Database
) -> None:
    async with tcp_proxy(couchdb_settings.url) as proxy:
        settings = couchdb_settings.model_copy(update={"url": proxy.url})
        async with hub_on(settings, database) as hub:
            alice, fresh = Device(hub, "alice"), Device(hub, "alice")
            async with alice.listening(keep=True):
                await write(database, notification("alice"))
                await until(lambda: len(alice.told) == 1)
                await database.session._delete(f"/{database.name}")
                # `instance_start_time` counts seconds: two databases of one second and one name cannot be told apart.
                await asyncio.sleep(1.1)
                await database.create_database()
                await write(database, *(notification("alice") for _ in range(3)))
                with capture_logs() as logs:
                    # PouchDB Server never ends the feed of a database that is gone.
                    proxy.end_all()
                    await until(lambda: alice.told[1:] == [("reset", "", None)])
                assert alice.ends >= 1
                assert (
                    any("made again" in str(entry.get("reason")) for entry in logs) or couchdb_server.kind == "couchdb"
                )
                async with fresh.listening():
                    (last,) = await write(database, notification("alice"))
                    await until(lambda: alice.told[2:] == fresh.told == [("message", last, False)])


def line(seq: str, document: JsonObject) -> bytes:
    return row_line(seq, str(document["_id"]), document, rev=str(document["_rev"]))


def after(first: list[bytes], then: Script) -> Script:
    async def script(connection: Connection) -> None:
        await connection.open()
        await connection.send(b"".join(first))
        await then(connection)

    return script


async def drop(connection: Connection) -> None:
    connection.reset()


async def idle(connection: Connection) -> None:
    await connection.heartbeats()


async def test_a_feed_that_begins_further_back_is_told_to_nobody() -> None:
    one, two, new = ({**notification("alice"), "_rev": "1-a"} for _ in range(3))
    lines = [line("8-a", one), line("9-a", two)]
    scripts = [after(lines, drop), after([*lines, line("10-a", new)], idle), after([], idle)]
    async with feed_peer(*scripts) as peer:
        settings = CouchDBSettings(url=peer.url)
        async with Database(settings) as database, hub_on(settings, database) as hub:
            # The first opening is over before anybody can come; the hub keeps it in mind all the same.
            await until(lambda: len(peer.feeds) == 3)
            assert hub.place is not None
            assert (hub.place.seq, peer.sinces) == ("7-now", ["7-now", "9-a", "7-now"])


async def test_a_place_that_couchdb_does_not_know_any_more_ends_all_streams() -> None:
    document = {**notification("alice"), "_rev": "1-a"}
    go_on = asyncio.Event()

    async def first(connection: Connection) -> None:
        await connection.open()
        await go_on.wait()
        await connection.send(line("8-a", document))
        connection.reset()

    async def refuse(connection: Connection) -> None:
        await connection.error(400, "bad_request", "Malformed sequence supplied in 'since' parameter.")

    async with feed_peer(first, refuse, after([], idle)) as peer:
        settings = CouchDBSettings(url=peer.url)
        async with Database(settings) as database, hub_on(settings, database) as hub:
            alice = Device(hub, "alice")
            async with alice.listening():
                go_on.set()
                await until(lambda: alice.ends == 1)
            assert [kind for kind, _, _ in alice.told] in ([], ["message"])
            await until(lambda: peer.sinces == ["7-now", "8-a", "7-now"])
