"""Several routers on one database: one sends, the others wait, and whatever becomes of the one, another goes on with the rest."""

import asyncio
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from router.channels.base import Outcome, Outgoing, Retry
from router.couch.lease_store import LEASE_ID
from router.settings import CouchDBSettings, LeaseSettings
from tests.peers.feed import until
from tests.peers.gate import gate_before
from tests.peers.postbox import Postbox
from tests.peers.slack import GENERAL, SlackPeer
from tests.peers.tcp_proxy import HALF_OPEN, PASS, tcp_proxy
from tests.service.process import RouterProcess, environment, router_process
from tests.service.running import Desk, outcomes, running, running_until_killed, settings_for

QUICK_LEASE = LeaseSettings(duration_seconds=1.5)
ACTIVE = "this router is the active one now"
STANDBY = "standing by"
LOST = "the lease is lost"
HANDOVER_SECONDS = 15.0


@pytest.fixture
async def slack() -> AsyncIterator[SlackPeer]:
    async with SlackPeer() as peer:
        yield peer


def variables(couchdb: CouchDBSettings, slack: SlackPeer, **more: str) -> dict[str, str]:
    return environment(
        couchdb,
        {
            "ROUTER_LEASE__DURATION_SECONDS": str(QUICK_LEASE.duration_seconds),
            "ROUTER_SLACK__BOT_TOKEN": slack.token,
            "ROUTER_SLACK__API_URL": slack.api_url,
            "ROUTER_SLACK__TARGET_RATE_PER_SECOND": "1000",
            **more,
        },
    )


@asynccontextmanager
async def two_routers(
    env: dict[str, str], folder: Path, ports: Iterable[int] = (0, 0)
) -> AsyncIterator[tuple[RouterProcess, RouterProcess]]:
    """Two that are started at the same moment: the active one, and the one that stands by."""
    async with AsyncExitStack() as stack:
        routers = [
            await stack.enter_async_context(
                router_process({**env, "ROUTER_HTTP__PORT": str(port)}, folder / f"log{number}")
            )
            for number, port in enumerate(ports)
        ]
        await until(lambda: all(ACTIVE in router.log or STANDBY in router.log for router in routers))
        active, standby = sorted(routers, key=lambda router: STANDBY in router.log)
        assert ACTIVE in active.log
        assert ACTIVE not in standby.log
        yield active, standby


async def write(desk: Desk, *names: str) -> None:
    for name in names:
        await desk.database.put({"_id": name, "content": {"to": "#a", "body": name, "format": "text"}})


def unused_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


async def readiness(port: int) -> str:
    """What `/readyz` says, once it is served."""
    async with asyncio.timeout(10), httpx.AsyncClient() as http:
        while True:
            try:
                return (await http.get(f"http://127.0.0.1:{port}/readyz", timeout=5)).text
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def test_one_of_two_sends_and_when_it_is_killed_the_other_does(
    couchdb_settings: CouchDBSettings, desk: Desk, slack: SlackPeer, tmp_path: Path
) -> None:
    await desk.map({"#a": {"slack": GENERAL}})
    before, after = [f"before{n}" for n in range(5)], [f"after{n}" for n in range(5)]
    ports = unused_ports()
    async with two_routers(variables(couchdb_settings, slack), tmp_path, ports) as (active, standby):
        roles = Counter([("standby" in await readiness(port)) for port in ports])
        assert roles == {True: 1, False: 1}
        await write(desk, *before)
        await desk.all_have("COMPLETE", 5)
        # Some of the rest are on their way when it ends; the other has to find them.
        writing = asyncio.create_task(write(desk, *after))
        await active.kill()
        await writing
        found = await desk.all_have("COMPLETE", 10, timeout_seconds=HANDOVER_SECONDS)
        assert ACTIVE in standby.log
        assert await standby.end() == 0
    arrived = Counter(slack.texts(GENERAL))
    assert set(arrived) == {*before, *after}
    admitted = {d["message_id"] for d in found if len(outcomes(d)) > 1}
    assert {text for text, count in arrived.items() if count > 1} <= admitted


