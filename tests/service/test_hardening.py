"""What others do to the database must not end the router: refusals, a lost index, ids that clash, hopeless edits."""

import asyncio
from collections.abc import Callable, MutableMapping
from time import perf_counter
from typing import Any

import pytest
from structlog.testing import capture_logs

from router.channels.base import Rejected, Retry, Scope
from router.couch.checkpoint import NAME as CHECKPOINT
from router.couch.database import Database
from router.couch.design import DESIGN_ID
from router.couch.mapping_store import LAST_GOOD, STATUS_ID
from router.documents.delivery import delivery_id
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.peers.feed import until
from tests.peers.gate import gate_before
from tests.peers.postbox import Postbox, say
from tests.service.running import Desk, error_code, running, settings_for

Logs = list[MutableMapping[str, Any]]


async def status_once(database: Database, condition: Callable[[JsonObject], bool]) -> JsonObject:
    """The mapping's status document once it meets `condition`."""
    async with asyncio.timeout(10):
        while True:
            found = await database.get(STATUS_ID)
            if found is not None and condition(found):
                return found
            await asyncio.sleep(0.02)


def errors_in(logs: Logs) -> Logs:
    return [entry for entry in logs if entry["log_level"] == "error"]


def of_checkpoint(entry: MutableMapping[str, Any], level: str) -> bool:
    return entry.get("what") == "saving the checkpoint" and entry["log_level"] == level


AUTHORS_ONLY = """function (newDoc) {
  if (newDoc._id === 'router:mapping-status' && !newDoc.author) { throw({forbidden: 'each document needs an author'}); }
}"""


