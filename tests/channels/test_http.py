"""Each way in which a request can fail, on a real socket: may it have left or not?"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from router.channels import http
from router.channels.http import MAX_REPLY_BYTES, HttpClient, Reply, quoted
from router.channels.no_reply import NoReply
from router.documents.timestamps import utc_now
from tests.channels.raw_server import RawServer, Script, answer, read_request, reset

SECRET = "hush-this-is-a-secret"


@dataclass
class Asker:
    """Asks with a secret in the address and in a header, so that a reason which repeats either is seen."""

    client: HttpClient

    async def post(self, host: str, *, seconds: float = 5, scheme: str = "http", size: int = 10) -> Reply | NoReply:
        deadline = asyncio.get_running_loop().time() + seconds
        return await self.client.exchange(
            "POST",
            f"{scheme}://{host}/{SECRET}",
            deadline=deadline,
            headers={"x-token": SECRET},
            json={"text": "x" * size},
        )


@pytest.fixture
async def asker() -> AsyncIterator[Asker]:
    client = HttpClient("the peer", 1)
    yield Asker(client)
    await client.close()


def no_reply(reply: Reply | NoReply) -> NoReply:
    assert isinstance(reply, NoReply)
    assert SECRET not in reply.reason
    assert "127.0.0.1" not in reply.reason
    assert SECRET not in str(reply.code)
    return reply


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


# --- before the request left: certain


async def test_a_refused_connection_is_before(asker: Asker) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        reply = no_reply(await asker.post(f"127.0.0.1:{closed.getsockname()[1]}"))
    assert reply == NoReply("the peer could not be reached (connection refused)", False, "ClientConnectorError")


async def test_a_name_that_cannot_be_resolved_is_before(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
    reply = no_reply(await asker.post("peer.invalid"))
    assert (reply.left, reply.reason) == (False, "the name of the peer could not be resolved")


async def test_tls_with_a_server_that_speaks_none_is_before(asker: Asker) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer())
        await writer.drain()

    async with RawServer(plain) as server:
        reply = no_reply(await asker.post(server.host, scheme="https"))
    assert (reply.left, reply.reason) == (False, "the TLS handshake with the peer failed")


async def test_an_untrusted_certificate_is_before(asker: Asker) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    received: list[bytes] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())

    async with RawServer(record, context) as server:
        reply = no_reply(await asker.post(server.host, scheme="https"))
    assert (reply.left, reply.reason) == (False, "the TLS certificate of the peer is not to be trusted")
    assert received in ([], [b""])


async def test_a_server_that_hangs_up_in_the_handshake_is_before(asker: Asker) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reset(writer)

    async with RawServer(hang_up) as server:
        reply = no_reply(await asker.post(server.host, scheme="https"))
    assert not reply.left


async def test_a_handshake_that_never_ends_is_before(asker: Asker) -> None:
    async with RawServer(silent) as server:
        reply = no_reply(await asker.post(server.host, scheme="https", seconds=0.4))
    assert (reply.left, reply.reason) == (False, "no connection to the peer in time")


async def test_a_connection_that_never_opens_is_before(asker: Asker) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        reply = no_reply(await asker.post(f"127.0.0.1:{full.getsockname()[1]}", seconds=0.4))
    assert (reply.left, reply.reason) == (False, "no connection to the peer in time")


async def test_a_pool_without_a_free_place_is_before(asker: Asker) -> None:
    async with RawServer(silent) as server:
        first = asyncio.create_task(asker.post(server.host, seconds=0.7))
        while server.connections == 0:  # noqa: ASYNC110 - the deadline is the test's
            await asyncio.sleep(0.005)
        second = no_reply(await asker.post(server.host, seconds=0.3))
        assert (second.left, second.reason) == (False, "no connection to the peer in time")
        assert no_reply(await first).left


async def test_no_time_left_is_before(asker: Asker) -> None:
    reply = no_reply(await asker.post("127.0.0.1:1", seconds=-1))
    assert reply == NoReply("no time was left in this attempt to ask the peer", False, host_is_down=False)


# --- after the request may have left


def after_reading(then: bytes | None) -> Script:
    """Read the request; then write something and hang up, or (None) reset."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if then is None:
            reset(writer)
        else:
            writer.write(then)
            await writer.drain()

    return script


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        pytest.param(b"", "the peer hung up without an answer", id="hangs up"),
        pytest.param(
            None, "the connection to the peer broke before an answer came (connection reset by peer)", id="resets"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-", "the peer hung up without an answer", id="hangs up in the head"),
        pytest.param(b"SSH-2.0-x\r\n\r\n", "the peer answered with something that is not HTTP", id="is no HTTP"),
    ],
)
async def test_an_end_without_an_answer_is_after(asker: Asker, then: bytes | None, reason: str) -> None:
    async with RawServer(after_reading(then)) as server:
        reply = no_reply(await asker.post(server.host))
        assert (reply.left, reply.reason) == (True, reason)
        assert server.connections == 1, "a POST must never be repeated by the client library"


