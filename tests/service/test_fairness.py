"""No message twice and no target kept waiting by another, whatever apps and targets do."""

import asyncio

import pytest

from router.channels.base import Outcome, Outgoing, Rejected, Scope, Sent, Uncertain
from router.settings import ChannelSettings, CouchDBSettings
from tests.peers.postbox import Postbox, after, say
from tests.service.running import QUICK_RETRY, Desk, error_code, outcomes, running, settings_for


async def test_an_edit_right_behind_a_message_sends_nothing_twice(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    """An app that writes a document and then attaches a file to it writes two revisions within a moment."""

    async def a_little_later(_: Outgoing) -> Outcome:
        await asyncio.sleep(0.003)
        return Sent(None)

    postbox.always = a_little_later
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": ["one", "two"]}})
    count = 100
    async with running(settings_for(couchdb_settings, kinds), kinds):
        for number in range(count):
            rev = await desk.write(f"m{number}", "#a")
            await desk.database.put({"_id": f"m{number}", "_rev": rev, "content": {"to": "#a", "body": "x"}, "n": 1})
        await desk.all_have("COMPLETE", 2 * count, timeout_seconds=20)
        # One more goes through the feed behind them all: whatever was to come of the edits has come by then.
        await desk.write("last", "#a")
        await desk.all_have("COMPLETE", 2 * count + 2)
    assert len(postbox.arrived) == 2 * count + 2


async def test_a_target_with_a_flood_at_its_rate_keeps_no_other_waiting(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "flooded"}, "#b": {"postbox": "quiet"}})
    channel = ChannelSettings(retry=QUICK_RETRY, target_rate_per_second=2)
    async with running(settings_for(couchdb_settings, kinds, channel, window=20), kinds):
        await desk.database.bulk([{"_id": f"a{n:02}", "content": {"to": "#a", "body": str(n)}} for n in range(60)])
        await postbox.wait_for(1)
        await desk.write("b", "#b")
        await desk.until(
            lambda d: any(x["target"] == "quiet" and x["status"] == "COMPLETE" for x in d), timeout_seconds=3
        )
        assert len(postbox.bodies("flooded")) < 15


async def test_a_flood_at_its_rate_leaves_in_order_and_at_the_rate(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "flooded"}})
    channel = ChannelSettings(retry=QUICK_RETRY, target_rate_per_second=10)
    async with running(settings_for(couchdb_settings, kinds, channel), kinds):
        began = asyncio.get_running_loop().time()
        await desk.database.bulk([{"_id": f"a{n:02}", "content": {"to": "#a", "body": str(n)}} for n in range(80)])
        await desk.all_have("COMPLETE", 80, timeout_seconds=20)
        took = asyncio.get_running_loop().time() - began
    assert took >= 7.8
    assert len(postbox.arrived) == 80


async def test_a_target_that_hangs_keeps_no_other_waiting(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "hangs"}, "#b": {"postbox": "healthy"}})
    postbox.answers["hangs"] = [after(asyncio.Event(), Sent(None)) for _ in range(60)]
    async with running(settings_for(couchdb_settings, kinds, window=20, grace_seconds=0.1), kinds):
        await desk.database.bulk([{"_id": f"a{n:02}", "content": {"to": "#a", "body": str(n)}} for n in range(40)])
        await postbox.wait_for(1)
        for number in range(5):
            await desk.write(f"b{number}", "#b", str(number))
        await desk.until(
            lambda d: sum(x["target"] == "healthy" and x["status"] == "COMPLETE" for x in d) == 5, timeout_seconds=8
        )
        await desk.until(lambda d: sum(x["status"] == "PENDING" for x in d) == 40)


async def test_what_may_have_arrived_is_never_called_failed(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [say(Uncertain("no answer")), say(Rejected("gone", Scope.TARGET))]
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a")
        [delivery] = await desk.all_have("UNCERTAIN", 1)
    assert outcomes(delivery) == ["uncertain", "rejected"]
    assert error_code(delivery) == "rejected_target"
    assert "may have arrived" in str(delivery["error"])


async def test_what_the_other_side_says_back_holds_no_secret_in_a_document(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    settings = settings_for(couchdb_settings, kinds, slack={"bot_token": "xoxb-very-secret"})
    postbox.answers["one"] = [say(Rejected("token xoxb-very-secret is bad", Scope.TARGET, code="xoxb-very-secret"))]
    async with running(settings, kinds):
        await desk.write("m1", "#a")
        [delivery] = await desk.all_have("FAILED", 1)
    assert "xoxb-very-secret" not in str(delivery)
    assert "token [hidden] is bad" in str(delivery["error"])


async def test_large_messages_do_not_fill_the_memory(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.delivery.window.WINDOW_CHARS", 300_000)
    gate = asyncio.Event()
    postbox.always = after(gate, Sent(None))
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": [f"t{n}" for n in range(12)]}})
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m1", "#a", "x" * 100_000)
        await desk.all_have("PENDING", 12)
        assert len(postbox.arrived) == 3
        gate.set()
        await desk.all_have("COMPLETE", 12)
