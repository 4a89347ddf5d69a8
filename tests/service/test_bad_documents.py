"""Bad messages and bad edits of the mapping, live: each is reported where somebody looks, and harms nobody."""

import asyncio

import pytest

from router.couch.errors import Refused
from router.documents.json_types import JsonObject, JsonValue
from router.settings import CouchDBSettings, FeedSettings
from tests.peers.postbox import Postbox
from tests.service.running import (
    MAPPING_ID,
    QUICK_FEED,
    Desk,
    error_code,
    running,
    settings_for,
    status_of_mapping,
)

BAD_MAPPINGS: list[tuple[JsonValue, str]] = [
    ("#admins", "mapping"),
    ({"admins": {"postbox": ["a"]}}, "mapping.admins"),
    ({"#admins": ["a"]}, "mapping.#admins"),
    ({"#admins": {"postbox": 7}}, "mapping.#admins.postbox"),
    ({"#admins": {"postbox": ["a", "b", None]}}, "mapping.#admins.postbox[2]"),
    ({"#admins": {"postbox": ["a", "has a space"]}}, "mapping.#admins.postbox[1]"),
    ({"#admins": {"postbox": "bad one"}}, "mapping.#admins.postbox"),
    ({"#admins": {"groups": "users"}}, "mapping.#admins.groups"),
    ({"#admins": {"groups": ["#users", 3]}}, "mapping.#admins.groups[1]"),
]


BAD_CONTENTS: list[tuple[JsonObject, str]] = [
    ({"to": "admins", "body": "x"}, "content.to"),
    ({"to": 7, "body": "x"}, "content.to"),
    ({"to": [], "body": "x"}, "content.to"),
    ({"to": None, "body": "x"}, "content.to"),
    ({"to": ["#a", "b"], "body": "x"}, "content.to[1]"),
    ({"to": "#a"}, "content"),
    ({"to": "#a", "body": "   ", "subject": ""}, "content"),
    ({"to": "#a", "body": ["x"]}, "content.body"),
    ({"to": "#a", "body": "x", "subject": 5}, "content.subject"),
    ({"to": "#a", "body": "x", "format": "markdown"}, "content.format"),
    ({"to": "#a", "body": "x", "link": "https://x.example"}, "content.link"),
    ({"to": "#a", "body": "x", "link": {"url": "javascript:alert(1)"}}, "content.link.url"),
    ({"to": "#a", "body": "x", "priority": "urgent"}, "content.priority"),
    ({"to": "#a", "body": "x", "expires_at": "tomorrow"}, "content.expires_at"),
    ({"to": "#a", "body": "x", "data": "y"}, "content.data"),
]


async def force(desk: Desk, document: JsonObject) -> None:
    """Get a document past the validation function, as replication or an older database may: checks are off meanwhile."""
    design = await desk.database.get("_design/router")
    assert design is not None
    check = design.pop("validate_doc_update")
    rev = await desk.database.put(design)
    try:
        present = await desk.database.get(str(document["_id"]))
        await put_unchecked(desk, {**document, **({"_rev": present["_rev"]} if present else {})})
    finally:
        await desk.database.put({**design, "_rev": rev, "validate_doc_update": check})


async def put_unchecked(desk: Desk, document: JsonObject) -> None:
    """Write a document as soon as CouchDB, which keeps a validation function in memory, knows that there is none any more."""
    async with asyncio.timeout(5):
        while True:
            try:
                await desk.database.put(document)
                return
            except Refused:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(("content", "path"), BAD_CONTENTS, ids=lambda value: value if isinstance(value, str) else "")