async def test_silence_is_after(asker: Asker) -> None:
    async with RawServer(silent) as server:
        began = asyncio.get_running_loop().time()
        reply = no_reply(await asker.post(server.host, seconds=0.3))
        assert reply == NoReply("the peer did not answer within 0.3 seconds", True, "timeout")
        assert asyncio.get_running_loop().time() - began < 2


async def test_a_kept_connection_that_ends_under_a_request_is_after(asker: Asker) -> None:
    """The trap: httpx-aiohttp calls this one ConnectTimeout, as if nothing had left."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer())
        await writer.drain()
        await read_request(reader)

    async with RawServer(once) as server:
        assert isinstance(await asker.post(server.host), Reply)
        assert no_reply(await asker.post(server.host)).left
        assert server.connections == 1


async def test_a_kept_connection_that_ended_before_is_not_used_again(asker: Asker) -> None:
    ended = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with RawServer(once) as server:
        assert isinstance(await asker.post(server.host), Reply)
        await ended.wait()
        await asyncio.sleep(0.05)  # the end must reach the client's side of the socket, which shows nothing of it
        assert isinstance(await asker.post(server.host), Reply)
        assert server.connections == 2


async def test_a_reset_in_the_middle_of_a_large_request_is_after(asker: Asker) -> None:
    async def reset_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1_000)
        reset(writer)

    async with RawServer(reset_early) as server:
        assert no_reply(await asker.post(server.host, size=1_000_000)).left


# --- an answer, whole or not


async def test_an_answer_is_read(asker: Asker) -> None:
    body = b'{"ok": true}'
    async with RawServer(after_reading(answer(body, b"418 Teapot", extra=b"retry-after: 7\r\n"))) as server:
        reply = await asker.post(server.host)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.json(), reply.whole, reply.asked_seconds(utc_now())) == (418, {"ok": True}, True, 7)


async def test_what_is_sent_names_its_charset_and_asks_for_no_compression(asker: Asker) -> None:
    requests: list[bytes] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(answer())
        await writer.drain()

    async with RawServer(record) as server:
        await asker.post(server.host)
    head, _, body = requests[0].lower().partition(b"\r\n\r\n")
    assert b"content-type: application/json; charset=utf-8" in head
    assert b"accept-encoding: identity" in head
    assert b"user-agent: notification-router/" in head
    assert body == b'{"text":"xxxxxxxxxx"}'


async def test_a_redirect_is_not_followed(asker: Asker) -> None:
    async with RawServer(after_reading(answer(b"", b"307 Elsewhere", extra=b"location: /elsewhere\r\n"))) as server:
        reply = await asker.post(server.host)
        assert isinstance(reply, Reply)
        assert (reply.status, server.connections) == (307, 1)


async def test_a_body_that_is_cut_keeps_its_status(asker: Asker) -> None:
    async with RawServer(after_reading(answer(b'{"ok":true}', length=99))) as server:
        reply = await asker.post(server.host)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.whole, reply.json(), reply.text) == (200, False, None, '{"ok":true}')


async def test_a_body_that_never_ends_keeps_its_status(asker: Asker) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b"", length=10**6))
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with RawServer(drip) as server:
        reply = await asker.post(server.host, seconds=0.3)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.whole) == (200, False)


async def test_a_body_without_bounds_is_not_kept(asker: Asker) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b"", length=10**9))
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            return

    async with RawServer(flood) as server:
        reply = await asker.post(server.host)
        assert isinstance(reply, Reply)
        assert (reply.whole, len(reply.body)) == (False, MAX_REPLY_BYTES)
        assert isinstance(await asker.post(server.host), Reply), "the connection's place must be free again"


async def test_a_cancelled_request_is_cancelled(asker: Asker) -> None:
    async with RawServer(silent) as server:
        task = asyncio.create_task(asker.post(server.host))
        while server.connections == 0:  # noqa: ASYNC110 - the deadline is the test's
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# --- by way of a proxy


@pytest.mark.parametrize(
    ("variable", "value", "bypass", "is_asked"),
    [
        ("HTTP_PROXY", "http://{}", "", True),
        ("http_proxy", "{}", "", True),
        ("ALL_PROXY", "http://{}", "", True),
        ("HTTPS_PROXY", "http://{}", "", False),
        ("HTTP_PROXY", "http://{}", "other.example,.invalid", False),
        ("HTTP_PROXY", "http://{}", "*", False),
    ],
)
async def test_the_proxy_of_the_environment_is_asked(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, bypass: str, is_asked: bool
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    resolve = asyncio.get_running_loop().getaddrinfo
    requests: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(answer())
        await writer.drain()

    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    async with RawServer(proxy) as server:
        monkeypatch.setenv(variable, value.format(server.host))
        monkeypatch.setenv("NO_PROXY", bypass)
        monkeypatch.setattr(
            asyncio.get_running_loop(),
            "getaddrinfo",
            lambda host, *more, **names: (refuse if host == "peer.invalid" else resolve)(host, *more, **names),
        )
        reply = await asker.post("peer.invalid")
    if is_asked:
        assert isinstance(reply, Reply)
        assert requests[0].startswith(f"POST http://peer.invalid/{SECRET} HTTP/1.1\r\n".encode())
    else:
        assert "could not be resolved" in no_reply(reply).reason
        assert requests == []


async def test_no_cookie_is_kept(asker: Asker) -> None:
    requests: list[bytes] = []

    async def bake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                requests.append(await read_request(reader))
            except asyncio.IncompleteReadError:
                return
            writer.write(answer(extra=b"set-cookie: crumbs=1; path=/\r\n"))
            await writer.drain()

    async with RawServer(bake) as server:
        for _ in range(2):
            assert isinstance(await asker.post(server.host), Reply)
    assert len(requests) == 2
    assert b"crumbs" not in requests[1]


async def test_no_more_addresses_are_kept_ready_than_is_set(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_PLACES", 2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer())
        await writer.drain()

    async with RawServer(serve) as one, RawServer(serve) as two, RawServer(serve) as three:
        for server in (one, two, three, one):
            assert isinstance(await asker.post(server.host), Reply)
    assert len(asker.client._places) == 2


# --- pure parts


@given(st.text(), st.integers(1, 50))
def test_a_quotation_is_one_bounded_line(text: str, limit: int) -> None:
    line = quoted(text, limit=limit)
    assert len(line) <= limit + 2
    assert line.isprintable()


def test_a_quotation_blots_secrets_out() -> None:
    assert quoted(f"no {SECRET}\nhere", SECRET) == "“no … here”"
