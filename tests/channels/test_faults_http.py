"""What a broken network or server may do to a message over HTTP, on real sockets, for every channel that speaks it.

A row says what each of the four makes of a fault: Matrix, Slack's Web API, a Slack webhook, the Sphinx bot.
"""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TypeVar

import pytest
import trustme

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent, Uncertain
from router.channels.http import MAX_REPLY_BYTES
from router.channels.matrix.client import MAX_ANSWER_BYTES
from router.channels.matrix.outcomes import DEFAULT_PAUSE_SECONDS
from tests.channels.raw_server import RawServer, Script, answer, reset
from tests.channels.ways import MATRIX, SECRET, SLACK, SPHINX, WAYS, WEBHOOK, Way

ATTEMPT_SECONDS = 1.0
PATIENT_SECONDS = 20.0
"""The same where the answer comes at once, so that a busy machine does not count as a fault."""
BUSY_SECONDS = 1.5
"""What an attempt may take on top of that on a busy machine. It is bounded to a little less than its time by the channel."""

HTML = b"<html><h1>Bad Gateway</h1></html>"

T = TypeVar("T")
Words = tuple[str, str, str, str]
OnMessage = Callable[[asyncio.StreamWriter, Way], Awaitable[None]]


def in_a_word(outcome: Outcome) -> str:
    """`down` is a retry that says that the host is down, `later` one that does not."""
    match outcome:
        case Rejected():
            return outcome.scope.value
        case Retry(pauses=Scope()):
            assert not outcome.host_is_down
            return f"pause {outcome.pauses}"
        case Retry():
            return "down" if outcome.host_is_down else "later"
        case _:
            return type(outcome).__name__.lower()


async def attempt(way: Way, url: str, seconds: float = ATTEMPT_SECONDS) -> Outcome:
    """One attempt, which must end in time, whatever happens to it, and give no secret and no address away."""
    channel, outgoing = way.open(url, seconds)
    try:
        async with asyncio.timeout(seconds + BUSY_SECONDS):
            outcome = await channel.send(outgoing)
    finally:
        await channel.close()
    if not isinstance(outcome, Sent):
        assert outcome.reason
        assert SECRET not in f"{outcome.reason} {outcome.code}"
        assert "127.0.0.1" not in outcome.reason
    return outcome


async def attempt_against(way: Way, on_message: OnMessage, seconds: float = PATIENT_SECONDS) -> Outcome:
    """One attempt against a server that does `on_message` to the message."""
    async with RawServer(way.server(lambda writer: on_message(writer, way))) as server:
        return await attempt(way, f"http://{server.host}", seconds)


async def check_rows(
    way: Way, table: dict[str, tuple[T, Words]], fault_of: Callable[[T], OnMessage], seconds: float = PATIENT_SECONDS
) -> None:
    """All rows of a table at once, so that what has to be waited for is waited for once: each must come out as it says."""
    number = WAYS.index(way)
    outcomes = await asyncio.gather(*(attempt_against(way, fault_of(fault), seconds) for fault, _ in table.values()))
    found = dict(zip(table, map(in_a_word, outcomes), strict=True))
    assert found == {name: words[number] for name, (_, words) in table.items()}


each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)


def says(*pieces: bytes, hangs: bool = False) -> OnMessage:
    """Write `pieces`, ACCEPTED for an answer that accepts the message; then hang up, or hang."""

    async def on_message(writer: asyncio.StreamWriter, way: Way) -> None:
        for piece in pieces:
            writer.write(answer(way.accepted) if piece == ACCEPTED else piece)
            await writer.drain()
        if hangs:
            await asyncio.Event().wait()

    return on_message


ACCEPTED = b"what this way takes for an acceptance"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n"


# --- before the bytes left


@contextmanager
def nobody_there() -> Iterator[str]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"


