"""The port itself: what opens and what does not, who hangs on it, and that it goes when it is told to."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest

from router.metrics import Metrics
from router.settings import HttpSettings
from router.web.server import CLOSING_SECONDS, BadPort, open_port, served
from router.web.snapshot import Snapshot
from tests.web.asking import ask

STANDBY = Snapshot("standby")


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A port that is open and that nobody serves yet."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def test_port_0_opens_none() -> None:
    assert open_port(HttpSettings(port=0)) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_is_open_before_it_is_served(host: str, unused_tcp_port: int) -> None:
    listener = open_port(HttpSettings(host=host, port=unused_tcp_port))
    assert listener is not None
    with closing(listener), closing(socket.create_connection((host, unused_tcp_port), timeout=5)):
        assert listener.getsockname()[1] == unused_tcp_port


def test_a_taken_port() -> None:
    with listening() as taken:
        port = port_of(taken)
        with pytest.raises(BadPort) as raised:
            open_port(HttpSettings(port=port))
    assert str(raised.value) == (
        f"the HTTP port {port} on 127.0.0.1 is taken, perhaps by another router; "
        "set ROUTER_HTTP__PORT to a free one, or to 0 for none"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.7", "::zz", "a..b", "x" * 300])
def test_a_host_that_is_not_ours(host: str, unused_tcp_port: int) -> None:
    with pytest.raises(BadPort, match=r"^the HTTP port \d+ on .* cannot be opened.*; set ROUTER_HTTP__HOST"):
        open_port(HttpSettings(host=host, port=unused_tcp_port))


async def test_the_paths() -> None:
    metrics = Metrics(["email"])
    metrics.message("routed")
    with listening() as listener:
        async with served(listener, lambda: STANDBY, metrics):
            port = port_of(listener)
            alive = await ask(port, "/healthz")
            assert (alive.status_code, alive.json()["status"]) == (200, "ok")
            ready = await ask(port, "/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "standby")
            counted = await ask(port, "/metrics")
            assert counted.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert 'notification_router_messages_total{result="routed"} 1.0' in counted.text.splitlines()
            for path in ("/", "/docs", "/openapi.json", "/readyz/", "/v1/messages"):
                assert (await ask(port, path)).status_code in (404, 307)
            assert "server" not in alive.headers


async def test_not_ready_is_503() -> None:
    with listening() as listener:
        async with served(listener, lambda: Snapshot("starting"), Metrics()):
            answer = await ask(port_of(listener), "/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["the router is starting"])


async def test_who_asks_before_it_is_served_waits() -> None:
    with listening() as listener:
        asking = asyncio.create_task(ask(port_of(listener), "/healthz"))
        async with served(listener, lambda: STANDBY, Metrics(), after=partial(asyncio.sleep, 0.2)):
            assert (await asking).status_code == 200


HANGING = {
    "says nothing": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
    "half a body": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n1",
    "never reads": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 2000,
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00" * 10,
}


@pytest.mark.parametrize("what", HANGING)
async def test_a_client_that_hangs_does_not_hold_up_the_end_nor_others(what: str) -> None:
    loop = asyncio.get_running_loop()
    with listening() as listener:
        port = port_of(listener)
        async with served(listener, lambda: STANDBY, Metrics(["email"])):
            assert (await ask(port, "/healthz")).status_code == 200
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**10)
            writer.write(HANGING[what])
            assert (await ask(port, "/healthz")).status_code == 200
            told = loop.time()
        assert loop.time() - told < CLOSING_SECONDS + 1
        writer.close()
        reader.feed_eof()


async def test_the_routers_own_signal_handlers_stay() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with listening() as listener:
        async with served(listener, lambda: STANDBY, Metrics()):
            await ask(port_of(listener), "/healthz")
            assert {number: signal.getsignal(number) for number in before} == before


async def test_it_may_end_before_it_was_ever_served() -> None:
    loop = asyncio.get_running_loop()
    with listening() as listener:
        told = loop.time()
        async with served(listener, lambda: STANDBY, Metrics(), after=partial(asyncio.sleep, 3600)):
            pass
        assert loop.time() - told < 1


async def test_a_fault_behind_a_path_is_500_and_the_rest_goes_on() -> None:
    def fault() -> Snapshot:
        raise ValueError("a fault of ours")

    with listening() as listener:
        async with served(listener, fault, Metrics()):
            port = port_of(listener)
            assert (await ask(port, "/readyz")).status_code == 500
            assert (await ask(port, "/healthz")).status_code == 200