async def test_a_bad_message_gets_a_document_and_harms_nobody(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, content: JsonObject, path: str
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await status_of_mapping(desk, "OK")
        await force(desk, {"_id": "bad", "content": content})
        await desk.write("good", "#a", "good")
        found = await desk.until(lambda d: len(d) == 2 and d[1]["status"] == "COMPLETE")
    assert found[0]["_id"] == "delivery:bad"
    assert found[0]["status"] == "FAILED"
    assert error_code(found[0]) == "malformed_message"
    assert f"'reason': '{path}: " in str(found[0]["error"]).replace('"', "'")
    assert postbox.bodies() == ["good"]


@pytest.mark.parametrize("status", ["FAILED", "UNROUTABLE"])
async def test_a_refused_message_is_routed_once_it_is_corrected(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, status: str
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await status_of_mapping(desk, "OK")
        wrong: JsonObject = {"to": "#typo", "body": "x"} if status == "UNROUTABLE" else {"to": "#a", "body": 5}
        await force(desk, {"_id": "m1", "content": wrong})
        await desk.all_have(status, 1)
        present = await desk.database.get("m1")
        assert present is not None
        await desk.database.put({"_id": "m1", "_rev": present["_rev"], "content": {"to": "#a", "body": "right"}})
        [delivery] = await desk.all_have("COMPLETE", 1)
    assert delivery["_id"] != "delivery:m1"
    assert postbox.bodies() == ["right"]


@pytest.mark.parametrize(("mapping", "path"), BAD_MAPPINGS, ids=lambda value: value if isinstance(value, str) else "")
async def test_a_bad_edit_changes_nothing_and_says_so(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, mapping: JsonValue, path: str
) -> None:
    kinds = {"postbox": postbox.kind()}
    good = await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await status_of_mapping(desk, "OK")
        await force(desk, {"_id": MAPPING_ID, "mapping": mapping})
        status = await status_of_mapping(desk, "INVALID")
        await desk.write("m1", "#a")
        await desk.all_have("COMPLETE", 1)
    assert status["in_force_rev"] == good
    problems = status["problems"]
    assert isinstance(problems, list)
    assert path in [p["path"] for p in problems if isinstance(p, dict)]
    # A restart must not lose the last good one either.
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m2", "#a")
        await desk.all_have("COMPLETE", 2)
        await desk.map({"#a": {"postbox": "two"}})
        status = await status_of_mapping(desk, "OK")
        assert status["problems"] == []
    assert [o.target.address for o in postbox.arrived] == ["one", "one"]


async def test_a_deleted_mapping_leaves_the_last_good_one_in_force(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    rev = await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await status_of_mapping(desk, "OK")
        await desk.database.put({"_id": MAPPING_ID, "_rev": rev, "_deleted": True})
        status = await status_of_mapping(desk, "MISSING")
        assert status["in_force_rev"] == rev
        await desk.write("m1", "#a")
        await desk.all_have("COMPLETE", 1)


async def test_unknown_and_unconfigured_channels_are_reported_and_never_silent(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    idle = postbox.kind("idle")
    kinds = {
        "postbox": postbox.kind(),
        "idle": type(idle)(
            idle.name, idle.settings_type, idle.parse_target, lambda _: "set ROUTER_IDLE__TOKEN", idle.open
        ),
    }
    await desk.map({"#a": {"postbox": "one", "idle": "two", "pigeon": ["three"]}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        status = await status_of_mapping(desk, "OK")
        await desk.write("m1", "#a")
        found = await desk.until(lambda d: len(d) == 3 and all(x["attempts"] or x["status"] == "FAILED" for x in d))
    by_channel = {str(d["channel"]): d for d in found}
    assert by_channel["postbox"]["status"] == "COMPLETE"
    assert by_channel["pigeon"]["status"] == "FAILED"
    assert "no channel 'pigeon'" in str(by_channel["pigeon"]["error"])
    assert by_channel["idle"]["status"] == "PENDING"
    assert "ROUTER_IDLE__TOKEN" in str(by_channel["idle"]["error"])
    assert [w["path"] for w in status["warnings"]] == ["mapping.#a.idle", "mapping.#a.pigeon"]  # type: ignore[index,call-overload,union-attr]
    # With the setting that it lacked, what waited goes out.
    with_it = {"postbox": postbox.kind(), "idle": idle}
    async with running(settings_for(couchdb_settings, with_it), with_it):
        await desk.until(lambda d: any(x["channel"] == "idle" and x["status"] == "COMPLETE" for x in d))


async def test_a_document_too_large_for_the_feed_is_recorded_and_passed_over(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    feed = FeedSettings(**{**QUICK_FEED.model_dump(), "max_row_bytes": 20_000})
    async with running(settings_for(couchdb_settings, kinds, feed=feed), kinds):
        await desk.write("large", "#a", "x" * 30_000)
        await desk.write("good", "#a", "good")
        found = await desk.until(lambda d: len(d) == 2 and all(x["status"] in ("COMPLETE", "FAILED") for x in d))
    failed = next(d for d in found if d["status"] == "FAILED")
    assert failed["_id"] == "delivery:large"
    assert "ROUTER_FEED__MAX_ROW_BYTES" in str(failed["error"])
    assert postbox.bodies() == ["good"]
