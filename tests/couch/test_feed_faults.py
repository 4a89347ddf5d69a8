"""The feed outlives every trouble, says what it is in a sentence, and does not hammer: against a scripted server."""

import asyncio
import random
from collections.abc import MutableMapping
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from router.couch.errors import CouchError, DatabaseMissing, Refused
from router.couch.feed import Feed
from router.settings import CouchDBSettings
from tests.couch.following import feed_of, following, quick_settings
from tests.peers.feed import Connection, FeedPeer, Script, feed_peer, idle, row_line, until

Logs = list[MutableMapping[str, Any]]


def loud(logs: Logs) -> Logs:
    """What an operator sees at level warning and above."""
    return [entry for entry in logs if entry["log_level"] in ("warning", "error")]


def answering(status: int, body: bytes = b"", content_type: str = "application/json") -> Script:
    async def script(connection: Connection) -> None:
        await connection.answer(status, body, content_type)

    return script


def refusing(status: int, error: str, reason: str) -> Script:
    async def script(connection: Connection) -> None:
        await connection.error(status, error, reason)

    return script


def raw(data: bytes) -> Script:
    async def script(connection: Connection) -> None:
        await connection.raw(data)

    return script


async def good(connection: Connection) -> None:
    await connection.open()
    await connection.send(row_line("1-x", "good"))
    await connection.heartbeats()


async def error_line(connection: Connection) -> None:
    await connection.open()
    await connection.send(b'\n{"error":"timeout","reason":"The shard did not answer"}\n')
    await connection.silence()


async def html_lines(connection: Connection) -> None:
    await connection.open()
    await connection.send(b"<html>\n<body>\n")
    await connection.silence()


async def bad_chunk(connection: Connection) -> None:
    await connection.open()
    await connection.raw(b"nonsense\r\n")
    await connection.silence()


async def no_answer(connection: Connection) -> None:
    await connection.silence()


async def half_open(connection: Connection) -> None:
    await connection.open()
    await connection.silence()


async def answer_within_the_answer(connection: Connection) -> None:
    """What CouchDB 3.5.2 was seen to send to a feed that is open when the server is put into maintenance mode."""
    await connection.open()
    await connection.send(b"\n")
    await asyncio.sleep(0.05)  # the reader is waiting again
    await connection.error(412, "nodedown", "progress not possible")
    await connection.silence()


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

