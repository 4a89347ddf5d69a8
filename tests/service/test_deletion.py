"""A message document that is deleted: what was not begun ends CANCELLED at once, and what went out stays as it is."""

import asyncio
from collections import Counter

import pytest

from router.channels.base import Outcome, Outgoing, Rejected, Retry, Scope, Sent
from router.couch import design
from router.documents.json_types import JsonObject
from router.settings import ChannelSettings, CouchDBSettings, RetrySettings
from tests.peers.gate import gate_before
from tests.peers.postbox import Postbox, after, say
from tests.service.running import QUICK_RETRY, Desk, error_code, outcomes, running, settings_for

DEADLINE_SECONDS = 20.0
FAR_SECONDS = 600.0
"""When it would be due again: much later than the test waits."""


async def delete(desk: Desk, *message_ids: str) -> None:
    """Delete these messages in one request."""
    found = await desk.database.get_many(list(message_ids))
    await desk.database.bulk([{"_id": name, "_rev": found[name]["_rev"], "_deleted": True} for name in message_ids])


async def delete_and_see(desk: Desk, postbox: Postbox) -> None:
    """Delete m1, and return once that has been seen to: one that comes behind the deletion has gone out."""
    await delete(desk, "m1")
    await desk.write("m2", "#b")
    await postbox.wait_for(2)


def statuses(found: list[JsonObject]) -> dict[str, int]:
    return Counter(str(d["status"]) for d in found)


