"""Whatever CouchDB and the way to it do to a running router, each message arrives once: before, during and afterwards."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from router.channels.base import Sent
from router.couch.checkpoint import NAME as CHECKPOINT
from router.couch.database import Database
from router.couch.design import DESIGN_ID
from router.documents.json_types import JsonObject, JsonValue
from router.settings import CouchDBSettings
from tests.peers.feed import until
from tests.peers.gate import Guard
from tests.peers.postbox import Postbox, after
from tests.peers.tcp_proxy import HALF_OPEN, PASS, RESET, STALLED, Fault, Link, TcpProxy, tcp_proxy
from tests.servers.couchdb import CouchServer, RestartableCouchDB
from tests.service.running import Desk, outcomes, running, running_until_killed, settings_for
from tests.service.scene import DEADLINE_SECONDS, FAULTY_FEED, MESSAGES, scene

# --- the way to CouchDB


def feed_only(link: Link) -> bool:
    return b"/_changes?" in link.request


def documents_only(link: Link) -> bool:
    return not feed_only(link)


def writes_only(link: Link) -> bool:
    return b"/_bulk_docs" in link.request


def opened_again(before: "Counts", now: "Counts") -> bool:
    return now.accepted > before.accepted


def cut_twice(before: "Counts", now: "Counts") -> bool:
    return now.cuts >= before.cuts + 2


@dataclass(frozen=True, slots=True)
class Counts:
    """What the proxy has counted."""

    accepted: int
    cuts: int


def counts(proxy: TcpProxy) -> Counts:
    return Counts(proxy.accepted, proxy.cuts)


def everything(_: Link) -> bool:
    return True


TCP_FAULTS = [
    ("half-open", HALF_OPEN, everything, opened_again),
    ("half-open feed", HALF_OPEN, feed_only, opened_again),
    ("half-open but for the feed", HALF_OPEN, documents_only, opened_again),
    ("requests that arrive after they were given up", STALLED, documents_only, opened_again),
    ("reset", RESET, everything, cut_twice),
    ("feed reset", RESET, feed_only, cut_twice),
    ("cut in the middle of a row", Fault(cut_behind=b'"body":"dur'), feed_only, cut_twice),
    ("answers cut in the head", Fault(cut_after_bytes=20), documents_only, cut_twice),
    ("answers to writes lost", Fault(cut_after_bytes=0, reset=True), writes_only, cut_twice),
]


@pytest.mark.parametrize(
    ("fault", "where", "has_bitten"), [row[1:] for row in TCP_FAULTS], ids=[row[0] for row in TCP_FAULTS]
)
async def test_a_way_that_breaks(
    couchdb_settings: CouchDBSettings,
    desk: Desk,
    postbox: Postbox,
    fault: Fault,
    where: Callable[[Link], bool],
    has_bitten: Callable[[Counts, Counts], bool],
) -> None:
    async with scene(couchdb_settings, desk, postbox) as on:
        await on.write("before")
        await on.each_arrived_once()
        before = counts(on.proxy)
        on.proxy.treat(fault, where)
        await on.write("during")
        await until(lambda: has_bitten(before, counts(on.proxy)))
        on.proxy.treat(PASS)
        await on.write("after")
        await on.each_arrived_once()


@pytest.mark.parametrize("fault", [Fault(delay_seconds=0.05), Fault(bytes_per_second=6000)], ids=["late", "trickling"])
async def test_a_slow_way_only_makes_it_slow(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, fault: Fault
) -> None:
    async with scene(couchdb_settings, desk, postbox) as on:
        await on.write("before")
        on.proxy.treat(fault)
        await on.write("during")
        await on.each_arrived_once()
        on.proxy.treat(PASS)
        await on.write("after")
        await on.each_arrived_once()


async def test_nobody_listens_for_a_while(couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox) -> None:
    with capture_logs() as logs:
        async with scene(couchdb_settings, desk, postbox) as on:
            await on.write("before")
            await on.each_arrived_once()
            async with on.proxy.refusing():
                await on.write("during")
                await until(lambda: any(entry["event"] == "waiting for CouchDB" for entry in logs))
            await on.write("after")
            await on.each_arrived_once()
    assert any(entry["event"] == "CouchDB answers again" for entry in logs)


# --- what CouchDB says


def error(status: int, name: str, reason: str) -> tuple[int, JsonValue]:
    return status, {"error": name, "reason": reason}


UNAUTHORIZED = error(401, "unauthorized", "Name or password is incorrect.")
INTERNAL = error(500, "internal_server_error", "badarg")
MAINTENANCE = error(503, "service_unavailable", "maintenance mode")
NOT_ENOUGH_ROOM = error(507, "insufficient_storage", "database_dir is too full")
# What CouchDB 3.5.2 was seen to say when its file system is full; its view then says badmatch, enospc.
NO_SPACE = error(500, "error", "internal_server_error")
NO_SPACE_FOR_VIEW = error(500, "{badmatch,{error,enospc}}", "[{couch_btree,write_node,3,…")


def no_row_has_space(request: JsonValue) -> JsonValue:
    """`_bulk_docs` on a full file system: status 500, and yet a row for each document."""
    return _for_each(request, "error", "internal_server_error")


def no_row_has_room(request: JsonValue) -> JsonValue:
    """`_bulk_docs` of a CouchDB whose disk monitor is enabled: status 201, and nothing written."""
    return _for_each(request, "insufficient_storage", "database_dir is too full")


def _for_each(request: JsonValue, name: str, reason: str) -> JsonValue:
    assert isinstance(request, dict)
    docs = request["docs"]
    assert isinstance(docs, list)
    return [{"id": doc["_id"], "error": name, "reason": reason} for doc in docs if isinstance(doc, dict)]


def always(said: tuple[int, JsonValue]) -> Guard:
    return lambda *_: said


def at(part: str, said: tuple[int, JsonValue]) -> Guard:
    return lambda _, path: said if part in path else None


def full_file_system(method: str, path: str) -> tuple[int, JsonValue | Callable[[JsonValue], JsonValue]] | None:
    if path.endswith("/_bulk_docs"):
        return 500, no_row_has_space
    return NO_SPACE_FOR_VIEW if "/_view/" in path else NO_SPACE if method == "PUT" else None


def disk_monitor(method: str, path: str) -> tuple[int, JsonValue | Callable[[JsonValue], JsonValue]] | None:
    if path.endswith("/_bulk_docs"):
        return 201, no_row_has_room
    return NOT_ENOUGH_ROOM if "/_view/" in path or method == "PUT" else None


ANSWERS: list[tuple[str, Guard]] = [
    ("401 to everything", always(UNAUTHORIZED)),
    ("500 to everything", always(INTERNAL)),
    ("503 to everything", always(MAINTENANCE)),
    ("404 for the database", always(error(404, "not_found", "Database does not exist."))),
    ("500 to writes", at("/_bulk_docs", INTERNAL)),
    ("503 to writes", at("/_bulk_docs", MAINTENANCE)),
    ("500 to reads", at("/_all_docs", INTERNAL)),
    ("503 to reads", at("/_all_docs", MAINTENANCE)),
    ("a full file system", full_file_system),
    ("a disk monitor's refusal", disk_monitor),
]


@pytest.mark.parametrize("guard", [row[1] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
async def test_a_server_that_is_not_well_for_a_while(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, guard: Guard
) -> None:
    async with scene(couchdb_settings, desk, postbox) as on:
        await on.write("before")
        await on.each_arrived_once()
        on.gate.guard = guard
        # The feed that is open would know nothing of it.
        on.proxy.end_all()
        await on.write("during")
        await until(lambda: len(on.gate.stopped) >= 4)
        on.gate.guard = None
        await on.write("after")
        await on.each_arrived_once()


async def test_what_is_sent_while_nothing_can_be_written_is_not_sent_again(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    async with scene(couchdb_settings, desk, postbox) as on:
        await on.write("before")
        await on.each_arrived_once()
        on.gate.guard = full_file_system
        await on.write("during")
        await until(lambda: on.arrived("during"))
        # The feed comes again from its last place while no document says what was sent.
        stopped = len(on.gate.stopped)
        on.proxy.end_all()
        await until(lambda: len(on.gate.stopped) >= stopped + 4)
        assert len(await desk.deliveries()) == MESSAGES
        on.gate.guard = None
        await on.each_arrived_once()


async def test_a_checkpoint_in_conflict_costs_no_message(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    conflict = at(f"/_local/{CHECKPOINT}", error(409, "conflict", "Document update conflict."))
    async with scene(couchdb_settings, desk, postbox) as on:
        await on.write("before")
        await on.each_arrived_once()
        on.gate.guard = conflict
        await on.write("during")
        await on.each_arrived_once()
        await until(lambda: len(on.gate.stopped) >= 4)
        on.gate.guard = None
        written = on.written
    # The next router reads the same rows again, from wherever the checkpoint stands.
    async with scene(couchdb_settings, desk, postbox) as on:
        on.written = written
        await on.write("after")
        await on.each_arrived_once()


# --- what becomes of the server and the database


async def test_a_couchdb_that_is_killed_and_started_again(
    restartable_couchdb: RestartableCouchDB, postbox: Postbox
) -> None:
    settings = restartable_couchdb.settings
    async with Database(settings) as database, scene(settings, Desk(database), postbox) as on:
        await on.write("before")
        # Some of them may have been sent and not recorded.
        await until(lambda: on.arrived("before"))
        restartable_couchdb.kill()
        await asyncio.to_thread(restartable_couchdb.start)
        await on.write("after")
        await on.each_arrived_once()


async def make_again(couchdb: CouchDBSettings, server: CouchServer, proxy: TcpProxy) -> None:
    """Drop the database and make another of the same name."""
    async with server.async_http() as http:
        (await http.delete(f"/{couchdb.database}")).raise_for_status()
        # PouchDB Server never ends the feed of a deleted database.
        proxy.end_all()
        if server.kind == "couchdb":
            await asyncio.sleep(1.1)  # `instance_start_time` counts seconds
        # It may be there already: PouchDB Server makes one anew for who asks at the wrong moment.
        assert (await http.put(f"/{couchdb.database}")).status_code in (201, 202, 412)


async def test_a_database_that_is_dropped_and_made_again(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, desk: Desk, postbox: Postbox
) -> None:
    async with scene(couchdb_settings, desk, postbox) as on:
        await on.write("before")
        await on.each_arrived_once()
        await make_again(couchdb_settings, couchdb_server, on.proxy)
        await desk.map({"#a": {"postbox": "two"}})
        await on.write("again")
        documents = await desk.all_have("COMPLETE", MESSAGES)
        assert {d["message_id"] for d in documents} == {f"again-{n}" for n in range(MESSAGES)}
        assert Counter(postbox.bodies()) == Counter(on.written)
        assert Counter(postbox.bodies("two")) == Counter(f"again-{n}" for n in range(MESSAGES))


async def test_a_message_on_its_way_when_its_database_is_made_again_is_not_lost_to_a_crash(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, desk: Desk, postbox: Postbox
) -> None:
    """The same message, as from a backup: what was begun for the old database says nothing about the new one's rows."""
    kinds = {"postbox": postbox.kind()}
    mapping: JsonValue = {"#a": {"postbox": "one"}, "#b": {"postbox": "two"}}
    await desk.map(mapping)
    postbox.answers["one"] = [after(asyncio.Event(), Sent("never"))]
    async with tcp_proxy(couchdb_settings.url) as proxy:
        couchdb = couchdb_settings.model_copy(update={"url": proxy.url})
        # Nothing is written about m1 while its attempt hangs.
        through = settings_for(couchdb, kinds, feed=FAULTY_FEED, pending_after_seconds=60, grace_seconds=0.2)
        async with running_until_killed(through, kinds):
            await desk.write("m1", "#a")
            await postbox.wait_for(1)
            await make_again(couchdb_settings, couchdb_server, proxy)
            await desk.map(mapping)
            await desk.write("m1", "#a")
            await desk.write("m2", "#b")
            await desk.until(lambda found: [d["status"] for d in found] == ["COMPLETE"], "m2")
            # Long enough for a checkpoint behind both.
            await asyncio.sleep(5 * FAULTY_FEED.checkpoint_interval_seconds)
        async with running(through, kinds):
            await desk.until(lambda found: [d["status"] for d in found] == ["COMPLETE"], "m1")


