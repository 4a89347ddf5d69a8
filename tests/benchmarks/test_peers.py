"""The benchmark's peers: what they answer, how they limit, hang and refuse, and what they say of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiosmtplib import SMTP

from benchmarks.peer import Peer, peers
from benchmarks.peers.manner import Limit, Manner
from benchmarks.traffic import message_id, target


@pytest.fixture
async def slack(tmp_path: Path) -> AsyncIterator[Peer]:
    async with peers(["slack"], tmp_path) as found:
        yield found["slack"]


def post(number: int) -> dict[str, str]:
    return {"channel": target("slack", 5), "text": f"{message_id(number)} failed"}


async def test_a_send_is_answered_and_noted_with_its_message_target_and_moment(slack: Peer) -> None:
    before_ns = time.monotonic_ns()
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{slack.url}/chat.postMessage", json=post(42))
    assert answer.json()["ok"] is True
    arrivals = await slack.arrivals()
    assert (arrivals.numbers, arrivals.targets) == ([42], [target("slack", 5)])
    assert before_ns < arrivals.at_ns[0] < arrivals.last_answer_ns < time.monotonic_ns()
    await slack.reset()
    assert await slack.accepted() == 0


async def test_many_requests_over_one_connection_and_side_by_side_are_all_noted(slack: Peer) -> None:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=5)) as http:
        answers = await asyncio.gather(
            *(http.post(f"{slack.url}/chat.postMessage", json=post(number)) for number in range(50))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert sorted((await slack.arrivals()).numbers) == list(range(50))


async def test_past_its_rate_it_says_when_to_come_again(slack: Peer) -> None:
    await slack.behave(Manner(rate_per_second=0.5, burst=2))
    async with httpx.AsyncClient() as http:
        answers = [await http.post(f"{slack.url}/chat.postMessage", json=post(number)) for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "2"
    arrivals = await slack.arrivals()
    assert (len(arrivals.numbers), arrivals.requests) == (2, {"send": 3, "limited": 1})


async def test_it_answers_late_or_never_or_refuses_and_is_mended(slack: Peer) -> None:
    async with httpx.AsyncClient(timeout=0.3) as http:
        await slack.behave(Manner(delay_seconds=0.1))
        began = time.monotonic()
        await http.post(slack.url, json=post(1))
        assert time.monotonic() - began >= 0.1
        await slack.behave(Manner(hangs=True))
        with pytest.raises(httpx.ReadTimeout):
            await http.post(slack.url, json=post(2))
        await slack.refuse()
        with pytest.raises(httpx.ConnectError):
            await http.post(slack.url, json=post(3))
        await slack.mend()
        await http.post(slack.url, json=post(4))
    assert (await slack.arrivals()).numbers == [1, 4]


async def test_the_mail_peer_takes_mails_one_after_the_other(tmp_path: Path) -> None:
    async with peers(["email"], tmp_path) as found:
        peer = found["email"]
        client = SMTP(hostname="127.0.0.1", port=peer.port, use_tls=False, start_tls=False, timeout=5)
        await client.connect()
        for number in (7, 8):
            mail = f"Subject: {message_id(number)}\r\n\r\n.dot\r\n".encode()
            await client.sendmail("a@bench.example", [target("email", number)], mail)
        await client.quit()
        arrivals = await peer.arrivals()
    assert list(zip(arrivals.numbers, arrivals.targets, strict=True)) == [
        (7, target("email", 7)),
        (8, target("email", 8)),
    ]


def test_a_limit_lets_a_burst_through_and_then_its_rate() -> None:
    limit = Limit(10, 10)
    assert [limit.retry_after_seconds(100.0) for _ in range(12)] == [0] * 10 + [1, 1]
    # Ten tokens a second: a tenth of a second later there is one again, and only one.
    assert [limit.retry_after_seconds(100.1) for _ in range(2)] == [0, 1]
    assert sum(limit.retry_after_seconds(200.0) == 0 for _ in range(20)) == 10


def test_a_slow_limit_asks_for_whole_seconds_rounded_up() -> None:
    limit = Limit(0.4, 1)
    assert limit.retry_after_seconds(0.0) == 0
    assert limit.retry_after_seconds(0.0) == 3
    assert limit.retry_after_seconds(2.4) == 1
    assert limit.retry_after_seconds(2.5) == 0
