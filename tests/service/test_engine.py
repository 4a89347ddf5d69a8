"""The delivery engine from outside: retries, pauses, windows, restarts, on a real CouchDB with a channel that obeys."""

import asyncio

import pytest

from router.channels.base import Outcome, Outgoing, Rejected, Retry, Scope, Sent, Uncertain, Waiting
from router.documents.json_types import JsonObject
from router.settings import ChannelSettings, CouchDBSettings, RetrySettings
from tests.peers.postbox import Postbox, after, say
from tests.service.running import QUICK_RETRY, Desk, error_code, outcomes, running, running_until_killed, settings_for


def assert_in_order(postbox: Postbox, found: list[JsonObject], address: str, count: int) -> None:
    """First attempts for `address` left in the order in which the feed gave the messages: a real CouchDB's feed is not in
    the order of writing."""
    routed_at = {str(d["message_id"]): str(d["created_at"]) for d in found}
    message_of = {str(d["_id"]): str(d["message_id"]) for d in found}
    left = list(dict.fromkeys(message_of[o.delivery_id] for o in postbox.arrived if o.target.address == address))
    assert len(left) == count
    assert [routed_at[m] for m in left] == sorted(routed_at[m] for m in left)


async def test_a_failed_attempt_is_made_again_with_the_same_identity(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [say(Retry("not now", code=503)), say(Retry("still not", code=502)), say(Sent("it"))]
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        [delivery] = await desk.all_have("COMPLETE", 1)
    assert outcomes(delivery) == ["retry", "retry", "sent"]
    assert delivery["retries"] == 2
    assert delivery["reference"] == "it"
    assert len({o.uuid for o in postbox.arrived}) == 1
    assert delivery["uuid"] == str(postbox.arrived[0].uuid)


async def test_retries_run_out(couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.always = say(Retry("no such luck", code=500))
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        [delivery] = await desk.all_have("FAILED", 1)
    assert error_code(delivery) == "retries_exhausted"
    assert "no such luck" in str(delivery["error"])
    assert len(postbox.arrived) == 1 + QUICK_RETRY.max_retries


async def test_age_runs_out(couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.always = say(Rejected("bad token", Scope.CHANNEL, code=401))
    channel = ChannelSettings(retry=RetrySettings(base_seconds=0.1, max_delay_seconds=0.1, max_age_seconds=2))
    async with running(settings_for(couchdb_settings, kinds, channel), kinds):
        await desk.write("m1", "#a")
        [delivery] = await desk.all_have("FAILED", 1)
    assert error_code(delivery) == "too_old"
    assert len(postbox.arrived) > 2


@pytest.mark.parametrize("scope", [Scope.MESSAGE, Scope.TARGET])
async def test_a_refusal_for_good_is_not_tried_again(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, scope: Scope
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": ["one", "two"]}})
    postbox.answers["one"] = [say(Rejected("no such mailbox", scope, code=550))]
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        found = await desk.until(lambda d: {x["status"] for x in d} == {"FAILED", "COMPLETE"})
    failed = next(d for d in found if d["status"] == "FAILED")
    assert error_code(failed) == f"rejected_{scope}"
    assert len(postbox.arrived) == 2


async def test_a_fault_in_a_channel_is_a_retry_and_stops_nobody(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    async def fault(_: Outgoing) -> Outcome:
        raise ZeroDivisionError

    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": ["one", "two"]}})
    postbox.answers["one"] = [fault]
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        found = await desk.all_have("COMPLETE", 2)
    assert sorted(map(outcomes, found)) == [["retry", "sent"], ["sent"]]


@pytest.mark.parametrize(("policy", "status", "sends"), [("resend", "COMPLETE", 2), ("hold", "UNCERTAIN", 1)])
async def test_an_uncertain_end_is_the_policys_to_decide(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, policy: str, status: str, sends: int
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [say(Uncertain("no answer"))]
    channel = ChannelSettings.model_validate({"retry": QUICK_RETRY, "on_uncertain": policy})
    async with running(settings_for(couchdb_settings, kinds, channel), kinds):
        await desk.write("m1", "#a")
        [delivery] = await desk.all_have(status, 1)
    assert outcomes(delivery)[0] == "uncertain"
    assert len(postbox.arrived) == sends


async def test_under_hold_a_crash_in_the_middle_is_held_too(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    never = asyncio.Event()
    postbox.answers["one"] = [after(never, Sent("never"))]
    channel = ChannelSettings(retry=QUICK_RETRY, on_uncertain="hold")
    settings = settings_for(couchdb_settings, kinds, channel)
    async with running_until_killed(settings, kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(1)
    async with running(settings, kinds):
        [delivery] = await desk.all_have("UNCERTAIN", 1)
    assert outcomes(delivery) == ["uncertain"]
    assert len(postbox.arrived) == 1


async def test_waiting_has_a_schedule_of_its_own_and_costs_no_retry(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [
        say(Waiting("no key yet", "WAITING_KEY_EXCHANGE", 0.6)),
        say(Waiting("taken, not through", "PENDING", 0.1, reference="tag-1")),
        say(Sent("tag-1")),
    ]
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        [waiting] = await desk.all_have("WAITING_KEY_EXCHANGE", 1)
        assert waiting["next_attempt_at"] is not None
        [delivery] = await desk.all_have("COMPLETE", 1)
    assert outcomes(delivery) == ["waiting", "waiting", "sent"]
    assert delivery["retries"] == 0
    assert [o.reference for o in postbox.arrived] == [None, None, "tag-1"]


async def test_a_request_to_slow_down_pauses_its_target_keeps_the_order_and_costs_no_retry(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}, "#b": {"postbox": "two"}})
    postbox.answers["one"] = [say(Retry("slow down", code=429, after_seconds=0.8, pauses=Scope.TARGET))]
    async with running(settings_for(couchdb_settings, kinds), kinds):
        for number in range(3):
            await desk.write(f"m{number}", "#a", str(number))
        await postbox.wait_for(1)
        await desk.write("other", "#b", "other")
        await desk.until(
            lambda d: any(x["target"] == "two" and x["status"] == "COMPLETE" for x in d), timeout_seconds=2
        )
        assert len(postbox.bodies("one")) == 1
        found = await desk.all_have("COMPLETE", 4)
    assert_in_order(postbox, found, "one", 3)
    first, second, *_ = [o.delivery_id for o in postbox.arrived if o.target.address == "one"]
    assert first == second
    paused = next(d for d in found if d["_id"] == first)
    assert outcomes(paused) == ["retry", "sent"]
    assert paused["retries"] == 0


async def test_a_long_pause_is_spent_in_couchdb_and_keeps_the_order(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.delivery.lane.LONGEST_WAIT_IN_MEMORY_SECONDS", 0.2)
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [say(Retry("slow down", code=429, after_seconds=1.5, pauses=Scope.CHANNEL))]
    settings = settings_for(couchdb_settings, kinds)
    async with running(settings, kinds):
        for number in range(8):
            await desk.write(f"m{number}", "#a", str(number))
        await desk.all_have("PENDING", 8, timeout_seconds=5)
    async with running(settings, kinds):  # What waits in CouchDB survives a restart.
        found = await desk.all_have("COMPLETE", 8)
    assert_in_order(postbox, found, "one", 8)
    assert len(postbox.arrived) == 9


async def test_a_rate_limit_spaces_the_messages_of_one_target(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    times: list[float] = []

    async def note(_: Outgoing) -> Outcome:
        times.append(asyncio.get_running_loop().time())
        return Sent(None)

    postbox.always = note
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    channel = ChannelSettings(target_rate_per_second=10, target_burst=2)
    async with running(settings_for(couchdb_settings, kinds, channel), kinds):
        for number in range(7):
            await desk.write(f"m{number}", "#a", str(number))
        found = await desk.all_have("COMPLETE", 7)
    # Two at once, then one every 0.1 s: any six in a row span at least (6 - 2) / 10 s.
    assert times[6] - times[1] >= 0.39
    assert_in_order(postbox, found, "one", 7)


async def test_one_dead_target_and_one_dead_channel_slow_nobody(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    dead = Postbox()
    dead.always = after(asyncio.Event(), Sent(None))
    kinds = {"postbox": postbox.kind(), "dead": dead.kind("dead")}
    postbox.answers["hangs"] = [after(asyncio.Event(), Sent(None))]
    await desk.map({"#a": {"postbox": ["one", "hangs"], "dead": ["x", "y"]}})
    settings = settings_for(couchdb_settings, kinds, grace_seconds=0.2)
    async with running(settings, kinds):
        for number in range(20):
            await desk.write(f"m{number}", "#a", str(number))
        await desk.until(
            lambda d: sum(x["target"] == "one" and x["status"] == "COMPLETE" for x in d) == 20, timeout_seconds=5
        )
        # What hangs is written down, so that an admin sees it and the checkpoint moves on.
        found = await desk.until(lambda d: sum(x["status"] == "PENDING" for x in d) == 60, timeout_seconds=5)
    assert_in_order(postbox, found, "one", 20)


async def test_what_does_not_fit_in_the_window_waits_in_couchdb_and_comes_back_in_order(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    gate = asyncio.Event()
    postbox.always = after(gate, Sent(None))
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds, window=5), kinds):
        for number in range(40):
            await desk.write(f"m{number:02}", "#a", str(number))
        await desk.all_have("PENDING", 40)
        gate.set()
        found = await desk.all_have("COMPLETE", 40)
    assert_in_order(postbox, found, "one", 40)


async def test_a_fan_out_to_many_targets_with_a_small_window(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": [f"t{n}" for n in range(300)]}})
    async with running(settings_for(couchdb_settings, kinds, window=20), kinds):
        await desk.write("m1", "#a")
        await desk.all_have("COMPLETE", 300, timeout_seconds=20)
    assert len(postbox.arrived) == 300
    assert len({o.target.address for o in postbox.arrived}) == 300


async def test_a_stop_finishes_what_is_in_flight(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    async def slowly(_: Outgoing) -> Outcome:
        await asyncio.sleep(0.3)
        return Sent("in time")

    postbox.always = slowly
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(1)
    [delivery] = await desk.deliveries()
    assert delivery["status"] == "COMPLETE"
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m2", "#a", "again")
        await desk.all_have("COMPLETE", 2)
    assert postbox.bodies("one") == ["hello", "again"]


async def test_nothing_is_lost_when_the_router_is_cut_off_again_and_again(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    async def a_little_later(_: Outgoing) -> Outcome:
        await asyncio.sleep(0.005)
        return Sent(None)

    postbox.always = a_little_later
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": ["one", "two", "three"]}})
    settings = settings_for(couchdb_settings, kinds)
    writer = asyncio.create_task(_write_many(desk, 150))
    for _ in range(6):
        async with running_until_killed(settings, kinds):
            await asyncio.sleep(0.25)
    await writer
    async with running(settings, kinds):
        await desk.all_have("COMPLETE", 450, timeout_seconds=20)
    arrived = {(o.delivery_id, o.uuid) for o in postbox.arrived}
    assert len(arrived) == 450


async def _write_many(desk: Desk, count: int) -> None:
    for number in range(count):
        await desk.write(f"m{number:03}", "#a", str(number))


async def test_a_message_deleted_before_it_went_out_is_cancelled(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [say(Retry("later", after_seconds=1.0))]
    async with running(settings_for(couchdb_settings, kinds), kinds):
        rev = await desk.write("m1", "#a")
        await desk.until(lambda d: bool(d) and d[0]["retries"] == 1)
        await desk.database.put({"_id": "m1", "_rev": rev, "_deleted": True})
        [delivery] = await desk.all_have("CANCELLED", 1)
    assert error_code(delivery) == "message_deleted"
    assert len(postbox.arrived) == 1


async def test_two_writers_of_one_document_are_merged(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    """Somebody else writes the document of a delivery that is in flight."""
    gate = asyncio.Event()
    postbox.answers["one"] = [after(gate, Sent("ours"))]
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        [pending] = await desk.all_have("PENDING", 1)
        theirs: JsonObject = {
            "at": "2026-01-01T00:00:00.000Z",
            "outcome": "retry",
            "code": 503,
            "reason": "theirs",
            "ms": 5,
        }
        await desk.database.put({**pending, "attempts": [theirs], "retries": 1})
        gate.set()
        [delivery] = await desk.all_have("COMPLETE", 1)
    assert outcomes(delivery) == ["retry", "sent"]
    assert delivery["retries"] == 1
    assert delivery["reference"] == "ours"


async def test_damaged_delivery_documents_stop_nobody_and_are_named(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [say(Retry("later", after_seconds=30))]
    settings = settings_for(couchdb_settings, kinds)
    async with running(settings, kinds):
        await desk.write("m1", "#a")
        [pending] = await desk.until(lambda d: bool(d) and d[0]["retries"] == 1)
    await desk.database.put({**pending, "next_attempt_at": "soon", "attempts": 7})
    await desk.database.put({"_id": "delivery:x", "type": "delivery", "status": "PENDING", "channel": "postbox"})
    await desk.database.put({"_id": "delivery:y", "type": "delivery", "status": "UNROUTABLE", "groups": "#a"})
    async with running(settings, kinds):
        await desk.write("m2", "#a", "good")
        found = await desk.until(lambda d: [x["status"] for x in d] == ["FAILED", "COMPLETE", "FAILED", "FAILED"])
    assert [error_code(d) for d in found if d["status"] == "FAILED"] == ["damaged_document"] * 3
    assert postbox.bodies() == ["hello", "good"]
