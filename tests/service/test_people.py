"""Users on a real CouchDB and a running router: preferences, quiet hours, live edits, users who come later."""

from datetime import timedelta

from router.documents.json_types import JsonObject, JsonValue
from router.documents.timestamps import from_text, to_text, utc_now
from router.settings import CouchDBSettings
from tests.peers.postbox import Postbox
from tests.service.running import Desk, error_code, outcomes, running, running_until_killed, settings_for


async def save(desk: Desk, doc_id: str, fields: JsonObject) -> None:
    """Write a document, or write over it."""
    present = await desk.database.get(doc_id)
    rev: JsonObject = {} if present is None else {"_rev": present["_rev"]}
    await desk.database.put({"_id": doc_id, **rev, **fields})


def clock(moment_in: timedelta) -> str:
    """The time of day so long from now, in UTC."""
    return f"{utc_now() + moment_in:%H:%M}"


def by_target(found: list[JsonObject]) -> dict[JsonValue, JsonValue]:
    return {d["target"]: d["status"] for d in found}


async def test_users_are_reached_as_they_choose_and_edits_are_live(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind(), "letterbox": postbox.kind("letterbox")}
    await desk.map({"#team": {"users": ["alice", "@bob"], "postbox": "door"}})
    await save(desk, "recipient:alice", {"addresses": {"postbox": "alice-1", "letterbox": "alice-2"}})
    await save(desk, "recipient:bob", {"addresses": {"postbox": "bob-1"}})
    await save(desk, "preferences:alice", {"groups": {"chats": {"channels": {"letterbox": False}}}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", ["#team", "@alice"], type="chats", event="mention")
        found = await desk.until(lambda found: len(found) == 4 and all(d["status"] != "PENDING" for d in found))
        assert by_target(found) == {
            "door": "COMPLETE",
            "alice-1": "COMPLETE",
            "alice-2": "SUPPRESSED",
            "bob-1": "COMPLETE",
        }
        (stopped,) = (d for d in found if d["status"] == "SUPPRESSED")
        assert stopped["rule"] == "preferences:alice groups.chats.channels.letterbox"
        assert (stopped["user"], stopped["attempts"], error_code(stopped)) == ("alice", [], "suppressed")
        # The user, the recipient, the catalogue: whatever is edited is in force for the next message.
        await save(desk, "preferences:alice", {"channels": {"postbox": False}})
        await save(desk, "recipient:bob", {"addresses": {"postbox": "bob-2"}})
        await desk.write("m2", "#team", type="chats", event="mention")
        found = await desk.until(lambda found: len(found) == 4 and all(d["status"] != "PENDING" for d in found), "m2")
        assert by_target(found) == {
            "door": "COMPLETE",
            "alice-1": "SUPPRESSED",
            "alice-2": "COMPLETE",
            "bob-2": "COMPLETE",
        }
        mandatory: JsonObject = {"groups": {"chats": {"events": {"mention": {"mandatory": True}}}}}
        await save(desk, "notifications", mandatory)
        await desk.write("m3", "@alice", type="chats", event="mention")
        found = await desk.until(lambda found: len(found) == 2 and all(d["status"] == "COMPLETE" for d in found), "m3")
    assert len(postbox.arrived) == 3 + 3 + 2


async def test_a_bad_catalogue_leaves_the_last_good_one_in_force(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await save(desk, "recipient:alice", {"addresses": {"postbox": "alice"}})
    await save(desk, "notifications", {"channels": {"postbox": False}})
    settings = settings_for(couchdb_settings, kinds)
    async with running(settings, kinds):
        await desk.write("m1", "@alice")
        await desk.all_have("SUPPRESSED", 1)
        # As replication may bring it, past the check at write time.
        await desk.database.bulk(
            [{"_id": "_design/router", "_rev": await rev_of(desk, "_design/router"), "_deleted": True}]
        )
        await save(desk, "notifications", {"channels": {"postbox": "no"}})
        await desk.write("m2", "@alice")
        await desk.all_have("SUPPRESSED", 2)
        status = await desk.database.get("router:catalogue-status")
        assert status is not None
        assert (status["status"], status["problems"]) == (
            "INVALID",
            [{"path": "channels.postbox", "reason": "must be true or false, not a text"}],
        )
    async with running(settings, kinds):
        await desk.write("m3", "@alice")
        await desk.all_have("SUPPRESSED", 3)
        # Who deletes it means it.
        await desk.database.put({"_id": "notifications", "_rev": await rev_of(desk, "notifications"), "_deleted": True})
        await desk.write("m4", "@alice")
        await desk.until(lambda found: [d["status"] for d in found] == ["COMPLETE"], "m4")
    assert postbox.bodies() == ["hello"]


async def rev_of(desk: Desk, doc_id: str) -> JsonValue:
    return (await desk.document(doc_id))["_rev"]


async def test_what_falls_into_quiet_hours_is_held_through_a_crash_and_critical_is_not(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    quiet: JsonObject = {"start": clock(-timedelta(hours=1)), "end": clock(timedelta(hours=1))}
    await save(desk, "recipient:alice", {"addresses": {"postbox": "alice"}, "time_zone": "Etc/UTC"})
    await save(desk, "preferences:alice", {"quiet_hours": quiet})
    settings = settings_for(couchdb_settings, kinds)
    async with running_until_killed(settings, kinds):
        for number in range(3):
            await desk.write(f"m{number}", "@alice", f"held {number}")
        await desk.write("urgent", "@alice", "urgent", priority="critical")
        await desk.until(lambda found: [d["status"] for d in found] == ["COMPLETE"], "urgent")
        held = await desk.until(lambda found: len(found) == 4)
    waiting = [d for d in held if d["message_id"] != "urgent"]
    assert {(d["status"], error_code(d), d["rule"]) for d in waiting} == {
        ("PENDING", "quiet_hours", "preferences:alice quiet_hours")
    }
    ends = [from_text(str(d["next_attempt_at"])) for d in waiting]
    assert ends == sorted(ends), "they leave in the order in which they came"
    assert all(timedelta(minutes=58) < end - utc_now() < timedelta(minutes=61) for end in ends)
    assert postbox.bodies() == ["urgent"]
    # The hours go by: what waited is due now, as the documents say it.
    for number, document in enumerate(waiting):
        due = utc_now() + timedelta(milliseconds=number)
        await desk.database.put({**document, "next_attempt_at": to_text(due)})
    async with running(settings, kinds):
        found = await desk.all_have("COMPLETE", 4)
    assert postbox.bodies() == ["urgent", "held 0", "held 1", "held 2"]
    assert all(outcomes(d) == ["sent"] for d in found)


async def test_a_message_waits_for_a_user_who_is_not_there_yet(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await save(desk, "recipient:alice", {"addresses": {"postbox": "alice"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m", ["@alice", "@bob"], customer_id="acme")
        found = await desk.until(lambda found: {d["status"] for d in found} == {"COMPLETE", "UNROUTABLE"})
        (waiting,) = (d for d in found if d["status"] == "UNROUTABLE")
        assert (waiting["groups"], error_code(waiting)) == (["@bob"], "unknown_user")
        await save(desk, "recipient:bob", {"addresses": {"postbox": "bob"}, "customers": ["acme"]})
        # Sooner than the sweep would find it.
        found = await desk.all_have("COMPLETE", 2, timeout_seconds=8)
    assert by_target(found) == {"alice": "COMPLETE", "bob": "COMPLETE"}


async def test_an_address_is_found_again_after_a_restart_though_it_is_a_secret(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.secret_kind()}
    quiet: JsonObject = {"start": clock(-timedelta(hours=1)), "end": clock(timedelta(hours=1))}
    await save(desk, "recipient:alice", {"addresses": {"postbox": "secret-address"}})
    await save(desk, "preferences:alice", {"quiet_hours": quiet})
    settings = settings_for(couchdb_settings, kinds)
    async with running(settings, kinds):
        await desk.write("m", "@alice")
        (held,) = await desk.until(lambda found: len(found) == 1)
    assert "secret" not in str(held)
    await desk.database.put({**held, "next_attempt_at": to_text(utc_now())})
    async with running(settings, kinds):
        await desk.all_have("COMPLETE", 1)
    assert [o.target.address for o in postbox.arrived] == ["secret-address"]
