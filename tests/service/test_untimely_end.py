"""A router that is killed in the middle of an attempt, or stopped before one ends: the documents say what nobody can know."""

import asyncio
from dataclasses import replace

import pytest

from router.channels.base import ChannelKind, Retry, Sent
from router.documents.json_types import JsonObject
from router.settings import ChannelSettings, CouchDBSettings, Settings
from tests.peers.gate import gate_before
from tests.peers.postbox import Postbox, after, say
from tests.service.running import QUICK_RETRY, Desk, error_code, outcomes, running, running_until_killed, settings_for

DEADLINE_SECONDS = 20.0
RESEND = ChannelSettings(retry=QUICK_RETRY)
HOLD = ChannelSettings(retry=QUICK_RETRY, on_uncertain="hold")

Kinds = dict[str, ChannelKind[ChannelSettings]]


def kinds_of(postbox: Postbox, *, tells_repeats: bool = False) -> Kinds:
    return {"postbox": replace(postbox.kind(), tells_repeats=tells_repeats)}


def reasons(delivery: JsonObject) -> list[str]:
    attempts = delivery["attempts"]
    assert isinstance(attempts, list)
    return [str(a["reason"]) for a in attempts if isinstance(a, dict)]


def one_at_a_time(couchdb_settings: CouchDBSettings, kinds: Kinds, channel: ChannelSettings) -> Settings:
    """A lane with one slot, which is hardly waited for when the router stops."""
    channel = channel.model_copy(update={"concurrency": 1})
    return settings_for(couchdb_settings, kinds, channel, pending_after_seconds=60, grace_seconds=0.1)


def never(postbox: Postbox, address: str = "one") -> None:
    """The next send to the address arrives and has no end."""
    postbox.answers[address].append(after(asyncio.Event(), Sent("never")))


