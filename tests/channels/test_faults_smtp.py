"""What a broken network or server may do to a mail, on real sockets; `test_email_connections` has what happens at each stage."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
import trustme

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent
from router.channels.email import KIND
from router.demo.smtp import MailServer
from router.settings import EmailSettings
from tests.channels.mails import outgoing, settings
from tests.channels.raw_server import RawServer, Script, reset
from tests.servers.smtp import Script as MailScript
from tests.servers.smtp import authority, authority_file, server_tls

ATTEMPT_SECONDS = 0.6
BUSY_SECONDS = 1.5
"""What an attempt may take on top of that on a busy machine."""


async def attempt(wanted: EmailSettings) -> Outcome:
    """One attempt, which must end in time."""
    channel = KIND.open(wanted)
    try:
        async with asyncio.timeout(wanted.attempt_timeout_seconds + BUSY_SECONDS):
            return await channel.send(outgoing())
    finally:
        await channel.close()


def hasty(port: int, security: Literal["tls", "starttls", "none"] = "none") -> EmailSettings:
    return settings(
        port=port, security=security, attempt_timeout_seconds=ATTEMPT_SECONDS, connect_timeout_seconds=ATTEMPT_SECONDS
    )


def is_down(outcome: Outcome, code: object) -> bool:
    assert isinstance(outcome, Retry)
    assert outcome.reason
    return (outcome.host_is_down, outcome.pauses, outcome.code) == (True, None, code)


# --- before a word was said


async def test_a_connection_that_never_opens() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        assert is_down(await attempt(hasty(full.getsockname()[1])), "timeout")


async def test_a_connection_that_nobody_takes_up() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(5)
        assert is_down(await attempt(hasty(deaf.getsockname()[1])), "timeout")


async def _refuse_names(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def _never_resolve(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(("resolve", "code"), [(_refuse_names, "dns"), (_never_resolve, "timeout")])
async def test_no_such_name(
    resolve: Callable[..., Awaitable[None]], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    assert is_down(await attempt(hasty(25).model_copy(update={"host": "mail.invalid"})), code)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_that_has_expired(security: Literal["tls", "starttls"], tmp_path: Path) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    context = server_tls()
    certificate: trustme.LeafCert = authority().issue_cert(
        "127.0.0.1", not_before=long_ago, not_after=long_ago + timedelta(days=1)
    )
    certificate.configure_cert(context)
    async with MailServer(**{security: context}) as server:  # type: ignore[arg-type]
        outcome = await attempt(settings(server, security=security, ca_file=authority_file(tmp_path)))
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code) == (Scope.CHANNEL, "certificate")
    assert "expired" in outcome.reason
    assert server.mails() == ()


# --- garbage for a greeting


def greets(*pieces: bytes, hangs: bool = False, resets: bool = False) -> Script:
    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if hangs:
            await asyncio.Event().wait()
        if resets:
            reset(writer)

    return script


async def _talk_without_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"220-still greeting\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


GREETINGS: dict[str, tuple[Script, object]] = {
    "an end": (greets(), "disconnected"),
    "a reset": (greets(resets=True), "disconnected"),
    "half a line": (greets(b"220 mail.exam"), "disconnected"),
    "half a line and silence": (greets(b"220 mail.exam", hangs=True), "timeout"),
    "half a greeting": (greets(b"220-mail.example.org\r\n", hangs=True), "timeout"),
    "a greeting without end": (_talk_without_end, "timeout"),
    "HTTP": (greets(b"HTTP/1.1 400 Bad Request\r\n\r\n", hangs=True), -1),
    "noise": (greets(bytes(range(256)) + b"\r\n", hangs=True), -1),
    "a line without end": (greets(b"220 " + b"x" * 2_000_000 + b"\r\n", hangs=True), -1),
    "199": (greets(b"199 wait\r\n", hangs=True), 199),
    "354": (greets(b"354 go on\r\n", hangs=True), 354),
    "421": (greets(b"421 4.3.2\xff closing\r\n", hangs=True), 421),
    "451": (greets(b"451 4.3.0 try later\r\n", hangs=True), 451),
    "999": (greets(b"999 what\r\n", hangs=True), 999),
}


async def test_garbage_for_a_greeting() -> None:
    async def one(script: Script) -> Outcome:
        async with RawServer(script) as server:
            return await attempt(hasty(server.port))

    outcomes = await asyncio.gather(*(one(script) for script, _ in GREETINGS.values()))
    found = {
        name: (outcome.code, getattr(outcome, "pauses", None), getattr(outcome, "host_is_down", None))
        for name, outcome in zip(GREETINGS, outcomes, strict=True)
        if not isinstance(outcome, Sent)
    }
    slowed = {"421": (421, Scope.CHANNEL, False)}
    assert found == {name: (code, None, True) for name, (_, code) in GREETINGS.items()} | slowed


# --- a reply of every class once mail flows


REPLIES: dict[str, str] = {
    "111 what": "later",
    "355 what": "later",
    "421 closing": "down",
    "450 4.2.0 greylisted": "later",
    "451 4.3.0 later": "later",
    "452 4.3.1 disk full": "later",
    "503 bad sequence": "later",
    "599 no": "refused",
    "612 what": "later",
    "nonsense": "later",
    "550 " + "x" * 400: "refused",
    "550 caf\xe9 \u2028 \u202e no": "refused",
}


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "END"])
async def test_a_reply_of_every_class(stage: str) -> None:
    script = MailScript().then(stage, *REPLIES)
    found: dict[str, str] = {}
    async with MailServer(answer=script) as server:
        # Each on a connection of its own: on one that was kept, 421 would be taken for the end of that connection alone.
        for reply in REPLIES:
            outcome = await attempt(settings(server))
            assert isinstance(outcome, Retry | Rejected), reply
            outcome.reason.encode()
            assert outcome.reason.isprintable()
            assert len(outcome.reason) < 600
            found[reply] = "refused" if isinstance(outcome, Rejected) else "down" if outcome.host_is_down else "later"
        assert isinstance(await attempt(settings(server)), Sent)
    assert found == REPLIES
    assert len(server.mails()) == 1
