"""Connections to the mail server: kept, shared out, replaced when dead, and never waited for too long."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from router.channels.base import Outcome, Rejected, Retry, Sent
from router.channels.email import KIND
from router.demo.smtp import MailServer
from tests.channels.mails import outgoing, settings
from tests.servers.smtp import STAGES, Script, authority_file, server_tls

LOGIN = ("router", "hunter2")
DEADLINE_SECONDS = 5.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens on the other side of a socket."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - the condition is in another object's hands
            await asyncio.sleep(0.005)


def message_ids(server: MailServer) -> list[str]:
    return [str(mail.message["Message-ID"]) for mail in server.mails()]


async def test_a_connection_is_kept_and_used_again(tmp_path: Path) -> None:
    async with MailServer(starttls=server_tls(), login=LOGIN) as server:
        channel = KIND.open(settings(server, security="starttls", ca_file=authority_file(tmp_path), login=LOGIN))
        for number in range(20):
            assert isinstance(await channel.send(outgoing(name=f"m{number}")), Sent)
        assert (server.connections, server.open_connections) == (1, 1)
        await channel.close()
        await until(lambda: server.open_connections == 0)

    assert len(set(message_ids(server))) == 20


async def test_no_more_connections_than_are_set() -> None:
    script = Script()
    script.hold = asyncio.Event()
    async with MailServer(answer=script) as server:
        channel = KIND.open(settings(server, concurrency=3))
        sends = [asyncio.create_task(channel.send(outgoing(name=f"m{number}"))) for number in range(30)]
        await until(lambda: script.reached["END"] == 3)
        assert server.open_connections == 3
        script.hold.set()
        outcomes = await asyncio.gather(*sends)
        await channel.close()

    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert (server.connections, server.most_connections, len(set(message_ids(server)))) == (3, 3, 30)


async def test_an_idle_connection_is_closed_in_time_and_replaced() -> None:
    async with MailServer() as server:
        channel = KIND.open(settings(server, idle_seconds=0.1))
        await channel.send(outgoing(name="one"))
        await until(lambda: server.open_connections == 0)
        await channel.send(outgoing(name="two"))
        assert server.connections == 2
        await channel.close()

    assert len(server.mails()) == 2


async def test_a_connection_that_the_server_closed_is_replaced_and_nobody_notices() -> None:
    async with MailServer() as server:
        channel = KIND.open(settings(server))
        await channel.send(outgoing(name="one"))
        server.cut_connections()
        await until(lambda: server.open_connections == 0)
        outcome = await channel.send(outgoing(name="two"))
        await channel.close()

    assert isinstance(outcome, Sent)
    assert (server.connections, len(server.mails())) == (2, 2)


@pytest.mark.parametrize("action", [Script.CUT, Script.HANG, "421 4.4.2 idle for too long"])
async def test_a_stale_connection_is_found_at_mail_from_and_replaced_in_the_same_attempt(action: str) -> None:
    script = Script().then("MAIL", None, action)
    async with MailServer(answer=script) as server:
        channel = KIND.open(settings(server, connect_timeout_seconds=0.3))
        await channel.send(outgoing(name="one"))
        outcome = await channel.send(outgoing(name="two"))
        await channel.close()

    assert isinstance(outcome, Sent)
    assert (server.connections, script.reached["MAIL"], len(server.mails())) == (2, 3, 2)


@pytest.mark.parametrize("reply", ["250 OK", "502 what?", Script.CUT])
async def test_after_a_refusal_the_envelope_is_emptied_or_the_connection_replaced(reply: str) -> None:
    script = Script().then("RCPT", "550 5.1.1 unknown")
    async with MailServer(answer=script) as server:
        channel = KIND.open(settings(server))
        assert isinstance(await channel.send(outgoing(name="one")), Rejected)
        script.then("RSET", reply)
        outcome = await channel.send(outgoing(name="two"))
        await channel.close()

    assert isinstance(outcome, Sent)
    assert server.connections == (1 if reply == "250 OK" else 2)


async def test_replacing_a_stale_connection_keeps_to_the_bound() -> None:
    script = Script()
    script.hold = asyncio.Event()
    async with MailServer(answer=script) as server:
        channel = KIND.open(settings(server, concurrency=2, connect_timeout_seconds=0.3))
        pair = [asyncio.create_task(channel.send(outgoing(name=name))) for name in ("a", "b")]
        await until(lambda: script.reached["END"] == 2)
        script.hold.set()
        await asyncio.gather(*pair)
        script.hold.clear()
        # One finds its connection stale while another waits for its place: when its turn comes again, two may be idle.
        script.then("MAIL", Script.HANG)
        sends = [asyncio.create_task(channel.send(outgoing(name=name))) for name in ("c", "d", "e")]
        await until(lambda: script.reached["END"] == 4)
        script.hold.set()
        assert all(isinstance(outcome, Sent) for outcome in await asyncio.gather(*sends))
        await until(lambda: server.open_connections == 2)
        await channel.close()

    assert len(set(message_ids(server))) == 5


async def test_a_new_connection_that_dies_too_ends_the_attempt() -> None:
    script = Script().then("MAIL", None, Script.CUT, Script.CUT)
    async with MailServer(answer=script) as server:
        channel = KIND.open(settings(server))
        await channel.send(outgoing(name="one"))
        outcome = await channel.send(outgoing(name="two"))
        await channel.close()

    assert isinstance(outcome, Retry)
    assert (outcome.code, server.connections, script.reached["MAIL"]) == ("disconnected", 2, 3)


@pytest.mark.parametrize("stage", ["RCPT", "DATA", "END"])
async def test_once_the_mail_is_announced_nothing_is_repeated_within_an_attempt(stage: str) -> None:
    script = Script().then(stage, None, Script.CUT)
    async with MailServer(answer=script) as server:
        channel = KIND.open(settings(server))
        await channel.send(outgoing(name="one"))
        outcome = await channel.send(outgoing(name="two"))
        assert isinstance(outcome, Retry)
        assert (outcome.code, server.connections, script.reached[stage]) == ("disconnected", 1, 2)
        again = await channel.send(outgoing(name="two"))
        await channel.close()

    assert isinstance(again, Sent)


async def test_a_server_that_comes_back_is_found() -> None:
    server = MailServer()
    await server.start()
    channel = KIND.open(settings(server))
    assert isinstance(await channel.send(outgoing(name="one")), Sent)
    await server.stop()
    down = await channel.send(outgoing(name="two"))
    await server.start()
    back = await channel.send(outgoing(name="two"))
    await channel.close()
    await server.stop()

    assert isinstance(down, Retry)
    assert down.code == "refused"
    assert isinstance(back, Sent)
    assert len(server.mails()) == 2


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("action", [Script.HANG, Script.CUT])
async def test_a_server_that_hangs_or_breaks_off_at_any_stage(stage: str, action: str, tmp_path: Path) -> None:
    script = Script().then(stage, action)
    async with MailServer(starttls=server_tls(), login=LOGIN, answer=script) as server:
        channel = KIND.open(
            settings(
                server,
                security="starttls",
                ca_file=authority_file(tmp_path),
                login=LOGIN,
                connect_timeout_seconds=0.4,
                attempt_timeout_seconds=0.5,
            )
        )
        began = time.monotonic()
        outcome = await channel.send(outgoing())
        seconds = time.monotonic() - began
        await until(lambda: server.open_connections == 0)
        await channel.close()

    assert isinstance(outcome, Retry)
    assert outcome.code == ("timeout" if action == Script.HANG else "disconnected")
    assert seconds < 2
    assert server.mails() == ()


@pytest.mark.parametrize("stage", ["CONNECT", "EHLO", "AUTH"])
async def test_a_check_ends_in_time_too(stage: str) -> None:
    async with MailServer(login=LOGIN, answer=Script().then(stage, Script.HANG)) as server:
        channel = KIND.open(settings(server, login=LOGIN, connect_timeout_seconds=0.3))
        [result] = await channel.check()
        await channel.close()

    assert not result.ok
    assert "too long" in result.detail


async def test_waiting_for_a_free_connection_counts_too() -> None:
    script = Script()
    script.hold = asyncio.Event()
    async with MailServer(answer=script) as server:
        channel = KIND.open(settings(server, concurrency=1, attempt_timeout_seconds=0.3))
        outcomes: list[Outcome] = await asyncio.gather(*(channel.send(outgoing(name=f"m{n}")) for n in range(3)))
        await channel.close()

    assert [getattr(outcome, "code", None) for outcome in outcomes] == ["timeout"] * 3


@pytest.mark.parametrize("stage", STAGES)
async def test_a_cancelled_attempt_leaves_nothing_behind(stage: str, tmp_path: Path) -> None:
    script = Script().then(stage, Script.HANG)
    async with MailServer(starttls=server_tls(), login=LOGIN, answer=script) as server:
        channel = KIND.open(
            settings(server, security="starttls", ca_file=authority_file(tmp_path), login=LOGIN, concurrency=1)
        )
        task = asyncio.create_task(channel.send(outgoing(name="one")))
        await until(lambda: script.reached[stage] == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.open_connections == 0)
        assert isinstance(await channel.send(outgoing(name="two")), Sent)
        await channel.close()


async def test_closing_does_not_wait_for_a_server_that_hangs(tmp_path: Path) -> None:
    script = Script()
    async with MailServer(tls=server_tls(), answer=script) as server:
        channel = KIND.open(settings(server, security="tls", ca_file=authority_file(tmp_path)))
        await channel.send(outgoing())
        script.then("QUIT", Script.HANG)
        began = time.monotonic()
        await channel.close()
        assert time.monotonic() - began < 3
        await until(lambda: server.open_connections == 0)


async def test_an_attempt_in_flight_may_end_after_closing() -> None:
    script = Script()
    script.hold = asyncio.Event()
    async with MailServer(answer=script) as server:
        channel = KIND.open(settings(server))
        send = asyncio.create_task(channel.send(outgoing()))
        await until(lambda: script.reached["END"] == 1)
        await channel.close()
        script.hold.set()
        assert isinstance(await send, Sent)
        await until(lambda: server.open_connections == 0)


async def test_a_repeat_after_silence_is_the_same_mail() -> None:
    """The server took the mail, but its answer was lost: what comes again has the same Message-ID and bytes."""
    async with MailServer(answer=Script().then("TAKEN", Script.HANG)) as server:
        channel = KIND.open(settings(server, attempt_timeout_seconds=0.3))
        lost = await channel.send(outgoing())
        again = await channel.send(outgoing())
        await channel.close()

    assert isinstance(lost, Retry)
    assert isinstance(again, Sent)
    first, second = server.mails()
    assert first.content == second.content
