"""A lane under load: breakers, rates, priorities, order and bulkheads, on a real CouchDB with channels that obey."""

import asyncio
import gc
from collections import Counter
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from router.channels.base import ChannelKind, Outcome, Outgoing, Retry, Scope, Sent, Uncertain
from router.delivery.job import Job
from router.documents.json_types import JsonObject
from router.settings import BreakerSettings, ChannelSettings, CouchDBSettings, RetrySettings
from tests.peers.postbox import Answer, Postbox, after, say
from tests.service.running import QUICK_RETRY, Desk, outcomes, running, running_until_killed, settings_for

DEADLINE_SECONDS = 25.0
QUICK_BREAKER = BreakerSettings(failures=5, base_seconds=0.2, max_seconds=0.4)
PATIENT_RETRY = RetrySettings(base_seconds=0.05, max_delay_seconds=0.2, max_retries=100, max_age_seconds=60)

Logs = list[MutableMapping[str, Any]]


async def write_many(desk: Desk, to: str, prefix: str, count: int, **content: object) -> None:
    """So many messages in one request, each with its own name for a body."""
    names = [f"{prefix}{number:03}" for number in range(count)]
    await desk.database.bulk([{"_id": name, "content": {"to": to, "body": name, **content}} for name in names])  # type: ignore[dict-item]


def routed(logs: Logs) -> list[str]:
    """The messages in the order in which the feed gave them: on a real CouchDB that is not the order of writing."""
    return [str(entry["message_id"]) for entry in logs if entry["event"] == "message routed"]


def first_attempts(postbox: Postbox, address: str) -> list[str]:
    """The messages for an address in the order of their first attempts. Their bodies are their names."""
    return list(dict.fromkeys(str(body) for body in postbox.bodies(address)))


def revisions(found: list[JsonObject]) -> int:
    """How often these documents have been written."""
    return sum(int(str(d["_rev"]).split("-")[0]) for d in found)


class Host:
    """The server behind a postbox; it may be down."""

    def __init__(self) -> None:
        self.is_down = True
        self.refused = 0

    async def answer(self, _: Outgoing) -> Outcome:
        if self.is_down:
            self.refused += 1
            return Retry("connection refused", host_is_down=True)
        return Sent(None)


def noting(times: list[float]) -> Answer:
    async def answer(_: Outgoing) -> Outcome:
        times.append(asyncio.get_running_loop().time())
        return Sent(None)

    return answer