async def until_cancelled(desk: Desk, count: int) -> None:
    """Until so many deliveries are. Asks less of CouchDB than to read all their documents again and again."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            rows = await desk.database.view(design.NAME, design.BY_MESSAGE)
            if sum(row.value == "CANCELLED" for row in rows) >= count:
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("behind", ["the same target", "another target"])
async def test_what_waits_in_the_lane_behind_another_ends_at_once_and_is_never_sent(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, behind: str
) -> None:
    gate = asyncio.Event()
    postbox.answers["one"] = [after(gate, Sent("first"))]
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}, "#b": {"postbox": "one" if behind == "the same target" else "two"}})
    settings = settings_for(couchdb_settings, kinds, ChannelSettings(concurrency=1), pending_after_seconds=60)
    async with running(settings, kinds):
        await desk.write("first", "#a")
        await postbox.wait_for(1)
        for name in ("second", "third"):
            await desk.write(name, "#b", name)
        await delete(desk, "second")
        [cancelled] = await desk.all_have("CANCELLED", 1, timeout_seconds=DEADLINE_SECONDS)
        assert cancelled["message_id"] == "second"
        assert error_code(cancelled) == "message_deleted"
        assert (cancelled["attempts"], cancelled["next_attempt_at"]) == ([], None)
        assert not gate.is_set()
        gate.set()
        found = await desk.until(
            lambda d: sum(x["status"] == "COMPLETE" for x in d) == 2, timeout_seconds=DEADLINE_SECONDS
        )
    assert statuses(found) == {"COMPLETE": 2, "CANCELLED": 1}
    assert postbox.bodies() == ["hello", "third"]


@pytest.mark.parametrize("first", [Retry("later", after_seconds=FAR_SECONDS), Rejected("bad token", Scope.CHANNEL)])
async def test_what_waits_in_couchdb_for_a_retry_ends_at_once_not_only_when_it_is_due(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, first: Outcome
) -> None:
    postbox.always = say(first)
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    channel = ChannelSettings(retry=RetrySettings(base_seconds=FAR_SECONDS, max_delay_seconds=FAR_SECONDS))
    async with running(settings_for(couchdb_settings, kinds, channel), kinds):
        await desk.write("m1", "#a")
        [waiting] = await desk.until(lambda d: bool(d and d[0]["attempts"]), timeout_seconds=DEADLINE_SECONDS)
        assert waiting["status"] == "PENDING"
        await delete(desk, "m1")
        [delivery] = await desk.all_have("CANCELLED", 1, timeout_seconds=DEADLINE_SECONDS)
    assert error_code(delivery) == "message_deleted"
    assert delivery["attempts"] == waiting["attempts"]
    assert delivery["next_attempt_at"] is None
    assert len(postbox.arrived) == 1


async def test_what_is_deleted_while_its_intent_is_written_does_not_say_that_an_attempt_began(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    postbox.answers["one"] = [say(Retry("busy", code=503, after_seconds=0.5))]
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}, "#b": {"postbox": "two"}})
    async with gate_before(couchdb_settings.url) as gate:
        through = couchdb_settings.model_copy(update={"url": gate.url})
        async with running(settings_for(through, kinds, ChannelSettings(retry=QUICK_RETRY)), kinds):
            await desk.write("m1", "#a")
            await desk.until(lambda d: [outcomes(x) for x in d] == [["retry"]], timeout_seconds=DEADLINE_SECONDS)
            async with asyncio.timeout(DEADLINE_SECONDS):
                await gate.refuse_documents().wait()
            await delete_and_see(desk, postbox)
            gate.guard = None
            found = await desk.until(
                lambda d: statuses(d) == {"CANCELLED": 1, "COMPLETE": 1}, timeout_seconds=DEADLINE_SECONDS
            )
    assert sorted(map(outcomes, found)) == [["retry"], ["sent"]]
    assert len(postbox.arrived) == 2


async def test_a_message_without_a_route_is_cancelled_too(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#nobody")
        await desk.all_have("UNROUTABLE", 1, timeout_seconds=DEADLINE_SECONDS)
        await delete(desk, "m1")
        await desk.all_have("CANCELLED", 1, timeout_seconds=DEADLINE_SECONDS)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Sent("it"), "COMPLETE"), (Rejected("no such mailbox", Scope.TARGET), "FAILED")],
    ids=["sent", "refused"],
)
async def test_the_outcome_of_an_attempt_under_way_stands(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, outcome: Outcome, status: str
) -> None:
    gate = asyncio.Event()
    postbox.answers["one"] = [after(gate, outcome)]
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": ["one"]}, "#b": {"postbox": "two"}})
    async with running(settings_for(couchdb_settings, kinds, pending_after_seconds=60), kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(1)
        await delete_and_see(desk, postbox)
        gate.set()
        found = await desk.until(
            lambda d: len(d) == 2 and all(x["status"] != "PENDING" for x in d), timeout_seconds=DEADLINE_SECONDS
        )
    assert found[0]["status"] == status
    assert len(outcomes(found[0])) == 1
    assert len(postbox.arrived) == 2


@pytest.mark.parametrize("pauses", [None, Scope.TARGET])
async def test_an_attempt_under_way_that_fails_is_not_made_again(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, pauses: Scope | None
) -> None:
    gate = asyncio.Event()
    postbox.answers["one"] = [after(gate, Retry("busy", code=503, after_seconds=0.3, pauses=pauses))]
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}, "#b": {"postbox": "two"}})
    async with running(settings_for(couchdb_settings, kinds, ChannelSettings(retry=QUICK_RETRY)), kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(1)
        await delete_and_see(desk, postbox)
        gate.set()
        found = await desk.until(
            lambda d: sorted(str(x["status"]) for x in d) == ["CANCELLED", "COMPLETE"],
            timeout_seconds=DEADLINE_SECONDS,
        )
    assert outcomes(found[0]) == ["retry"]
    assert postbox.bodies("one") == ["hello"]


async def test_what_was_sent_is_left_alone(couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": ["one", "two"]}})
    postbox.answers["two"] = [say(Rejected("no such mailbox", Scope.TARGET))]
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        before = await desk.until(
            lambda d: len(d) == 2 and all(x["status"] != "PENDING" for x in d), timeout_seconds=DEADLINE_SECONDS
        )
        await delete(desk, "m1")
        await desk.write("m2", "#a")
        await postbox.wait_for(4)
        await desk.until(lambda d: len(d) == 4, timeout_seconds=DEADLINE_SECONDS)
        assert await desk.deliveries("m1") == before


async def test_of_a_message_with_many_targets_those_not_begun_are_cancelled(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    """Most of the targets do not even fit in the lane's window."""
    gate = asyncio.Event()
    quick = 40

    async def answer(_: Outgoing) -> Outcome:
        if len(postbox.arrived) > quick:
            await gate.wait()
        return Sent(None)

    postbox.always = answer
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": [f"t{n}" for n in range(300)]}})
    async with running(settings_for(couchdb_settings, kinds, window=60), kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(quick + 8, timeout_seconds=DEADLINE_SECONDS)
        await delete(desk, "m1")
        await until_cancelled(desk, 300 - quick - 8)
        gate.set()
        found = await desk.until(
            lambda d: statuses(d) == {"COMPLETE": quick + 8, "CANCELLED": 300 - quick - 8},
            timeout_seconds=DEADLINE_SECONDS,
        )
    assert len(postbox.arrived) == quick + 8
    sent = {o.delivery_id for o in postbox.arrived}
    assert {str(d["_id"]) for d in found if d["status"] == "COMPLETE"} == sent


async def test_many_deletions_in_one_batch(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test holds attempts back; what waits behind them is not to go elsewhere for that.
    monkeypatch.setattr("router.delivery.throttle.SLOW_SECONDS", 60.0)
    gate = asyncio.Event()
    postbox.always = after(gate, Sent(None))
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": ["one", "two"]}})
    names = [f"m{number:03}" for number in range(80)]
    async with running(settings_for(couchdb_settings, kinds, window=50), kinds):
        await desk.database.bulk([{"_id": name, "content": {"to": "#a", "body": name}} for name in names])
        await postbox.wait_for(2)
        begun = {str(body) for body in postbox.bodies()}
        await delete(desk, *names[:-10])
        expected = 2 * len(set(names[:-10]) - begun)
        await until_cancelled(desk, expected)
        gate.set()
        found = await desk.until(
            lambda d: len(d) == 160 and not statuses(d)["PENDING"], timeout_seconds=DEADLINE_SECONDS
        )
    complete = {str(d["_id"]) for d in found if d["status"] == "COMPLETE"}
    assert complete == {o.delivery_id for o in postbox.arrived}
    assert {str(d["message_id"]) for d in found if d["status"] == "COMPLETE"} == begun | set(names[-10:])
    assert statuses(found) == {"COMPLETE": len(complete), "CANCELLED": 160 - len(complete)}