TROUBLES: list[tuple[str, Script, str]] = [
    (
        "401",
        refusing(401, "unauthorized", "Name or password is incorrect."),
        "ROUTER_COUCHDB__USERNAME and ROUTER_COUCHDB__PASSWORD",
    ),
    ("403", refusing(403, "forbidden", "You are not allowed to access this db."), "ROUTER_COUCHDB__USERNAME"),
    ("404", refusing(404, "not_found", "Database does not exist."), "ROUTER_COUCHDB__DATABASE"),
    ("400 at 0", refusing(400, "bad_request", "No."), "No."),
    ("429", answering(429), "429"),
    ("500", refusing(500, "internal_server_error", "badarg"), "badarg"),
    ("502 from a proxy", answering(502, b"<html>Bad gateway</html>", "text/html"), "502"),
    ("503", refusing(503, "service_unavailable", "maintenance mode"), "maintenance mode"),
    (
        "redirect",
        raw(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
        "ROUTER_COUCHDB__URL",
    ),
    ("web page", answering(200, b"<html>\n<p>Welcome\n</html>\n", "text/html; charset=utf-8"), "ROUTER_COUCHDB__URL"),
    ("web page called JSON", html_lines, "not a changes feed"),
    ("JSON that is no feed", answering(200, b'["welcome"]\n'), "not a changes feed"),
    ("an empty answer", answering(200), "without a last line"),
    ("error line", error_line, "The shard did not answer"),
    ("no HTTP", raw(b"220 mail.example.org ESMTP\r\n"), "HTTP"),
    ("a head too long", raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"), "HTTP"),
    ("a bad chunk", bad_chunk, "does not speak HTTP"),
    ("a bad chunk with the head", raw(CHUNKED + b"zz\r\n\r\n"), "does not speak HTTP"),
    ("a second answer in the middle of the first", answer_within_the_answer, "silent on the changes feed for"),
    ("a chunk cut", raw(CHUNKED + b"ff\r\n{"), "broke"),
    (
        "bad compression",
        raw(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + b"5\r\nhello\r\n"),
        "",
    ),
    ("an unknown charset", raw(CHUNKED.replace(b"json", b"json; charset=klingon") + b"1\r\n\n\r\n"), ""),
    ("hung up on", raw(b""), "broke"),
    ("no answer", no_answer, "silent"),
    ("half-open", half_open, "silent"),
]


@pytest.mark.parametrize(
    ("script", "said"), [(script, said) for _, script, said in TROUBLES], ids=[row[0] for row in TROUBLES]
)
async def test_every_trouble_is_told_once_and_outlived(script: Script, said: str) -> None:
    with capture_logs() as logs:
        async with feed_peer(script, script, script, good) as peer, following(feed_of(peer)) as follower:
            await until(lambda: follower.ids == ["good"])
            await until(lambda: any(entry["event"] == "CouchDB answers again" for entry in logs))
    assert peer.sinces == ["0"] * 4
    (entry,) = loud(logs)
    assert said in entry["reason"]
    assert "notifications" in entry["what"]


async def test_trouble_of_another_kind_is_told_when_it_comes() -> None:
    missing = refusing(404, "not_found", "Database does not exist.")
    refused = refusing(401, "unauthorized", "Name or password is incorrect.")
    with capture_logs() as logs:
        async with feed_peer(missing, missing, refused, refused, good) as peer, following(feed_of(peer)) as follower:
            await until(lambda: follower.ids == ["good"])
    assert [("no database" in entry["reason"], "login" in entry["reason"]) for entry in loud(logs)] == [
        (True, False),
        (False, True),
    ]


async def test_a_deleted_database_is_waited_for_and_followed_when_it_is_made_again() -> None:
    async def deleted(connection: Connection) -> None:
        await connection.open()
        await connection.send(b"\n" + row_line("5-x", "a"))
        await connection.stop("6-x")

    missing = refusing(404, "not_found", "Database does not exist.")
    async with feed_peer(deleted, missing, missing, missing, good) as peer:
        asked = 0

        async def get_identity() -> str:
            nonlocal asked
            asked += 1
            if asked == 3:
                raise DatabaseMissing("CouchDB has no database 'notifications'", status=404)
            return "first" if asked < 5 else "second"

        with capture_logs() as logs:
            async with following(feed_of(peer, get_identity=get_identity)) as follower:
                await until(lambda: follower.ids == ["a", "good"])
        assert peer.sinces == ["0", "6-x", "6-x", "0", "0"]
        assert [batch.recreated for batch in follower.batches].count(True) == 1
        assert ["no database" in entry.get("reason", "") for entry in loud(logs)] == [True, False]


async def test_a_seq_that_the_server_does_not_know_starts_from_the_beginning() -> None:
    malformed = refusing(400, "bad_request", "Malformed sequence supplied in 'since' parameter.")
    with capture_logs() as logs:
        async with feed_peer(malformed, good) as peer, following(feed_of(peer, since="99-old")) as follower:
            await until(lambda: follower.ids == ["good"])
    assert peer.sinces == ["99-old", "0"]
    assert [(batch.place_lost, batch.recreated) for batch in follower.batches] == [(True, False), (False, False)]
    (entry,) = loud(logs)
    assert "starts from the beginning" in entry["event"]
    assert "Malformed sequence" in entry["reason"]


@pytest.mark.parametrize(
    "error",
    [
        CouchError("CouchDB failed"),
        aiohttp.ClientPayloadError("http://admin:secret@couch"),
        OSError("http://admin:secret@couch"),
        TimeoutError(),
    ],
    ids=["couch", "aiohttp", "os", "timeout"],
)
async def test_an_identity_that_cannot_be_had_is_trouble_like_any_other(error: Exception) -> None:
    asked = 0

    async def get_identity() -> str:
        nonlocal asked
        asked += 1
        if asked < 4:
            raise error
        return "first"

    with capture_logs() as logs:
        async with feed_peer(good) as peer:
            async with following(feed_of(peer, get_identity=get_identity)) as follower:
                await until(lambda: follower.ids == ["good"])
            assert len(peer.feeds) == 1
    assert len(loud(logs)) == 1
    assert "secret" not in str(logs)


async def test_a_400_for_anything_else_keeps_the_place() -> None:
    answers = iter([Refused("CouchDB refuses GET /x", status=400), None])

    async def get_identity() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "first"

    async with feed_peer(good) as peer, following(feed_of(peer, since="5-x", get_identity=get_identity)) as follower:
        await until(lambda: follower.ids == ["good"])
    assert peer.sinces == ["5-x"]


async def test_an_identity_that_never_comes_is_given_up_and_asked_for_again() -> None:
    asked = 0

    async def get_identity() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.Event().wait()
        return "first"

    async with feed_peer(good) as peer:
        couchdb = CouchDBSettings(url=peer.url, request_timeout_seconds=0.1)
        feed = Feed(couchdb, quick_settings(), since=0, identity=None, get_identity=get_identity)
        async with following(feed) as follower:
            await until(lambda: follower.ids == ["good"])


# Half-open connections, and heartbeats that keep one


async def test_a_half_open_connection_is_noticed_in_time() -> None:
    async with feed_peer(half_open, idle) as peer, following(feed_of(peer, heartbeat_seconds=0.2)):
        await until(lambda: len(peer.feeds) == 2)
        waited = peer.feeds[1].at - peer.feeds[0].at
    assert 0.4 <= waited < 0.4 + 1  # the pause before the next try, and a busy machine


async def test_heartbeats_keep_the_connection_and_are_seen() -> None:
    async with feed_peer(idle) as peer, following(feed_of(peer, heartbeat_seconds=0.15)) as follower:
        assert follower.heard_at() == 0
        await until(lambda: follower.heard_at() > 0)
        first = follower.heard_at()
        # More than three times the silence that would end it.
        await until(lambda: follower.heard_at() > first + 1)
        assert follower.feed.connected
        assert len(peer.feeds) == 1
        assert follower.batches == []


async def test_heartbeats_of_carriage_return_and_newline_count_too() -> None:
    async def script(connection: Connection) -> None:
        await connection.open()
        for _ in range(12):
            await connection.send(b"\r\n")
            await asyncio.sleep(0.05)
        await connection.send(row_line("1-x", "good").replace(b"\n", b"\r\n"))
        await connection.silence()

    async with feed_peer(script) as peer, following(feed_of(peer)) as follower:
        await until(lambda: follower.ids == ["good"])
        assert len(peer.feeds) == 1


async def test_a_connection_that_broke_while_nobody_read_is_opened_again() -> None:
    taken = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.open()
        await connection.send(row_line("1-x", "first"))
        await taken.wait()
        await connection.error(412, "nodedown", "progress not possible")
        await connection.silence()

    async with feed_peer(script, good) as peer, aclosing(feed_of(peer).batches()) as batches:
        assert [row.id for row in (await anext(batches)).rows] == ["first"]
        taken.set()
        await until(lambda: peer.open_connections == 0)
        assert [row.id for row in (await anext(batches)).rows] == ["good"]


async def test_it_is_not_called_connected_while_it_is_not() -> None:
    async with feed_peer(half_open, no_answer) as peer, following(feed_of(peer)) as follower:
        await until(lambda: follower.feed.connected)
        await until(lambda: not follower.feed.connected)
        await until(lambda: len(peer.feeds) >= 2)
        assert not follower.feed.connected


# How often it tries


async def opening_times(peer: FeedPeer, number: int, **settings: float) -> list[float]:
    """Seconds between the first `number` requests for the feed."""
    feed = Feed(
        CouchDBSettings(url=peer.url),
        quick_settings(**settings),
        since=0,
        identity=None,
        get_identity=peer.get_identity,
    )
    async with following(feed):
        await until(lambda: len(peer.feeds) >= number)
    times = [request.at for request in peer.feeds[:number]]
    return [later - earlier for earlier, later in pairwise(times)]


async def only_stop(connection: Connection) -> None:
    """A server in maintenance mode: the empty line that opens a feed, then the end; seqs differ without need."""
    await connection.open()
    await connection.send(b"\n")
    await connection.stop(f"5-{random.random()}")  # noqa: S311


async def only_null_seqs(connection: Connection) -> None:
    await connection.open()
    await connection.rows(None, None)
    await connection.stop(None)


@pytest.mark.parametrize(
    "script",
    [only_stop, only_null_seqs, error_line, answering(503), raw(CHUNKED)],
    ids=["only stop lines", "only null seqs", "only error lines", "only 503", "only a head"],
)
async def test_a_server_that_is_no_use_is_not_hammered(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    # With jitter taken out, pauses of 0.02, 0.04, 0.08, 0.16 and 0.16 s.
    monkeypatch.setattr("router.couch.feed.Backoff", _without_jitter)
    async with feed_peer(script) as peer:
        pauses = await opening_times(peer, 6, backoff_base_seconds=0.02, backoff_max_seconds=0.16, heartbeat_seconds=5)
    assert [pause >= least for pause, least in zip(pauses, (0.02, 0.04, 0.08, 0.16, 0.16), strict=True)] == [True] * 5


async def test_after_rows_and_a_stop_line_it_goes_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.couch.feed.Backoff", _without_jitter)
    numbers = iter(range(1, 100))

    async def script(connection: Connection) -> None:
        number = next(numbers)
        await connection.open()
        await connection.rows(f"{number}-x")
        await connection.stop(f"{number}-x")

    async with feed_peer(script) as peer:
        pauses = await opening_times(peer, 6, backoff_base_seconds=30, backoff_max_seconds=30)
    assert max(pauses) < 1


async def test_rows_and_heartbeats_make_the_pauses_short_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.couch.feed.Backoff", _without_jitter)

    async def beats_then_dies(connection: Connection) -> None:
        await connection.open()
        for _ in range(4):
            await connection.send(b"\n")
            await asyncio.sleep(0.05)
        connection.reset()

    async def row_then_dies(connection: Connection) -> None:
        await connection.open()
        await connection.rows("1-x")
        connection.reset()

    down = answering(503)
    scripts = [down, down, down, beats_then_dies, down, down, row_then_dies, down, idle]
    async with feed_peer(*scripts) as peer:
        pauses = await opening_times(peer, 9, backoff_base_seconds=0.05, backoff_max_seconds=5, heartbeat_seconds=0.2)
    ceilings = [0.05, 0.1, 0.2, 0.15 + 0.05, 0.1, 0.2, 0.05, 0.1]
    assert [pause >= least for pause, least in zip(pauses, ceilings, strict=True)] == [True] * 8
    # Without the two resets these would be 0.4 and more.
    assert pauses[4] < 0.3
    assert pauses[6] < 0.3


def _without_jitter(base_seconds: float, max_seconds: float) -> object:
    from router.couch.backoff import Backoff

    return Backoff(base_seconds, max_seconds, lambda _low, high: high)


# A server that comes and goes


async def test_unreachable_at_the_start_is_said_once_and_so_is_its_end() -> None:
    async with feed_peer() as gone:
        port = gone.port
    with capture_logs() as logs:
        feed = feed_of(gone)
        async with following(feed) as follower:
            await until(lambda: bool(loud(logs)))
            # Some ten more tries, of which nothing is said.
            await asyncio.sleep(0.3)
            async with feed_peer(good, port=port) as peer:
                await until(lambda: follower.ids == ["good"])
                await until(lambda: any(entry["event"] == "CouchDB answers again" for entry in logs))
                assert peer.sinces == ["0"]
    (entry,) = loud(logs)
    assert f"http://127.0.0.1:{port}" in entry["reason"]
    assert "ROUTER_COUCHDB__URL" in entry["reason"]
    assert len([entry for entry in logs if entry["event"] == "CouchDB answers again"]) == 1


async def test_a_connection_that_keeps_breaking_does_not_fill_the_log() -> None:
    numbers = iter(range(1, 1000))

    async def script(connection: Connection) -> None:
        await connection.open()
        await connection.rows(f"{next(numbers)}-x")
        connection.reset()

    with capture_logs() as logs:
        async with feed_peer(script) as peer, following(feed_of(peer)) as follower:
            await until(lambda: len(follower.rows) >= 20)
    assert len(peer.feeds) >= 20
    assert len([entry for entry in logs if entry["log_level"] != "debug"]) == 1


async def test_no_secret_is_logged() -> None:
    with capture_logs() as logs:
        async with feed_peer(answering(500), raw(b""), answering(401), answering(302), good) as peer:
            couchdb = CouchDBSettings(url=f"http://router:s3cret@127.0.0.1:{peer.port}")
            feed = Feed(couchdb, quick_settings(), since=0, identity=None, get_identity=peer.get_identity)
            async with following(feed) as follower:
                await until(lambda: follower.ids == ["good"])
    assert loud(logs)
    assert "s3cret" not in str(logs)
