"""Messages and mappings on a real CouchDB, a running router, and what comes of them."""

import asyncio
from datetime import timedelta

import pytest

from router.couch.checkpoint import NAME as CHECKPOINT
from router.couch.errors import Refused
from router.couch.mapping_store import STATUS_ID
from router.documents.json_types import JsonObject, JsonValue
from router.documents.timestamps import to_text, utc_now
from router.settings import ChannelSettings, CouchDBSettings, FeedSettings
from tests.peers.postbox import Postbox
from tests.service.running import MAPPING_ID, QUICK_FEED, Desk, error_code, outcomes, running, settings_for

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


async def status_of_mapping(desk: Desk, status: str, timeout_seconds: float = 5) -> JsonObject:
    """The mapping's status document once it says `status`."""
    async with asyncio.timeout(timeout_seconds):
        while True:
            document = await desk.database.get(STATUS_ID)
            if document is not None and document["status"] == status:
                return document
            await asyncio.sleep(0.02)


async def test_a_message_reaches_every_target_once(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    rev = await desk.map({"#a": {"postbox": ["one", "two"], "groups": "#b"}, "#b": {"postbox": ["two", "three"]}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("order-42", ["#a", "#b", "#a"], event="order_failed")
        found = await desk.all_have("COMPLETE", 3)
    assert sorted(o.target.address for o in postbox.arrived) == ["one", "three", "two"]
    assert {d["target"] for d in found} == {"one", "two", "three"}
    for document in found:
        assert document["message_id"] == "order-42"
        assert document["event"] == "order_failed"
        assert document["mapping_rev"] == rev
        assert document["next_attempt_at"] is None
        assert document["error"] is None
        assert document["retries"] == 0
        assert outcomes(document) == ["sent"]


async def test_what_was_there_before_the_first_start_is_sent_unless_told_otherwise(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    settings = settings_for(couchdb_settings, kinds)
    await desk.map({"#a": {"postbox": "one"}})
    await desk.write("early", "#a", "early")
    async with running(settings, kinds, since_now=True):
        await asyncio.sleep(0)
        await status_of_mapping(desk, "OK")
        await desk.write("late", "#a", "late")
        await desk.all_have("COMPLETE", 1)
    assert postbox.bodies() == ["late"]


async def test_messages_without_a_checkpoint_are_read_from_the_beginning(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    await desk.write("early", "#a", "early")
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.all_have("COMPLETE", 1)
    assert postbox.bodies() == ["early"]


async def test_an_edit_of_the_mapping_is_in_force_within_a_second(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "old"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await status_of_mapping(desk, "OK")
        await desk.map({"#a": {"postbox": "new"}})
        await asyncio.sleep(1)  # The promise itself: a second after CouchDB's word, not sooner and not later.
        await desk.write("m1", "#a")
        await desk.all_have("COMPLETE", 1)
    assert [o.target.address for o in postbox.arrived] == ["new"]


async def test_a_group_that_was_added_just_before_is_known(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    """The feed of a real CouchDB is not in write order; the message may come first."""
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#g0": {"postbox": "t0"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        for number in range(1, 15):
            await desk.map({f"#g{n}": {"postbox": f"t{n}"} for n in range(number + 1)})
            await desk.write(f"m{number}", f"#g{number}")
        await desk.all_have("COMPLETE", 14)
    assert {o.target.address for o in postbox.arrived} == {f"t{n}" for n in range(1, 15)}


async def test_a_message_for_an_unknown_group_waits_for_the_mapping(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", ["#a", "#later"])
        found = await desk.until(lambda d: len(d) == 2 and d[1]["status"] == "COMPLETE")
        waiting = found[0]
        assert waiting["_id"] == "delivery:m1"
        assert waiting["status"] == "UNROUTABLE"
        assert waiting["groups"] == ["#later"]
        assert "#later" in str(waiting["error"])
        await desk.map({"#a": {"postbox": ["one", "added"]}, "#later": {"postbox": ["one", "two"]}})
        await desk.until(lambda d: [x["target"] for x in d if x["status"] == "COMPLETE"].count("two") == 1)
        found = await desk.all_have("COMPLETE", 2)
    # `added` came into #a after the message was routed there, and `one` had it already.
    assert sorted(o.target.address for o in postbox.arrived) == ["one", "two"]


async def test_many_waiting_messages_are_routed_page_by_page(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.delivery.unroutable.PAGE", 10)
    kinds = {"postbox": postbox.kind()}
    count = 35
    async with running(settings_for(couchdb_settings, kinds), kinds):
        messages: list[JsonObject] = [{"_id": f"m{n}", "content": {"to": "#a", "body": str(n)}} for n in range(count)]
        await desk.database.bulk(messages)
        await desk.all_have("UNROUTABLE", count)
        await desk.map({"#a": {"postbox": "one"}})
        await desk.all_have("COMPLETE", count)
    assert sorted(map(str, postbox.bodies())) == sorted(map(str, range(count)))


async def test_a_message_that_comes_before_any_mapping_is_routed_by_the_first_one(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    async with running(settings_for(couchdb_settings, kinds), kinds):
        assert (await status_of_mapping(desk, "MISSING"))["in_force_rev"] is None
        await desk.write("m1", "#a")
        [waiting] = await desk.all_have("UNROUTABLE", 1)
        assert "no valid mapping document yet" in str(waiting["error"])
        await desk.map({"#a": {"postbox": "one"}})
        await desk.all_have("COMPLETE", 1)
    assert [o.target.address for o in postbox.arrived] == ["one"]


async def test_an_unroutable_message_ends_when_it_is_too_old(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    settings = settings_for(couchdb_settings, kinds, unroutable_max_age_seconds=0.2)
    async with running(settings, kinds):
        await desk.write("m1", "#b")
        await desk.all_have("UNROUTABLE", 1)
        await asyncio.sleep(0.3)
        await desk.map({"#a": {"postbox": "one"}, "#b": {"postbox": "two"}})
        [ended] = await desk.all_have("FAILED", 1)
    assert error_code(ended) == "unroutable_too_old"
    assert postbox.arrived == []


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


async def test_a_later_revision_is_not_sent_again_even_to_new_targets(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        rev = await desk.write("m1", "#a", "first")
        await desk.all_have("COMPLETE", 1)
        await desk.map({"#a": {"postbox": ["one", "two"]}})
        await desk.database.put({"_id": "m1", "_rev": rev, "content": {"to": "#a", "body": "second"}})
        await desk.write("m2", "#a", "behind it")
        await desk.all_have("COMPLETE", 3)
    assert postbox.bodies("two") == ["behind it"]
    assert postbox.bodies("one") == ["first", "behind it"]


async def test_what_an_earlier_mapping_routed_is_not_sent_again_where_the_feed_is_read_from_its_beginning(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a", "first")
        await desk.all_have("COMPLETE", 1)
    await desk.map({"#a": {"postbox": "two"}})
    checkpoint = await desk.database.get(f"_local/{CHECKPOINT}")
    assert checkpoint is not None
    await desk.database.bulk([{"_id": checkpoint["_id"], "_rev": checkpoint["_rev"], "_deleted": True}])
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m2", "#a", "behind it")
        await desk.all_have("COMPLETE", 2)
    assert (postbox.bodies("one"), postbox.bodies("two")) == (["first"], ["behind it"])


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


async def test_unicode_line_ends_and_strange_ids_pass(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#ü/%": {"postbox": "one"}})
    body = "one\u2028two\u2029three\u0085four\r\nfive"
    ids = ["a/b", "a+b", "a b", "ü#1?x=%20", "a:b:c", '"quoted"']
    async with running(settings_for(couchdb_settings, kinds), kinds):
        for message_id in ids:
            await desk.write(message_id, "#ü/%", body, format="text")
        found = await desk.all_have("COMPLETE", len(ids))
    assert {d["message_id"] for d in found} == set(ids)
    assert postbox.bodies() == [body] * len(ids)


async def test_an_expired_message_is_not_sent(couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("old", "#a", "old", expires_at=to_text(utc_now() - timedelta(seconds=1)))
        await desk.write("new", "#a", "new", expires_at=to_text(utc_now() + timedelta(hours=1)))
        found = await desk.until(lambda d: {x["status"] for x in d} == {"EXPIRED", "COMPLETE"})
    assert [d["message_id"] for d in found if d["status"] == "EXPIRED"] == ["old"]
    assert postbox.bodies() == ["new"]


async def test_other_documents_are_left_alone(couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    strangers: list[JsonObject] = [
        {"_id": "order"},
        {"_id": "text", "content": "to"},
        {"_id": "list", "content": ["to"]},
        {"_id": "page", "content": {"title": "x"}},
    ]
    async with running(settings_for(couchdb_settings, kinds, channel=ChannelSettings()), kinds):
        for stranger in strangers:
            await desk.database.put(stranger)
        await desk.write("m1", "#a")
        found = await desk.all_have("COMPLETE", 1)
    assert found[0]["message_id"] == "m1"