@pytest.mark.parametrize("rev", ["1-0", "1-ffffffffffffffffffffffffffffffff"], ids=["ours wins", "theirs wins"])
async def test_revisions_that_replication_left_are_merged(
    couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, desk: Desk, postbox: Postbox, rev: str
) -> None:
    async with scene(couchdb_settings, desk, postbox) as on:
        await on.write("before")
        await on.each_arrived_once()
        [ours] = await desk.deliveries("before-0")
        theirs: JsonObject = {
            **ours,
            "_rev": rev,
            "status": "PENDING",
            "reference": None,
            "attempts": [
                {"at": "2026-01-01T00:00:00.000Z", "outcome": "retry", "code": 503, "reason": "away", "ms": 7}
            ],
        }
        if couchdb_server.kind == "pouchdb":
            # PouchDB Server passes over what is replicated to a database that has a validation function.
            design = await desk.database.get(DESIGN_ID)
            assert design is not None
            del design["validate_doc_update"]
            await desk.database.put(design)
        async with couchdb_server.async_http() as http:
            body = {"new_edits": False, "docs": [theirs]}
            (await http.post(f"/{couchdb_settings.database}/_bulk_docs", json=body)).raise_for_status()
        doc_id = str(ours["_id"])
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while len(leaves := (await desk.database.leaves([doc_id]))[doc_id]) > 1:
            assert asyncio.get_running_loop().time() < deadline, f"still {leaves}"
            await asyncio.sleep(0.02)
        [merged] = leaves
        assert (merged["status"], merged["reference"], outcomes(merged)) == (
            "COMPLETE",
            ours["reference"],
            ["retry", "sent"],
        )
        await on.write("after")
        await desk.all_have("COMPLETE", len(on.written))
        assert Counter(postbox.bodies()) == Counter(on.written)