async def test_a_teams_own_check_that_refuses_the_status_document_ends_nothing(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.database.put({"_id": "_design/team", "language": "javascript", "validate_doc_update": AUTHORS_ONLY})
    await desk.map({"#a": {"postbox": "one"}})
    with capture_logs() as logs:
        async with running(settings_for(couchdb_settings, kinds), kinds):
            await until(lambda: bool(errors_in(logs)))
            await desk.write("m1", "#a")
            await desk.all_have("COMPLETE", 1)
            # The next edit is in force too, and kept for a restart.
            rev = await desk.map({"#a": {"postbox": "two"}})
            await until(lambda: len(errors_in(logs)) == 2)
            await desk.write("m2", "#a")
            await desk.all_have("COMPLETE", 2)
            saved = await desk.database.get_local(LAST_GOOD)
    assert saved is not None
    assert isinstance(saved["document"], dict)
    assert saved["document"]["_rev"] == rev
    assert await desk.database.get(STATUS_ID) is None
    assert [o.target.address for o in postbox.arrived] == ["one", "two"]
    for error in errors_in(logs):
        assert error["document"] == STATUS_ID
        assert "validate_doc_update" in error["event"]
        assert "each document needs an author" in error["reason"]


async def test_three_thousand_bad_addresses_make_a_status_document_that_can_be_read(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    good = await desk.map({"#a": {"postbox": "one"}})
    with capture_logs() as logs:
        async with running(settings_for(couchdb_settings, kinds), kinds):
            await status_once(desk.database, lambda status: status["status"] == "OK")
            await desk.map({"#a": {"postbox": [f"bad {n}" for n in range(3000)]}})
            status = await status_once(desk.database, lambda status: status["status"] == "INVALID")
            assert status["in_force_rev"] == good
            assert isinstance(status["problems"], list)
            assert len(status["problems"]) == 101
            assert status["problems"][99:] == [
                {"path": "mapping.#a.postbox[99]", "reason": "must be a text without spaces"},
                {"path": "mapping", "reason": "and 2900 more"},
            ]
            assert len(errors_in(logs)) == 101
            # As many that only are odd.
            await desk.map({"#a": {"postbox": "one", "groups": [f"#gone-{n}" for n in range(3000)]}})
            status = await status_once(
                desk.database, lambda status: status["status"] == "OK" and status["in_force_rev"] != good
            )
            assert isinstance(status["warnings"], list)
            assert len(status["warnings"]) == 101
            assert status["warnings"][100] == {"path": "mapping", "reason": "and 2900 more"}
    assert sum(entry["event"] == "problem in the mapping" for entry in logs) == 101


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, {"error": "forbidden", "reason": "no notes here"}),
     (409, {"error": "conflict", "reason": "Document update conflict."}),
     (413, {"error": "too_large", "reason": "the request entity is too large"})],
)  # fmt: skip
async def test_local_documents_that_are_refused_end_nothing(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, status: int, error: JsonObject
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    with capture_logs() as logs:
        async with gate_before(couchdb_settings.url) as gate:
            gate.guard = lambda method, path: (status, error) if method == "PUT" and "/_local/" in path else None
            settings = couchdb_settings.model_copy(update={"url": gate.url})
            async with running(settings_for(settings, kinds), kinds):
                await desk.write("m1", "#a")
                await desk.all_have("COMPLETE", 1)
                await until(lambda: any(of_checkpoint(entry, "warning") for entry in logs))
                await until(lambda: any(LAST_GOOD in request for request in gate.stopped))
                await status_once(desk.database, lambda found: found["status"] == "OK")
                # The trouble is over: all goes on as if nothing had been.
                gate.guard = None
                await desk.write("m2", "#a")
                await desk.all_have("COMPLETE", 2)
                await until(lambda: any(of_checkpoint(entry, "info") for entry in logs))
                assert await desk.database.get_local(CHECKPOINT) is not None
    said = [entry for entry in errors_in(logs) if entry.get("document") == f"_local/{LAST_GOOD}"]
    assert bool(said) is (status != 409)


async def test_a_lost_index_is_put_back_without_anybody_running_setup(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [say(Retry("not now", code=503, after_seconds=1.5))]
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        await desk.until(lambda found: len(found) == 1 and bool(found[0]["attempts"]))
        present = await desk.database.get(DESIGN_ID)
        assert present is not None
        await desk.database.put({"_id": DESIGN_ID, "_rev": present["_rev"], "_deleted": True})
        await desk.all_have("COMPLETE", 1, timeout_seconds=20)
        assert await desk.database.get(DESIGN_ID) is not None
    assert len(postbox.arrived) == 2


@pytest.mark.parametrize("to", ["#nobody", 5], ids=["unroutable", "malformed"])
async def test_a_message_called_as_a_delivery_of_another_is_does_not_touch_that(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, to: str | int
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [say(Rejected("no such mailbox", Scope.TARGET, code=550))]
    clashing = delivery_id("m", "postbox", "one").removeprefix("delivery:")
    with capture_logs() as logs:
        async with running(settings_for(couchdb_settings, kinds), kinds):
            await desk.write("m", "#a")
            [before] = await desk.all_have("FAILED", 1)
            # As an app could before there was a check at write time.
            present = await desk.database.get(DESIGN_ID)
            assert present is not None
            await desk.database.put(
                {"_id": DESIGN_ID, "_rev": present["_rev"], "language": "javascript", "views": present["views"]}
            )
            await desk.write(clashing, to)
            await until(lambda: any(entry.get("kept_message_id") for entry in logs))
            await desk.write("m2", "#a")
            await desk.until(lambda found: [d["status"] for d in found] == ["COMPLETE"], "m2")
            [after] = await desk.deliveries("m")
    assert after == before
    [error] = errors_in(logs)
    assert (error["message_id"], error["kept_message_id"], error["delivery_id"]) == (clashing, "m", before["_id"])


async def test_a_delivery_whose_id_another_messages_document_has_is_sent_all_the_same(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    clashing = delivery_id("m", "postbox", "one").removeprefix("delivery:")
    with capture_logs() as logs:
        async with running(settings_for(couchdb_settings, kinds), kinds):
            await desk.write(clashing, "#nobody")
            [before] = await desk.all_have("UNROUTABLE", 1)
            await desk.write("m", "#a")
            await postbox.wait_for(1)
            await until(lambda: any(entry.get("kept_message_id") == clashing for entry in logs))
    assert await desk.deliveries() == [before]
    assert error_code(before) == "unknown_group"


async def test_a_thousand_names_through_ten_thousand_groups_hold_nobody_up(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    count = 10_000
    kinds = {"postbox": postbox.kind()}
    groups: JsonObject = {f"#{n}": {"groups": [f"#{(7 * n + k) % count}" for k in range(1, 21)]} for n in range(count)}
    await desk.map({**groups, "#0": {"groups": ["#1", "#2"], "postbox": "one"}})
    longest = 0.0

    async def feel() -> None:
        nonlocal longest
        while True:
            began = perf_counter()
            await asyncio.sleep(0.01)
            longest = max(longest, perf_counter() - began)

    async with running(settings_for(couchdb_settings, kinds), kinds):
        await status_once(desk.database, lambda status: status["status"] == "OK")
        feeling = asyncio.create_task(feel())
        try:
            await desk.write("m1", [f"#{n}" for n in range(1_000)])
            await desk.all_have("COMPLETE", 1, timeout_seconds=60)
        finally:
            feeling.cancel()
    # One walk for each name took minutes; the rest is room for a busy machine.
    assert longest < 2