@contextmanager
def no_room() -> Iterator[str]:
    """A listener whose queue is full: a connection never opens."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


async def by_each_way(one: Callable[[Way], Awaitable[Outcome]]) -> list[str]:
    """The same by every way, side by side."""
    return [in_a_word(outcome) for outcome in await asyncio.gather(*map(one, WAYS))]


@pytest.mark.parametrize("place", [nobody_there, no_room])
async def test_no_connection(place: Callable[[], AbstractContextManager[str]]) -> None:
    with place() as url:
        assert await by_each_way(lambda way: attempt(way, url)) == ["down"] * 4


async def _refuse_names(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def _never_resolve(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("resolve", [_refuse_names, _never_resolve])
async def test_no_such_name(resolve: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    async def one(way: Way) -> Outcome:
        outcome = await attempt(way, "https://host.invalid")
        assert isinstance(outcome, Retry)
        assert "host.invalid" not in outcome.reason
        return outcome

    # Not by the machine's own resolver, which may take many seconds where there is no network.
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    assert await by_each_way(one) == ["down"] * 4


async def _silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    reset(writer)


async def _plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(answer(HTML, b"400 Bad Request"))
    await writer.drain()


@pytest.mark.parametrize("handshake", [_silent, _cut, _plain])
async def test_no_tls(handshake: Script) -> None:
    async with RawServer(handshake) as server:
        url = f"https://{server.host}"
        assert await by_each_way(lambda way: attempt(way, url)) == ["down"] * 4


@asynccontextmanager
async def secured(way: Way, certificate: trustme.LeafCert) -> AsyncIterator[str]:
    """A server with `certificate`, which accepts every message."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    async with RawServer(way.server(lambda writer: says(ACCEPTED)(writer, way)), context) as server:
        yield f"https://{server.host}"


@each_way
async def test_a_certificate_by_a_stranger(way: Way) -> None:
    async with secured(way, trustme.CA().issue_cert("127.0.0.1")) as url:
        outcome = await attempt(way, url)
    assert in_a_word(outcome) == "down"
    assert isinstance(outcome, Retry)
    assert "TLS certificate" in outcome.reason