@pytest.fixture
def nobody_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits behind an attempt that the test holds back stays where it is."""
    monkeypatch.setattr("router.delivery.throttle.SLOW_SECONDS", 60.0)


# --- breakers


async def test_a_host_that_is_down_is_probed_and_nothing_is_lost_or_used_up(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    host = Host()
    postbox.always = host.answer
    kinds = {"postbox": postbox.kind()}
    await desk.map({f"#{n}": {"postbox": f"t{n}"} for n in range(5)})
    channel = ChannelSettings(retry=PATIENT_RETRY, breaker=QUICK_BREAKER)
    with capture_logs() as logs:
        async with running(settings_for(couchdb_settings, kinds, channel), kinds):
            for n in range(5):
                await write_many(desk, f"#{n}", f"m{n}-", 10)
            began = asyncio.get_running_loop().time()
            # Five failures open it, three more may be under way then.
            await postbox.wait_for(8 + 4, timeout_seconds=DEADLINE_SECONDS)
            took = asyncio.get_running_loop().time() - began
            probes = host.refused - 8
            assert probes <= 1 + took / (QUICK_BREAKER.base_seconds / 2)
            host.is_down = False
            found = await desk.all_have("COMPLETE", 50, timeout_seconds=DEADLINE_SECONDS)
    # What found out that it is down counts, what only found it still down does not.
    assert 5 <= sum(int(str(d["retries"])) for d in found) <= 8
    assert sum(outcomes(d).count("retry") for d in found) == host.refused
    assert sum(d["retries"] == 0 for d in found) >= 50 - host.refused
    assert max(Counter(o.delivery_id for o in postbox.arrived).values()) <= host.refused
    assert len(postbox.arrived) == 50 + host.refused
    order = routed(logs)
    for n in range(5):
        assert first_attempts(postbox, f"t{n}") == [name for name in order if name.startswith(f"m{n}-")]
    told = [entry for entry in logs if str(entry["event"]).startswith("the host")]
    assert [entry["event"] for entry in told if entry["log_level"] == "warning"] == [
        "the host does not work; it is left alone for a while"
    ]
    assert [str(entry["event"]) for entry in told].count("the host works again") == 1
    assert told[-1]["event"] == "the host works again"


async def test_it_is_tried_again_as_soon_as_the_settings_say(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    host = Host()
    postbox.always = host.answer
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": [f"t{n}" for n in range(20)]}})
    retry = RetrySettings(base_seconds=60, max_retries=5)
    breaker = BreakerSettings(failures=5, base_seconds=0.5, max_seconds=0.5)
    async with running(settings_for(couchdb_settings, kinds, ChannelSettings(retry=retry, breaker=breaker)), kinds):
        await desk.write("m1", "#a")
        await postbox.wait_for(5)
        host.is_down = False
        # Those that wait in memory, not the failed ones, whose time comes much later.
        await desk.until(lambda d: sum(x["status"] == "COMPLETE" for x in d) >= 12, timeout_seconds=4)


@pytest.fixture
def hosted(postbox: Postbox) -> ChannelKind[ChannelSettings]:
    """A postbox whose targets are `name@host`."""
    kind = postbox.kind()

    def parse(value: Any, settings: ChannelSettings) -> Any:
        return replace(kind.parse_target(value, settings), host=str(value).partition("@")[2])

    return replace(kind, parse_target=parse)


async def test_one_dead_host_is_nothing_to_the_others_of_its_lane(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, hosted: ChannelKind[ChannelSettings]
) -> None:
    dead = Host()

    async def answer(outgoing: Outgoing) -> Outcome:
        return await dead.answer(outgoing) if outgoing.target.host == "dead" else Sent(None)

    postbox.always = answer
    kinds = {"postbox": hosted}
    await desk.map({"#a": {"postbox": ["x@dead", "y@dead", "x@alive"]}})
    # The first pauses are short, so that what is for the dead host might as well wait in memory, where there is no room.
    channel = ChannelSettings(retry=PATIENT_RETRY, concurrency=2)
    async with running(settings_for(couchdb_settings, kinds, channel, window=40), kinds):
        await write_many(desk, "#a", "m", 40)
        async with asyncio.timeout(5), postbox.changed:
            await postbox.changed.wait_for(lambda: len(postbox.bodies("x@alive")) == 40)
        assert dead.refused <= 5 + 1 + 3
        dead.is_down = False
        await postbox.wait_for(120 + dead.refused, timeout_seconds=DEADLINE_SECONDS)
        found = await desk.all_have("COMPLETE", 120, timeout_seconds=DEADLINE_SECONDS)
    assert {tuple(outcomes(d)) for d in found if d["target"] == "x@alive"} == {("sent",)}
    assert len(postbox.arrived) == 120 + dead.refused


# --- rates


async def test_the_channels_rate_spaces_all_its_targets(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    times: list[float] = []
    postbox.always = noting(times)
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": ["one", "two", "three"]}})
    channel = ChannelSettings(rate_per_second=20, burst=3)
    async with running(settings_for(couchdb_settings, kinds, channel), kinds):
        await write_many(desk, "#a", "m", 5)
        await desk.all_have("COMPLETE", 15, timeout_seconds=DEADLINE_SECONDS)
    # Three at once, then one every 0.05 s, whichever the target.
    assert times[14] - times[0] >= 12 / 20 - 0.05
    assert all(times[n + 8] - times[n] >= 6 / 20 - 0.05 for n in range(7))


async def test_a_429_for_the_whole_channel_pauses_all_its_targets_and_costs_no_retry(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    times: list[float] = []
    postbox.always = noting(times)
    paused_at: list[float] = []

    async def slow_down(_: Outgoing) -> Outcome:
        paused_at.append(asyncio.get_running_loop().time())
        return Retry("slow down", code=429, after_seconds=1.0, pauses=Scope.CHANNEL)

    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": ["one", "two", "three"]}})
    postbox.answers["one"] = [slow_down]
    channel = ChannelSettings(retry=QUICK_RETRY, concurrency=1)
    async with running(settings_for(couchdb_settings, kinds, channel), kinds):
        await write_many(desk, "#a", "m", 4)
        found = await desk.all_have("COMPLETE", 12, timeout_seconds=DEADLINE_SECONDS)
    assert len(paused_at) == 1
    assert not [moment for moment in times if paused_at[0] < moment < paused_at[0] + 0.99]
    assert sum(moment > paused_at[0] for moment in times) >= 10
    assert {d["retries"] for d in found} == {0}
    assert sorted(map(outcomes, found), key=len)[-1] == ["retry", "sent"]


# --- priorities


@pytest.mark.usefixtures("nobody_is_slow")
async def test_critical_ones_pass_those_that_wait_and_low_ones_come_last(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    gate = asyncio.Event()
    postbox.always = after(gate, Sent(None))
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "t0"}, **{f"#{n}": {"postbox": f"t{n}"} for n in range(1, 7)}})
    channel = ChannelSettings(concurrency=1)
    async with running(settings_for(couchdb_settings, kinds, channel, pending_after_seconds=0.02), kinds):
        await desk.write("first", "#a", "first")
        await postbox.wait_for(1)
        await desk.write("low", "#1", "low", priority="low")
        await desk.all_have("PENDING", 2, timeout_seconds=DEADLINE_SECONDS)
        for n in range(1, 7):
            await desk.write(f"normal-{n}", f"#{n}", f"normal-{n}")
        await desk.all_have("PENDING", 8, timeout_seconds=DEADLINE_SECONDS)
        await desk.write("critical", "#a", "critical", priority="critical")
        # Its target has something in the queue already.
        await desk.write("critical too", "#6", "critical too", priority="critical")
        await desk.all_have("PENDING", 10, timeout_seconds=DEADLINE_SECONDS)
        gate.set()
        await desk.all_have("COMPLETE", 10, timeout_seconds=DEADLINE_SECONDS)
    assert postbox.bodies()[0] == "first"
    assert set(postbox.bodies()[1:3]) == {"critical", "critical too"}
    assert postbox.bodies()[-1] == "low"


@pytest.mark.usefixtures("nobody_is_slow")
async def test_a_flood_of_critical_ones_starves_nobody(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    gate = asyncio.Event()
    postbox.always = after(gate, Sent(None))
    kinds = {"postbox": postbox.kind()}
    await desk.map({f"#{n}": {"postbox": f"t{n}"} for n in range(4)})
    channel = ChannelSettings(concurrency=1)
    async with running(settings_for(couchdb_settings, kinds, channel, pending_after_seconds=0.02), kinds):
        for n in range(3):  # The flood goes to one target of these as well as to another.
            await desk.write(f"low {n}", f"#{n}", "low", priority="low")
            await desk.write(f"normal {n}", f"#{n}", "normal")
        await write_many(desk, "#0", "critical-a", 40, priority="critical")
        await write_many(desk, "#3", "critical-b", 40, priority="critical")
        await desk.all_have("PENDING", 86, timeout_seconds=DEADLINE_SECONDS)
        gate.set()
        await postbox.wait_for(86, timeout_seconds=DEADLINE_SECONDS)
        await desk.all_have("COMPLETE", 86, timeout_seconds=DEADLINE_SECONDS)
    left = postbox.bodies()[1:]
    assert "critical" in str(left[0])
    assert "normal" in left[:12]
    assert left.index("low") < 40
    assert [body for body in left[-10:] if body in ("normal", "low")] == []


@pytest.mark.usefixtures("nobody_is_slow")
async def test_critical_ones_come_first_also_of_those_that_wait_in_couchdb(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    gate = asyncio.Event()
    postbox.always = after(gate, Sent(None))
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}, "#b": {"postbox": "two"}})
    channel = ChannelSettings(concurrency=1)
    async with running(settings_for(couchdb_settings, kinds, channel, window=5, pending_after_seconds=0.02), kinds):
        await write_many(desk, "#a", "normal-", 20)
        await desk.all_have("PENDING", 20, timeout_seconds=DEADLINE_SECONDS)
        for n in range(3):
            await desk.write(f"critical-{n}", "#a" if n else "#b", f"critical-{n}", priority="critical")
        await desk.all_have("PENDING", 23, timeout_seconds=DEADLINE_SECONDS)
        gate.set()
        await postbox.wait_for(23, timeout_seconds=DEADLINE_SECONDS)
        await desk.all_have("COMPLETE", 23, timeout_seconds=DEADLINE_SECONDS)
    bodies = [str(body) for body in postbox.bodies()]
    # Before them only what was in the window when the gate was opened.
    assert max(bodies.index(f"critical-{n}") for n in range(3)) <= 5 + 3
    assert bodies.index("critical-1") < bodies.index("critical-2")


# --- order


@pytest.mark.usefixtures("nobody_is_slow")
async def test_many_that_wait_in_couchdb_leave_in_the_order_of_the_feed_whatever_they_are_called(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    gate = asyncio.Event()
    postbox.always = after(gate, Sent(None))
    with capture_logs() as logs:
        async with running(settings_for(couchdb_settings, kinds, window=8, pending_after_seconds=0.02), kinds):
            names = [f"{(n * 37) % 60:02}" for n in range(60)]
            await desk.database.bulk([{"_id": name, "content": {"to": "#a", "body": name}} for name in names])
            await desk.all_have("PENDING", 60, timeout_seconds=DEADLINE_SECONDS)
            gate.set()
            await postbox.wait_for(60, timeout_seconds=DEADLINE_SECONDS)
            await desk.all_have("COMPLETE", 60, timeout_seconds=DEADLINE_SECONDS)
    assert postbox.bodies() == routed(logs)


@pytest.mark.usefixtures("nobody_is_slow")
@pytest.mark.usefixtures("nobody_is_slow")
@pytest.mark.parametrize("cause", ["a full window", "the target's rate"])
async def test_what_waits_in_couchdb_is_not_passed_by_what_is_written_after_a_restart(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    gate = asyncio.Event()
    if cause == "a full window":
        postbox.always = after(gate, Sent(None))
        settings = settings_for(
            couchdb_settings, kinds := {"postbox": postbox.kind()}, window=5, pending_after_seconds=0.05
        )
    else:
        monkeypatch.setattr("router.delivery.lane.LONGEST_WAIT_IN_MEMORY_SECONDS", 0.5)
        channel = ChannelSettings(target_rate_per_second=20)
        settings = settings_for(couchdb_settings, kinds := {"postbox": postbox.kind()}, channel)
    await desk.map({"#a": {"postbox": "one"}})
    count = 20 if cause == "a full window" else 50
    with capture_logs() as logs:
        async with running_until_killed(settings, kinds):
            await write_many(desk, "#a", "old", count)
            await desk.until(lambda d: len(d) == count, timeout_seconds=DEADLINE_SECONDS)
        gate.set()
        async with running(settings, kinds):
            await desk.write("new", "#a", "new")
            await desk.all_have("COMPLETE", count + 1, timeout_seconds=DEADLINE_SECONDS)
    left, order = first_attempts(postbox, "one"), list(dict.fromkeys(routed(logs)))
    assert len(left) == count + 1
    assert left[-1] == order[-1] == "new"
    if cause == "a full window":
        assert left == order


# --- bulkheads


async def test_channels_that_hang_refuse_or_fail_are_nothing_to_another(
    couchdb_settings: CouchDBSettings, desk: Desk
) -> None:
    boxes = {name: Postbox() for name in ("hangs", "refuses", "fails", "works")}
    boxes["hangs"].always = after(asyncio.Event(), Sent(None))
    boxes["refuses"].always = say(Retry("connection refused", host_is_down=True))
    boxes["fails"].always = say(Retry("internal server error", code=500, host_is_down=True))
    kinds = {name: box.kind(name) for name, box in boxes.items()}
    await desk.map({"#a": {name: ["x", "y"] for name in kinds}})
    settings = settings_for(couchdb_settings, kinds, ChannelSettings(), grace_seconds=0.1, window=50)
    assert ChannelSettings().attempt_timeout_seconds > DEADLINE_SECONDS
    async with running(settings, kinds):
        await write_many(desk, "#a", "m", 60)
        # It takes a second here; what does not work would hold it up for at least the 30 of an attempt that hangs.
        await boxes["works"].wait_for(120, timeout_seconds=DEADLINE_SECONDS)
        found = await desk.until(lambda d: len(d) == 480, timeout_seconds=DEADLINE_SECONDS)
    works = [d for d in found if d["channel"] == "works"]
    assert revisions(works) == len(works) == 120
    assert revisions(found) < 2 * len(found)
    assert len(boxes["refuses"].arrived) < 20
    assert len(boxes["fails"].arrived) < 20
    assert len(boxes["hangs"].arrived) == 2


async def test_a_fast_drain_spills_nothing(couchdb_settings: CouchDBSettings, desk: Desk) -> None:
    boxes = {"one": Postbox(), "two": Postbox()}

    async def soon(_: Outgoing) -> Outcome:
        await asyncio.sleep(0.002)
        return Sent(None)

    for box in boxes.values():
        box.always = soon
    kinds = {name: box.kind(name) for name, box in boxes.items()}
    await desk.map({"#a": {name: [f"t{n}" for n in range(10)] for name in kinds}})
    # Longer than a delivery that waits for its turn has to wait here, however busy the machine.
    settings = settings_for(couchdb_settings, kinds, window=100, pending_after_seconds=20)
    await write_many(desk, "#a", "m", 40)
    async with running(settings, kinds):
        for box in boxes.values():
            await box.wait_for(400, timeout_seconds=DEADLINE_SECONDS)
        found = await desk.all_have("COMPLETE", 800, timeout_seconds=DEADLINE_SECONDS)
    assert revisions(found) == 800
    assert all(len(box.arrived) == 400 for box in boxes.values())


async def test_a_lane_that_stands_still_spills_and_the_other_goes_on(
    couchdb_settings: CouchDBSettings, desk: Desk
) -> None:
    boxes = {"still": Postbox(), "moves": Postbox()}
    gate = asyncio.Event()
    boxes["still"].always = after(gate, Sent(None))
    kinds = {name: box.kind(name) for name, box in boxes.items()}
    await desk.map({"#a": {name: ["x", "y"] for name in kinds}})
    await write_many(desk, "#a", "m", 50)
    async with running(settings_for(couchdb_settings, kinds, window=20), kinds):
        await boxes["moves"].wait_for(100, timeout_seconds=DEADLINE_SECONDS)
        assert len(boxes["still"].arrived) == 2
        gate.set()
        await boxes["still"].wait_for(100, timeout_seconds=DEADLINE_SECONDS)
        await desk.all_have("COMPLETE", 200, timeout_seconds=DEADLINE_SECONDS)
    assert len(boxes["still"].arrived) == len(boxes["moves"].arrived) == 100


async def test_a_flood_for_a_slow_channel_does_not_hold_up_what_comes_for_another(
    couchdb_settings: CouchDBSettings, desk: Desk
) -> None:
    boxes = {"slow": Postbox(), "quick": Postbox()}

    async def slowly(_: Outgoing) -> Outcome:
        await asyncio.sleep(0.05)
        return Sent(None)

    boxes["slow"].always = slowly
    kinds = {name: box.kind(name) for name, box in boxes.items()}
    await desk.map({"#slow": {"slow": [f"t{n}" for n in range(400)]}, "#quick": {"quick": "x"}})
    channel = ChannelSettings(concurrency=1)
    async with running(settings_for(couchdb_settings, kinds, channel, window=20, grace_seconds=0.2), kinds):
        await desk.write("slow", "#slow")  # 20 seconds' worth of it
        await boxes["slow"].wait_for(1)
        await desk.write("quick", "#quick")
        await boxes["quick"].wait_for(1, timeout_seconds=4)
    assert len(boxes["slow"].arrived) < 200


async def test_uncertain_ends_count_against_the_host(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    postbox.always = say(Uncertain("no answer"))
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": [f"t{n}" for n in range(30)]}})
    channel = ChannelSettings(retry=RetrySettings(base_seconds=60), breaker=BreakerSettings(base_seconds=30))
    with capture_logs() as logs:
        async with running(settings_for(couchdb_settings, kinds, channel, pending_after_seconds=0.02), kinds):
            await desk.write("m", "#a")
            await desk.all_have("PENDING", 30, timeout_seconds=DEADLINE_SECONDS)
    assert len(postbox.arrived) <= 8
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"].count(
        "the host does not work; it is left alone for a while"
    ) == 1


async def test_what_waits_in_couchdb_does_not_wait_in_memory_too(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    gate = asyncio.Event()
    postbox.always = after(gate, Sent(None))
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": [f"t{n}" for n in range(20)]}})
    await write_many(desk, "#a", "m", 30)
    async with running(settings_for(couchdb_settings, kinds, window=20, grace_seconds=0.2), kinds):
        # All but those in the window, of which some have no document yet.
        await desk.until(lambda d: len(d) >= 580, timeout_seconds=DEADLINE_SECONDS)
        gc.collect()  # What the tests before this one left behind.
        assert sum(isinstance(thing, Job) for thing in gc.get_objects()) < 100
        gate.set()