async def test_one_that_was_frozen_sends_nothing_when_it_goes_on_until_the_other_is_told_to_stop(
    couchdb_settings: CouchDBSettings, desk: Desk, slack: SlackPeer, tmp_path: Path
) -> None:
    await desk.map({"#a": {"slack": GENERAL}})
    names = [f"m{n}" for n in range(4)]
    # What it has in hand when it goes on is due long since.
    env = variables(couchdb_settings, slack, ROUTER_SLACK__TARGET_RATE_PER_SECOND="2")
    async with two_routers(env, tmp_path) as (active, standby):
        await write(desk, *names)
        await desk.until(lambda found: any(d["status"] == "COMPLETE" for d in found))
        active.process.send_signal(signal.SIGSTOP)
        try:
            await standby.has_logged(ACTIVE)
            await desk.all_have("COMPLETE", 4)
        finally:
            active.process.send_signal(signal.SIGCONT)
        await active.has_logged(LOST)
        await active.has_logged(STANDBY)
        await write(desk, "more")
        await desk.all_have("COMPLETE", 5)
        assert Counter(slack.texts(GENERAL)) == Counter([*names, "more"])
        assert active.log.count(ACTIVE) == 1
        assert await standby.end(signal.SIGTERM) == 0
        await write(desk, "last")
        await desk.all_have("COMPLETE", 6)
        assert active.log.count(ACTIVE) == 2
        assert await active.end(signal.SIGTERM) == 0
    assert Counter(slack.texts(GENERAL)) == Counter([*names, "more", "last"])


async def test_one_that_is_cut_off_from_couchdb_stops_before_the_other_begins(
    couchdb_settings: CouchDBSettings, desk: Desk
) -> None:
    here, there = Postbox(), Postbox()
    happened: list[str] = []

    async def hang(outgoing: Outgoing) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            happened.append("cut off here")
        return Retry("never")

    async def note(outgoing: Outgoing) -> Outcome:
        happened.append("begun there")
        return Retry("later")

    await desk.map({"#a": {"postbox": "one"}, "#b": {"postbox": "two"}})
    kinds_here, kinds_there = {"postbox": here.kind()}, {"postbox": there.kind()}
    async with tcp_proxy(couchdb_settings.url) as proxy:
        through = couchdb_settings.model_copy(
            update={"url": proxy.url, "request_timeout_seconds": 1.0, "connect_timeout_seconds": 1.0}
        )
        async with running(settings_for(through, kinds_here, lease=QUICK_LEASE), kinds_here):
            await desk.write("first", "#a", "first")
            await desk.all_have("COMPLETE", 1)
            async with running(settings_for(couchdb_settings, kinds_there, lease=QUICK_LEASE), kinds_there):
                here.answers["two"].append(hang)
                there.answers["two"].append(note)
                await desk.write("hangs", "#b", "hangs")
                await here.wait_for(2)
                proxy.treat(HALF_OPEN)
                await desk.write("second", "#a", "second")
                await desk.all_have("COMPLETE", 3, timeout_seconds=HANDOVER_SECONDS)
                assert happened == ["cut off here", "begun there"]
                proxy.treat(PASS)
                await desk.write("third", "#a", "third")
                await there.wait_for(4)
            # The other has stopped, and this one is back.
            await desk.write("fourth", "#a", "fourth")
            await here.wait_for(3)
            await desk.all_have("COMPLETE", 5)
    assert here.bodies() == ["first", "hangs", "fourth"]
    assert Counter(there.bodies()) == {"hangs": 2, "second": 1, "third": 1}


async def test_couchdb_may_write_nothing_for_longer_than_the_lease(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with gate_before(couchdb_settings.url) as gate:
        through = couchdb_settings.model_copy(update={"url": gate.url})
        with capture_logs() as logs:
            async with running(settings_for(through, kinds, lease=QUICK_LEASE), kinds):
                await desk.write("before", "#a", "before")
                await desk.all_have("COMPLETE", 1)
                # What is sent now cannot be recorded, and is not forgotten for all that.
                gate.guard = lambda method, path: (503, None) if method == "PUT" or "_bulk_docs" in path else None
                await desk.write("during", "#a", "during")
                await postbox.wait_for(2)
                await until(lambda: any(entry["event"].startswith(LOST) for entry in logs))
                gate.guard = None
                await desk.write("after", "#a", "after")
                await desk.all_have("COMPLETE", 3)
    assert postbox.bodies() == ["before", "during", "after"]


async def test_routers_that_follow_each_other_do_not_wait(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    settings = settings_for(couchdb_settings, kinds, lease=LeaseSettings(duration_seconds=100))
    for number, run in enumerate((running, running_until_killed, running)):
        async with run(settings, kinds):
            await desk.write(f"m{number}", "#a", f"m{number}")
            await desk.all_have("COMPLETE", number + 1, timeout_seconds=5)
    found = await desk.database.get(LEASE_ID)
    assert found is not None
    assert found["released"] is True