async def killed_in_the_middle(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, kinds: Kinds, channel: ChannelSettings
) -> None:
    """A router that is killed while its first attempt, which arrived, has no document yet."""
    await desk.map({"#a": {"postbox": "one"}})
    never(postbox)
    # Long enough that it is not written down as PENDING first.
    settings = settings_for(couchdb_settings, kinds, channel, pending_after_seconds=60)
    async with running_until_killed(settings, kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(1)
    assert len(postbox.arrived) == 1


@pytest.mark.parametrize(
    ("tells_repeats", "expected"), [(False, ["uncertain", "sent"]), (True, ["sent"])], ids=["slack-like", "matrix-like"]
)
async def test_a_first_attempt_cut_off_by_a_kill_is_made_again_and_admitted_where_a_repeat_cannot_be_told(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, tells_repeats: bool, expected: list[str]
) -> None:
    kinds = kinds_of(postbox, tells_repeats=tells_repeats)
    await killed_in_the_middle(couchdb_settings, desk, postbox, kinds, RESEND)
    assert await desk.deliveries() == []
    async with running(settings_for(couchdb_settings, kinds, RESEND), kinds):
        [delivery] = await desk.all_have("COMPLETE", 1, timeout_seconds=DEADLINE_SECONDS)
    assert outcomes(delivery) == expected
    assert len({o.uuid for o in postbox.arrived}) == 1
    assert len(postbox.arrived) == 2
    if not tells_repeats:
        assert "may have been sent" in reasons(delivery)[0]
        assert delivery["retries"] == 0


async def test_what_was_not_even_begun_is_marked_too_and_ends_complete(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    """Nobody knows which of those without a document were begun: each of them is marked, none is lost."""
    kinds = kinds_of(postbox)
    await desk.map({"#a": {"postbox": ["one", "two"]}})
    never(postbox)
    settings = settings_for(couchdb_settings, kinds, RESEND, pending_after_seconds=60)
    async with running_until_killed(settings, kinds):
        for number in range(5):
            await desk.write(f"m{number}", "#a", str(number))
        await desk.until(lambda d: sum(x["status"] == "COMPLETE" for x in d) == 5, timeout_seconds=DEADLINE_SECONDS)
    async with running(settings, kinds):
        found = await desk.all_have("COMPLETE", 10, timeout_seconds=DEADLINE_SECONDS)
    assert {tuple(outcomes(d)) for d in found if d["target"] == "two"} == {("sent",)}
    assert {tuple(outcomes(d)) for d in found if d["target"] == "one"} == {("uncertain", "sent")}
    assert len(postbox.bodies("two")) == 5


@pytest.mark.parametrize("channel", [RESEND, HOLD], ids=["resend", "hold"])
async def test_after_a_clean_stop_nothing_is_in_doubt(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, channel: ChannelSettings
) -> None:
    kinds = kinds_of(postbox)
    await desk.map({"#a": {"postbox": "one"}})
    settings = settings_for(couchdb_settings, kinds, channel)
    async with running(settings, kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(1)
    await desk.write("m2", "#a")
    async with running(settings, kinds):
        await desk.write("m3", "#a")
        found = await desk.all_have("COMPLETE", 3, timeout_seconds=DEADLINE_SECONDS)
    assert [outcomes(d) for d in found] == [["sent"]] * 3
    assert len(postbox.arrived) == 3


async def test_what_is_written_many_rows_after_the_restart_is_not_in_doubt(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = kinds_of(postbox)
    await killed_in_the_middle(couchdb_settings, desk, postbox, kinds, RESEND)
    async with running(settings_for(couchdb_settings, kinds, RESEND), kinds):
        await desk.all_have("COMPLETE", 1, timeout_seconds=DEADLINE_SECONDS)
        # More rows go by than can have been mixed with those that were there at the start.
        await desk.database.bulk([{"_id": f"other-{number}"} for number in range(200)])
        await desk.write("m2", "#a")
        found = await desk.all_have("COMPLETE", 2, timeout_seconds=DEADLINE_SECONDS)
    assert [outcomes(d) for d in found] == [["uncertain", "sent"], ["sent"]]


@pytest.mark.parametrize(
    ("channel", "tells_repeats", "status", "expected", "arrived"),
    [
        (RESEND, False, "COMPLETE", ["retry", "uncertain", "sent"], 3),
        (HOLD, False, "UNCERTAIN", ["retry", "uncertain"], 2),
        (RESEND, True, "COMPLETE", ["retry", "sent"], 3),
    ],
    ids=["resend", "hold", "tells repeats"],
)
async def test_a_retry_cut_off_by_a_kill_is_admitted_by_its_intent(
    couchdb_settings: CouchDBSettings,
    desk: Desk,
    postbox: Postbox,
    channel: ChannelSettings,
    tells_repeats: bool,
    status: str,
    expected: list[str],
    arrived: int,
) -> None:
    kinds = kinds_of(postbox, tells_repeats=tells_repeats)
    await desk.map({"#a": {"postbox": "one"}})
    postbox.answers["one"] = [say(Retry("busy", code=503))]
    never(postbox)
    settings = settings_for(couchdb_settings, kinds, channel, pending_after_seconds=60)
    async with running_until_killed(settings, kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(2)
        [begun] = await desk.deliveries()
    assert outcomes(begun) == (["retry"] if tells_repeats else ["retry", "started"])
    async with running(settings, kinds):
        [delivery] = await desk.all_have(status, 1, timeout_seconds=DEADLINE_SECONDS)
    assert outcomes(delivery) == expected
    assert len(postbox.arrived) == arrived
    if status == "UNCERTAIN":
        assert error_code(delivery) == "uncertain"


async def test_a_slow_first_attempt_that_was_written_down_is_admitted(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = kinds_of(postbox)
    await desk.map({"#a": {"postbox": "one"}})
    never(postbox)
    settings = settings_for(couchdb_settings, kinds, RESEND, pending_after_seconds=0.05)
    async with running_until_killed(settings, kinds):
        await desk.write("m1", "#a")
        [pending] = await desk.all_have("PENDING", 1, timeout_seconds=DEADLINE_SECONDS)
        assert outcomes(pending) == ["started"]
    async with running(settings, kinds):
        [delivery] = await desk.all_have("COMPLETE", 1, timeout_seconds=DEADLINE_SECONDS)
    assert outcomes(delivery) == ["uncertain", "sent"]
    assert "in the middle of this attempt" in reasons(delivery)[0]


@pytest.mark.parametrize(
    ("channel", "tells_repeats", "status", "outcome"),
    [
        (RESEND, False, "PENDING", "uncertain"),
        (HOLD, False, "UNCERTAIN", "uncertain"),
        (RESEND, True, "PENDING", "retry"),
        (HOLD, True, "PENDING", "retry"),
    ],
    ids=["resend", "hold", "tells repeats", "hold, tells repeats"],
)
async def test_an_attempt_that_outlasts_the_grace_of_a_stop_is_recorded_as_what_it_is(
    couchdb_settings: CouchDBSettings,
    desk: Desk,
    postbox: Postbox,
    channel: ChannelSettings,
    tells_repeats: bool,
    status: str,
    outcome: str,
) -> None:
    kinds = kinds_of(postbox, tells_repeats=tells_repeats)
    await desk.map({"#a": {"postbox": ["one", "two", "three"]}})
    never(postbox)
    never(postbox, "two")
    # One has a place, and is being sent; the other two wait for theirs, and are cut off as well.
    settings = one_at_a_time(couchdb_settings, kinds, channel)
    async with running(settings, kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(1)
    [delivery] = await desk.deliveries()
    assert (delivery["status"], outcomes(delivery)) == (status, [outcome])
    assert "stopped in the middle" in reasons(delivery)[0]
    postbox.answers.clear()
    async with running(settings, kinds):
        found = await desk.until(
            lambda d: len(d) == 3 and not [x for x in d if x["status"] == "PENDING"], timeout_seconds=DEADLINE_SECONDS
        )
    # The stop was a clean one: of the two that were never begun, nobody says that they might have been.
    ends = ["uncertain"] if status == "UNCERTAIN" else [outcome, "sent"]
    assert sorted(map(outcomes, found), key=str) == sorted([ends, ["sent"], ["sent"]], key=str)


@pytest.mark.parametrize(("channel", "announced"), [(RESEND, 3), (HOLD, 1)], ids=["resend", "hold"])
async def test_intents_are_written_while_others_are_sent_and_taken_back_by_a_stop(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, channel: ChannelSettings, announced: int
) -> None:
    """CouchDB need not be waited for between two sends; but under `hold` an admin would have to judge each of them."""
    kinds = kinds_of(postbox)
    addresses = ("one", "two", "three")
    await desk.map({"#a": {"postbox": list(addresses)}})
    for address in addresses:
        postbox.answers[address] = [say(Retry("busy", code=503))]
        never(postbox, address)
    settings = one_at_a_time(couchdb_settings, kinds, channel)
    async with running(settings, kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(4)
        begun = await desk.until(
            lambda d: [outcomes(x)[-1] for x in d].count("started") == announced, timeout_seconds=DEADLINE_SECONDS
        )
    assert sorted(map(outcomes, begun)) == sorted(
        [["retry", "started"]] * announced + [["retry"]] * (len(addresses) - announced)
    )
    stopped = await desk.deliveries()
    assert sorted(map(outcomes, stopped)) == [["retry"], ["retry"], ["retry", "uncertain"]]
    postbox.answers.clear()
    async with running(settings, kinds):
        found = await desk.until(
            lambda d: not [x for x in d if x["status"] == "PENDING"], timeout_seconds=DEADLINE_SECONDS
        )
    sent = [d for d in found if d["status"] == "COMPLETE"]
    assert [outcomes(d) for d in sent if "uncertain" not in outcomes(d)] == [["retry", "sent"]] * 2


async def test_one_that_waits_for_its_intent_to_be_written_when_the_router_stops_was_not_sent(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    """Nothing has left yet, so nothing is uncertain."""
    kinds = kinds_of(postbox)
    await desk.map({"#a": {"postbox": "one"}})
    async with gate_before(couchdb_settings.url) as gate:
        through = couchdb_settings.model_copy(update={"url": gate.url})
        settings = settings_for(through, kinds, HOLD, grace_seconds=0.2)
        async with running(settings, kinds):
            refused = gate.refuse_documents()
            await desk.write("m1", "#a")
            async with asyncio.timeout(DEADLINE_SECONDS):
                await refused.wait()
            asyncio.get_running_loop().call_later(1.0, setattr, gate, "guard", None)
        assert postbox.arrived == []
        async with running(settings_for(couchdb_settings, kinds, HOLD), kinds):
            [delivery] = await desk.until(
                lambda d: bool(d) and d[0]["status"] != "PENDING", timeout_seconds=DEADLINE_SECONDS
            )
    assert (delivery["status"], outcomes(delivery)) == ("COMPLETE", ["sent"])