# Not for Matrix: aiohttp reads the trusted authorities when it is imported, so that no test can add one.
@pytest.mark.parametrize("way", [SLACK, WEBHOOK, SPHINX], ids=lambda way: way.name)
async def test_a_certificate_that_has_expired(
    way: Way, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with secured(way, authority.issue_cert("127.0.0.1")) as url:
        assert isinstance(await attempt(way, url, PATIENT_SECONDS), Sent), "one that has not expired must pass"
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    expired = authority.issue_cert("127.0.0.1", not_before=long_ago, not_after=long_ago + timedelta(days=1))
    async with secured(way, expired) as url:
        outcome = await attempt(way, url)
    assert in_a_word(outcome) == "down"
    assert isinstance(outcome, Retry)
    assert "TLS certificate" in outcome.reason


# --- after the bytes left


async def _reset(writer: asyncio.StreamWriter, _: Way) -> None:
    reset(writer)


async def _hints_without_end(writer: asyncio.StreamWriter, _: Way) -> None:
    while not writer.is_closing():
        writer.write(HINTS)
        await writer.drain()
        await asyncio.sleep(0.01)


UNANSWERED: Words = ("down", "uncertain", "uncertain", "uncertain")
NO_ANSWERS: dict[str, tuple[OnMessage, Words]] = {
    "silence": (says(hangs=True), UNANSWERED),
    "a reset": (_reset, UNANSWERED),
    "an end": (says(), UNANSWERED),
    "an end in the head": (says(b"HTTP/1.1 200 OK\r\ncontent-le"), UNANSWERED),
    "silence in the head": (says(b"HTTP/1.1 200 OK\r\ncontent-le", hangs=True), UNANSWERED),
    "no HTTP": (says(b"220 mail.example.org ESMTP\r\n"), UNANSWERED),
    "noise": (says(bytes(range(256)) * 8), UNANSWERED),
    "a head without end": (says(b"HTTP/1.1 200 OK\r\n" + b"x-filler: 0123456789abcdef\r\n" * 20_000), UNANSWERED),
    "100 and silence": (says(CONTINUE, hangs=True), UNANSWERED),
    "103 and an end": (says(HINTS), UNANSWERED),
    "103 without end": (_hints_without_end, UNANSWERED),
    "silence in the body": (says(answer(b'{"ok"', length=99), hangs=True), UNANSWERED),
    "an end in the body": (says(answer(b'{"ok"', length=99)), UNANSWERED),
    "an end in a chunk": (
        says(b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n{"ok":tr'),
        UNANSWERED,
    ),
    "a length that is none": (says(b"HTTP/1.1 200 OK\r\ncontent-length: -7\r\n\r\n{}"), UNANSWERED),
}


@each_way
async def test_no_whole_answer(way: Way) -> None:
    await check_rows(way, NO_ANSWERS, lambda fault: fault, ATTEMPT_SECONDS)


@each_way
async def test_an_answer_after_preliminary_ones(way: Way) -> None:
    preliminaries = (CONTINUE, HINTS, CONTINUE + HINTS + HINTS)
    outcomes = await asyncio.gather(*(attempt_against(way, says(first, ACCEPTED)) for first in preliminaries))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)


STATUSES: dict[str, tuple[bytes, Words]] = {
    "101": (b"101 Switching Protocols", ("later", "uncertain", "uncertain", "uncertain")),
    "202": (b"202 Accepted", ("later", "uncertain", "uncertain", "uncertain")),
    "204": (b"204 No Content", ("later", "uncertain", "uncertain", "uncertain")),
    "300": (b"300 Multiple Choices", ("later", "later", "later", "later")),
    "301": (b"301 Moved Permanently", ("later", "later", "later", "later")),
    "304": (b"304 Not Modified", ("later", "later", "later", "later")),
    "307": (b"307 Temporary Redirect", ("later", "later", "later", "later")),
    "400": (b"400 Bad Request", ("later", "message", "message", "message")),
    "401": (b"401 Unauthorized", ("later", "channel", "message", "channel")),
    "403": (b"403 Forbidden", ("later", "channel", "target", "channel")),
    "404": (b"404 Not Found", ("later", "channel", "target", "channel")),
    "408": (b"408 Request Timeout", ("later", "later", "later", "later")),
    "413": (b"413 Content Too Large", ("message", "message", "message", "message")),
    "418": (b"418 I'm a teapot", ("later", "message", "message", "message")),
    "429": (b"429 Too Many Requests", ("pause channel", "pause target", "pause target", "pause channel")),
    "451": (b"451 Unavailable For Legal Reasons", ("later", "message", "message", "message")),
    "500": (b"500 Internal Server Error", ("down", "uncertain", "uncertain", "uncertain")),
    "501": (b"501 Not Implemented", ("down", "uncertain", "uncertain", "uncertain")),
    "502": (b"502 Bad Gateway", ("down", "uncertain", "uncertain", "uncertain")),
    "503": (b"503 Service Unavailable", ("down", "down", "down", "down")),
    "504": (b"504 Gateway Timeout", ("down", "uncertain", "uncertain", "uncertain")),
    "522": (b"522 Connection Timed Out", ("down", "uncertain", "uncertain", "uncertain")),
    "999": (b"999 Whatever", ("later", "uncertain", "uncertain", "later")),
}
"""With a proxy's page for a body."""


def page(status: bytes) -> OnMessage:
    elsewhere = b"location: /elsewhere\r\n" if status.startswith(b"3") else b""
    return says(answer(b"" if status[:3] in (b"101", b"204", b"304") else HTML, status, extra=elsewhere))


@each_way
async def test_each_class_of_status(way: Way) -> None:
    await check_rows(way, STATUSES, page)


def in_seconds(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def retry_after() -> list[tuple[str, tuple[float, float] | None]]:
    """The header, and between what and what the wait must be; None where it makes no sense. Two of them count from now."""
    return [
        ("7", (7, 7)),
        (in_seconds(600), (300, 600)),
        (in_seconds(-30), (0, 0)),
        ("9" * 400, (3600, 3600)),
        ("soon", None),
        ("-5", None),
        ("7, 9", None),
        ("", None),
        ("\xbd \xff", None),
    ]


@pytest.mark.parametrize("status", [b"429 Too Many Requests", b"503 Service Unavailable"])
@each_way
async def test_retry_after(way: Way, status: bytes) -> None:
    headers = retry_after()
    outcomes = await asyncio.gather(
        *(
            attempt_against(way, says(answer(HTML, status, extra=b"retry-after: %s\r\n" % header.encode("latin-1"))))
            for header, _ in headers
        )
    )
    for (header, wait), outcome in zip(headers, outcomes, strict=True):
        assert isinstance(outcome, Retry), header
        assert (outcome.pauses is None, outcome.host_is_down) == (status.startswith(b"503"),) * 2, header
        if wait is None:
            # Matrix always pauses for a named time.
            assert outcome.after_seconds == (DEFAULT_PAUSE_SECONDS if way is MATRIX and outcome.pauses else None), (
                header
            )
        else:
            assert outcome.after_seconds is not None
            assert wait[0] <= outcome.after_seconds <= wait[1], header


UNREADABLE: Words = ("later", "uncertain", "uncertain", "uncertain")
GARBAGE: dict[str, tuple[bytes, Words]] = {
    "nothing": (answer(b""), UNREADABLE),
    "a page": (answer(HTML), UNREADABLE),
    "null": (answer(b"null"), UNREADABLE),
    "a list": (answer(b'[{"event_id":"$x","ok":true,"status":"COMPLETE"}]'), UNREADABLE),
    "a text": (answer(b'"ok"'), UNREADABLE),
    "a number": (answer(b"7"), UNREADABLE),
    "an empty object": (answer(b"{}"), UNREADABLE),
    "wrong types": (answer(b'{"event_id":7,"ok":"true","status":["COMPLETE"]}'), UNREADABLE),
    "half an object": (answer(b'{"event_id":"$x","ok":true,"status":"COMPLETE"'), UNREADABLE),
    "two objects": (answer(b'{"event_id":"$x","ok":true,"status":"COMPLETE"} {}'), UNREADABLE),
    "no UTF-8": (answer(b'{"event_id":"\xff","ok":true,"status":"COMPLETE","x":"\xff"}'), UNREADABLE),
    "UTF-16": (
        answer(
            '{"event_id":"$x","ok":true,"status":"COMPLETE"}'.encode("utf-16"),
            extra=b"content-type: application/json; charset=utf-16\r\n",
        ),
        UNREADABLE,
    ),
    "an unknown charset": (answer(HTML, extra=b"content-type: text/html; charset=klingon\r\n"), UNREADABLE),
    "too deep": (answer(b"[" * 100_000), UNREADABLE),
    "huge": (answer(b'{"x":"' + b"x" * max(MAX_REPLY_BYTES, MAX_ANSWER_BYTES) + b'"}'), UNREADABLE),
    "compressed unasked": (answer(gzip.compress(HTML), extra=b"content-encoding: gzip\r\n"), UNREADABLE),
    "compressed, it says": (
        answer(HTML, extra=b"content-encoding: gzip\r\n"),
        ("down", "uncertain", "uncertain", "uncertain"),
    ),
}


@each_way
async def test_garbage_that_says_success(way: Way) -> None:
    await check_rows(way, GARBAGE, says)


@each_way
async def test_what_was_accepted_is_not_sent_again(way: Way) -> None:
    """The connection breaks under the answer that accepts: nobody may call that sent, nor certainly not sent."""
    accepted = answer(way.accepted, length=len(way.accepted) + 1)
    outcome = await attempt_against(way, says(accepted))
    # A homeserver tells the repeat; a webhook says no more than `ok`, of which nothing is missing.
    assert in_a_word(outcome) == {MATRIX: "down", WEBHOOK: "sent"}.get(way, "uncertain")
    if isinstance(outcome, Uncertain):
        assert "nobody knows" in outcome.reason or "may have" in outcome.reason
