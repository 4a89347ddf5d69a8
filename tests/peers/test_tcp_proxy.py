"""The proxy does to connections what it is told, and nothing else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.peers.feed import until
from tests.peers.tcp_proxy import HALF_OPEN, PASS, RESET, STALLED, Fault, TcpProxy, tcp_proxy

DEADLINE_SECONDS = 5.0
BIG = bytes(range(256)) * 4096


class Talk:
    """A connection through the proxy to a server that says back what it hears."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self, count: int) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.readexactly(count)

    async def hear_to_the_end(self) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.read()

    async def hears_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await self.reader.read(1)


class Echo:
    """The server behind the proxy."""

    def __init__(self) -> None:
        self.heard = b""
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while data := await reader.read(65536):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[TcpProxy]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with tcp_proxy(f"//127.0.0.1:{server.sockets[0].getsockname()[1]}") as proxy:
        yield proxy
    server.close()
    await until(lambda: echo.open == 0)
    await asyncio.sleep(0.01)  # asyncio closes the sockets a step later


@pytest.fixture
async def talks() -> AsyncIterator[list[Talk]]:
    """Connections that a test opened; closed in the end."""
    opened: list[Talk] = []
    yield opened
    for talk in opened:
        talk.writer.transport.abort()
    await asyncio.sleep(0)


async def talk_to(proxy: TcpProxy, talks: list[Talk]) -> Talk:
    talk = Talk(*await asyncio.open_connection("127.0.0.1", proxy.port))
    talks.append(talk)
    return talk


async def test_bytes_pass_both_ways(proxy: TcpProxy, talks: list[Talk]) -> None:
    talk = await talk_to(proxy, talks)
    saying = asyncio.create_task(talk.say(BIG))
    assert await talk.hear(len(BIG)) == BIG
    await saying
    [link] = proxy.links
    assert (link.answered_bytes, proxy.accepted) == (len(BIG), 1)
    talk.writer.close()
    await until(lambda: not proxy.links)


async def test_half_open_is_for_good(proxy: TcpProxy, echo: Echo, talks: list[Talk]) -> None:
    old = await talk_to(proxy, talks)
    await old.say(b"a")
    await old.hear(1)
    proxy.treat(HALF_OPEN)
    new = await talk_to(proxy, talks)
    for talk in (old, new):
        await talk.say(b"b")
        await talk.hears_nothing()
    proxy.treat(PASS)
    await old.say(b"c")
    await old.hears_nothing()
    newest = await talk_to(proxy, talks)
    await newest.say(b"d")
    assert await newest.hear(1) == b"d"
    assert echo.heard == b"ad"


async def test_what_stalls_passes_late(proxy: TcpProxy, echo: Echo, talks: list[Talk]) -> None:
    proxy.treat(STALLED)
    talk, given_up = await talk_to(proxy, talks), await talk_to(proxy, talks)
    await talk.say(b"a")
    await given_up.say(b"b")
    given_up.writer.close()
    await talk.hears_nothing()
    assert echo.heard == b""
    proxy.treat(PASS)
    assert await talk.hear(1) == b"a"
    # Who said it has gone: it arrives all the same.
    await until(lambda: sorted(echo.heard) == sorted(b"ab"))


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_cut_after_so_many_bytes(proxy: TcpProxy, talks: list[Talk], size: int) -> None:
    talk = await talk_to(proxy, talks)
    await talk.say(b"x")
    await talk.hear(1)
    # What passed before does not count.
    proxy.treat(Fault(cut_after_bytes=size))
    for _ in range(2):
        await talk.say(b"y" * size)
    assert await talk.hear_to_the_end() == b"y" * size
    assert proxy.cuts == 1


async def test_cut_in_the_middle_of_what_was_named_though_it_comes_in_pieces(
    proxy: TcpProxy, echo: Echo, talks: list[Talk]
) -> None:
    proxy.treat(Fault(cut_behind=b"row-2"))
    talk = await talk_to(proxy, talks)
    said = b"row-1;row-2;row-3"
    for place in range(len(said)):
        await talk.say(said[place : place + 1])
        await until(lambda place=place: len(echo.heard) > place or proxy.cuts > 0)  # type: ignore[misc]
        if proxy.cuts:
            break
    assert await talk.hear_to_the_end() == b"row-1;row-2"


async def test_reset(proxy: TcpProxy, talks: list[Talk]) -> None:
    talk = await talk_to(proxy, talks)
    await talk.say(b"a")
    await talk.hear(1)
    proxy.treat(RESET)
    await talk.say(b"b")
    with pytest.raises(ConnectionResetError):
        await talk.hear(1)
    other = await talk_to(proxy, talks)
    proxy.treat(PASS)
    await other.say(b"c")
    assert await other.hear(1) == b"c"
    proxy.end_all(reset=True)
    with pytest.raises(ConnectionResetError):
        await other.hear(1)


async def test_end_all_closes_as_a_server_does_that_stops(proxy: TcpProxy, talks: list[Talk]) -> None:
    talk = await talk_to(proxy, talks)
    await until(lambda: bool(proxy.links))
    proxy.end_all()
    assert await talk.hear_to_the_end() == b""


async def test_refusing(proxy: TcpProxy, talks: list[Talk]) -> None:
    talk = await talk_to(proxy, talks)
    await until(lambda: bool(proxy.links))
    async with proxy.refusing():
        with pytest.raises(ConnectionResetError):
            await talk.hear(1)
        with pytest.raises(ConnectionRefusedError):
            await talk_to(proxy, talks)
    again = await talk_to(proxy, talks)
    await again.say(b"a")
    assert await again.hear(1) == b"a"


async def test_slow_and_late_answers(proxy: TcpProxy, talks: list[Talk]) -> None:
    clock = asyncio.get_running_loop().time
    proxy.treat(Fault(bytes_per_second=1000))
    talk = await talk_to(proxy, talks)
    began = clock()
    await talk.say(b"x" * 200)
    assert await talk.hear(200) == b"x" * 200
    assert clock() - began >= 0.19
    proxy.treat(Fault(delay_seconds=0.1))
    began = clock()
    await talk.say(b"y")
    assert await talk.hear(1) == b"y"
    # There and back.
    assert clock() - began >= 0.19


async def test_only_the_connections_that_are_meant(proxy: TcpProxy, talks: list[Talk]) -> None:
    feed, other = await talk_to(proxy, talks), await talk_to(proxy, talks)
    proxy.treat(RESET, lambda link: link.request.startswith(b"GET /db/_changes"))
    await other.say(b"GET /db/doc")
    assert await other.hear(11) == b"GET /db/doc"
    # On a connection that had another request before.
    await feed.say(b"GET /db")
    assert await feed.hear(7) == b"GET /db"
    await feed.say(b"GET /db/_cha")
    await feed.say(b"nges")
    with pytest.raises(ConnectionResetError):
        await feed.hear(1)
    [link] = proxy.links
    assert link.request == b"GET /db/doc"


async def test_a_server_that_is_away_ends_the_connection(unused_tcp_port: int, talks: list[Talk]) -> None:
    async with tcp_proxy(f"//127.0.0.1:{unused_tcp_port}") as proxy:
        talk = await talk_to(proxy, talks)
        assert await talk.hear_to_the_end() == b""
