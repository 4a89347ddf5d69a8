"""Messages and mappings on a real CouchDB, a running router, and what comes of them."""

import asyncio
from datetime import timedelta

import pytest

from router.couch.checkpoint import NAME as CHECKPOINT
from router.documents.json_types import JsonObject
from router.documents.timestamps import to_text, utc_now
from router.settings import ChannelSettings, CouchDBSettings
from tests.peers.postbox import Postbox
from tests.service.running import (
    Desk,
    error_code,
    outcomes,
    running,
    settings_for,
    status_of_mapping,
)


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
