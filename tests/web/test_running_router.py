"""The port of a running router: in every role, with CouchDB and without, and what it counts while messages go out."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from socket import create_server

import pytest
from structlog.testing import capture_logs

from router.channels.base import Retry
from router.channels.registry import AnyKind
from router.couch.database import Database
from router.documents.json_types import JsonObject, JsonValue
from router.settings import BreakerSettings, ChannelSettings, CouchDBSettings, HttpSettings, LeaseSettings, Settings
from router.web.server import CLOSING_SECONDS
from tests.peers.postbox import Postbox, say
from tests.servers.couchdb import RestartableCouchDB
from tests.service.process import command, environment, router_process
from tests.service.running import QUICK_RETRY, Desk, running, settings_for
from tests.web.asking import ask, metrics_once, ready

PREFIX = "notification_router_"


pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def kinds(postbox: Postbox) -> Mapping[str, AnyKind]:
    return {"postbox": postbox.kind()}


async def test_what_a_router_counts(
    couchdb_settings: CouchDBSettings, kinds: Mapping[str, AnyKind], postbox: Postbox, desk: Desk, unused_tcp_port: int
) -> None:
    channel = ChannelSettings(retry=QUICK_RETRY, breaker=BreakerSettings(failures=1, base_seconds=0.05))
    settings = settings_for(couchdb_settings, kinds, channel, http=HttpSettings(port=unused_tcp_port))
    postbox.answers["alice"] = [say(Retry("no connection", host_is_down=True))]
    async with running(settings, kinds):
        await ready(unused_tcp_port, lambda _, body: body["reasons"] != [] and body["role"] == "active")
        await desk.map({"#a": {"postbox": ["alice", "bob"]}})
        await ready(unused_tcp_port, lambda status, _: status == 200)
        await desk.write("m1", "#a")
        await desk.write("m2", "#nowhere")
        await metrics_once(unused_tcp_port, f'{PREFIX}deliveries_total{{channel="postbox",status="COMPLETE"}} 2.0')
        await metrics_once(unused_tcp_port, f"{PREFIX}unroutable_waiting 1.0")
        await metrics_once(unused_tcp_port, f'{PREFIX}pending_deliveries{{channel="postbox"}} 0.0')
        text = await metrics_once(unused_tcp_port, f"{PREFIX}feed_lag_documents 0.0")
        for line in (
            'messages_total{result="routed"} 1.0',
            'messages_total{result="unroutable"} 1.0',
            'attempts_total{channel="postbox",outcome="sent"} 2.0',
            'attempts_total{channel="postbox",outcome="retry"} 1.0',
            'attempt_duration_seconds_count{channel="postbox"} 3.0',
            'document_to_wire_seconds_count{channel="postbox"} 2.0',
            'breaker_openings_total{channel="postbox",host="default"} 1.0',
            'breaker_state{channel="postbox",host="default",state="closed"} 1.0',
            'role{role="active"} 1.0',
            "couchdb_up 1.0",
            "feed_connected 1.0",
            'mapping_state{state="OK"} 1.0',
            'channel_configured{channel="postbox"} 1.0',
        ):
            assert f"{PREFIX}{line}" in text.splitlines()
        body = (await ask(unused_tcp_port, "/readyz")).json()
        assert body["channels"]["postbox"]["state"] == "ready"
        assert body["channels"]["postbox"]["breakers"] == {"default": "closed"}


def of_postbox(body: JsonObject, key: str) -> JsonValue:
    """What a body of `/readyz` says of the postbox; None while it says nothing."""
    channels = body["channels"]
    postbox = channels.get("postbox") if isinstance(channels, dict) else None
    return postbox[key] if isinstance(postbox, dict) else None


async def test_a_channel_whose_host_is_down_is_troubled_and_says_why_until_it_works_again(
    couchdb_settings: CouchDBSettings, kinds: Mapping[str, AnyKind], postbox: Postbox, desk: Desk, unused_tcp_port: int
) -> None:
    channel = ChannelSettings(
        retry=QUICK_RETRY, breaker=BreakerSettings(failures=1, base_seconds=0.05, max_seconds=0.1)
    )
    settings = settings_for(couchdb_settings, kinds, channel, http=HttpSettings(port=unused_tcp_port))
    postbox.always = say(Retry("no connection", host_is_down=True))
    await desk.map({"#a": {"postbox": "alice"}})
    with capture_logs() as logs:
        async with running(settings, kinds):
            await desk.write("m1", "#a")
            status, body = await ready(unused_tcp_port, lambda _, body: of_postbox(body, "state") == "troubled")
            assert (status, body["status"]) == (200, "active")
            assert of_postbox(body, "reason") == "no connection"
            postbox.always = None
            _, body = await ready(unused_tcp_port, lambda _, body: of_postbox(body, "state") == "ready")
            assert of_postbox(body, "reason") is None
    [told] = [entry for entry in logs if entry["event"] == "channels"]
    assert (told["ready"], told["not_configured"]) == (["postbox"], [])


async def test_without_couchdb_it_is_alive_and_not_ready_and_says_why(
    restartable_couchdb: RestartableCouchDB, kinds: Mapping[str, AnyKind], unused_tcp_port: int
) -> None:
    settings = settings_for(restartable_couchdb.settings, kinds, http=HttpSettings(port=unused_tcp_port))
    restartable_couchdb.stop()
    async with running(settings, kinds):
        _, body = await ready(unused_tcp_port, lambda _, body: "cannot be reached" in str(body["reasons"]))
        assert (await ask(unused_tcp_port, "/healthz")).status_code == 200
        assert body["status"] == "not ready"
        assert body["couchdb"] == {"reachable": False}
        assert restartable_couchdb.server.password not in str(body)
        await metrics_once(unused_tcp_port, f"{PREFIX}couchdb_up 0.0")
        await asyncio.to_thread(restartable_couchdb.start)
        async with Database(restartable_couchdb.settings) as database:
            await Desk(database).map({"#a": {"postbox": "alice"}})
        _, body = await ready(unused_tcp_port, lambda status, _: status == 200)
        assert body["status"] == "active"
        restartable_couchdb.kill()
        status, body = await ready(unused_tcp_port, lambda status, _: status != 200)
        assert status == 503
        assert body["role"] == "active"


async def test_a_standby_is_ready_and_says_so(
    couchdb_settings: CouchDBSettings,
    kinds: Mapping[str, AnyKind],
    desk: Desk,
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    await desk.map({"#a": {"postbox": "alice"}})
    first, second = unused_tcp_port_factory(), unused_tcp_port_factory()

    def settings(port: int) -> Settings:
        http, lease = HttpSettings(port=port), LeaseSettings(duration_seconds=2)
        return settings_for(couchdb_settings, kinds, http=http, lease=lease)

    async with running(settings(second), kinds):
        async with running(settings(first), kinds):
            _, one = await ready(first, lambda status, _: status == 200)
            _, two = await ready(second, lambda status, _: status == 200)
            assert {one["status"], two["status"]} == {"active", "standby"}
            if one["status"] == "active":
                assert two["channels"] == {}
        # The first one has stopped; whatever it was, the other is or becomes the active one.
        await ready(second, lambda _, body: body["status"] == "active")


async def test_a_taken_port_is_a_sentence_and_exit_code_2(couchdb_settings: CouchDBSettings, tmp_path: Path) -> None:
    with closing(create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        env = environment(couchdb_settings, {"ROUTER_HTTP__PORT": str(port)})
        ended = await command(env, "run", folder=tmp_path)
    assert ended.code == 2
    assert ended.error.splitlines() == [
        f"error: the HTTP port {port} on 127.0.0.1 is taken, perhaps by another router; set ROUTER_HTTP__PORT to a free one, "
        "or to 0 for none"
    ]


async def test_stopped_in_time_though_a_client_hangs(
    couchdb_settings: CouchDBSettings, unused_tcp_port: int, tmp_path: Path
) -> None:
    env = environment(couchdb_settings, {"ROUTER_HTTP__PORT": str(unused_tcp_port)})
    async with router_process(env, tmp_path / "log") as router:
        await router.has_logged('"channels"')
        # It is served a second after the start; until then the question waits in the port's queue.
        assert (await ask(unused_tcp_port, "/healthz")).status_code == 200
        _, hanging = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        hanging.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        told = time.monotonic()
        assert await router.end() == 0
        assert time.monotonic() - told < CLOSING_SECONDS + 3
        hanging.close()
    assert "Traceback" not in router.log


HEAVY = ("fastapi", "uvicorn", "opentelemetry")


async def test_commands_do_not_import_what_only_the_port_needs(tmp_path: Path) -> None:
    code = f"import sys, router.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"
