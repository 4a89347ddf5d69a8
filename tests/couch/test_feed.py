"""What the feed gives of what a server sends, and where it starts again: against a scripted server."""

import asyncio
import tracemalloc
from contextlib import aclosing

import pytest
from structlog.testing import capture_logs

from router.couch.errors import BadAddress
from router.couch.feed import MAX_BATCH_ROWS, Feed, FeedBatch, FeedRow
from router.settings import CouchDBSettings
from tests.couch.following import QUICK, feed_of, following, quick_settings
from tests.peers.feed import Connection, Script, feed_peer, idle, pouch_row_line, row_line, until

MIB = 1024 * 1024


def sending(*pieces: bytes, then: Script | None = None) -> Script:
    """A feed that sends `pieces`, each as an HTTP chunk, and stays open, or goes on as `then` does."""

    async def script(connection: Connection) -> None:
        await connection.open()
        for piece in pieces:
            await connection.send(piece)
        await (then(connection) if then else connection.heartbeats())

    return script


async def reset(connection: Connection) -> None:
    connection.reset()


async def end(connection: Connection) -> None:
    await connection.end()


async def silence(connection: Connection) -> None:
    await connection.silence()


def stop(last_seq: object) -> Script:
    async def script(connection: Connection) -> None:
        await connection.stop(last_seq)  # type: ignore[arg-type]

    return script


# The request


async def test_what_is_asked_for() -> None:
    async with feed_peer() as peer, following(feed_of(peer, since="12-g1AAAA+/=&", heartbeat_seconds=0.2)) as follower:
        await until(lambda: follower.feed.connected)
        (request,) = peer.feeds
    assert (request.method, request.path) == ("GET", "/notifications/_changes")
    assert request.query == {
        "feed": "continuous",
        "include_docs": "true",
        "conflicts": "true",
        "heartbeat": "200",
        "since": "12-g1AAAA+/=&",
    }
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("since", "asked"), [(0, "0"), (41, "41"), ("41-x", "41-x"), ([3, "g1"], '[3, "g1"]'), ("0", "0")]
)
async def test_since_goes_back_as_it_came(since: object, asked: str) -> None:
    async with feed_peer() as peer, following(feed_of(peer, since=since)):  # type: ignore[arg-type]
        await until(lambda: bool(peer.feeds))
        assert peer.sinces == [asked]


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ({"username": "router", "password": "s3cret"}, "Basic cm91dGVyOnMzY3JldA=="),
        ({"url": "http://router:s3cret@127.0.0.1:{port}"}, "Basic cm91dGVyOnMzY3JldA=="),
        ({"url": "http://ro%40ter:s%2F3@127.0.0.1:{port}"}, "Basic cm9AdGVyOnMvMw=="),
    ],
)
async def test_login(login: dict[str, str], expected: str) -> None:
    async with feed_peer() as peer:
        couchdb = {"url": peer.url} | {name: value.format(port=peer.port) for name, value in login.items()}
        feed = Feed(
            CouchDBSettings.model_validate(couchdb | {"database": "a/b+c"}),
            quick_settings(),
            since=0,
            identity=None,
            get_identity=peer.get_identity,
        )
        async with following(feed):
            await until(lambda: bool(peer.feeds))
        assert peer.feeds[0].headers["authorization"] == expected
        assert peer.feeds[0].path == "/a/b+c/_changes"


def test_a_bad_address_is_refused_at_once() -> None:
    async def identity() -> str:
        return "x"

    with pytest.raises(BadAddress, match="ROUTER_COUCHDB__URL"):
        Feed(CouchDBSettings(url="couch"), quick_settings(), since=0, identity=None, get_identity=identity)


# Rows


async def test_rows_of_every_kind_come_in_order() -> None:
    body = "a\u2028b\u2029c\u0085d\r\nend"
    pieces = (
        b"\n"
        + row_line("1-x", "first", {"body": body})
        + b"\r\n"
        + row_line("2-x", "gone", deleted=True)
        + row_line("3-x", "_design/router", {"views": {}})
        + row_line("4-x", "delivery:first:email:0", {"status": "COMPLETE"})
        + row_line("5-x", "router:mapping-status", {"ok": True}),
        pouch_row_line(6, "last", {"body": "é😀"}),
    )
    async with feed_peer(sending(*pieces)) as peer, following(feed_of(peer)) as follower:
        await until(lambda: len(follower.rows) == 6)
    assert follower.rows == [
        FeedRow("1-x", "first", "1-a", False, {"body": body}),
        FeedRow("2-x", "gone", "1-a", True, None),
        FeedRow("3-x", "_design/router", "1-a", False, None),
        FeedRow("4-x", "delivery:first:email:0", "1-a", False, None),
        FeedRow("5-x", "router:mapping-status", "1-a", False, {"ok": True}),
        FeedRow(6, "last", "1-a", False, {"body": "é😀"}),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_a_row_in_the_smallest_pieces(size: int) -> None:
    line = row_line("1-x", "first", {"body": "\u2028é😀"}) + row_line("2-x", "second")
    pieces = [line[at : at + size] for at in range(0, len(line), size)]
    async with feed_peer(sending(*pieces)) as peer, following(feed_of(peer)) as follower:
        await until(lambda: follower.ids == ["first", "second"])
    assert follower.rows[0].document == {"body": "\u2028é😀"}


async def test_batches_are_bounded() -> None:
    lines = b"".join(row_line(seq, f"doc-{seq}") for seq in range(1, 2102))
    async with feed_peer(sending(lines)) as peer, following(feed_of(peer)) as follower:
        await until(lambda: len(follower.rows) == 2101)
    assert max(len(batch.rows) for batch in follower.batches) == MAX_BATCH_ROWS
    assert follower.ids == [f"doc-{seq}" for seq in range(1, 2102)]


def big_row(seq: str, row_id: str, size_bytes: int) -> bytes:
    """A row of exactly `size_bytes`, its newline not counted, that ends in a character of two bytes."""
    frame = row_line(seq, row_id, {"body": ""})
    return frame[:-4] + b"x" * (size_bytes - len(frame) - 1) + "é".encode() + frame[-4:]


async def test_a_row_of_8_mib_passes_and_one_byte_more_is_skipped() -> None:
    fits, too_large = big_row("1-x", "fits", 8 * MIB), big_row("2-x", "too-large", 8 * MIB + 1)
    assert (len(fits), len(too_large)) == (8 * MIB + 1, 8 * MIB + 2)
    script = sending(fits, too_large, row_line("3-x", "after"))
    with capture_logs() as logs:
        async with (
            feed_peer(script) as peer,
            following(feed_of(peer, max_row_bytes=8 * MIB, heartbeat_seconds=5)) as follower,
        ):
            await until(lambda: follower.ids == ["fits", "too-large", "after"])
    first, second, _ = follower.rows
    assert first.document is not None
    assert str(first.document["body"]).endswith("xé")
    assert first.oversized_bytes is None
    assert second == FeedRow("2-x", "too-large", "1-a", False, None, oversized_bytes=8 * MIB + 1)
    (entry,) = [entry for entry in logs if "ROUTER_FEED__MAX_ROW_BYTES" in entry["event"]]
    assert (entry["id"], entry["row_bytes"], entry["log_level"]) == ("too-large", 8 * MIB + 1, "warning")


@pytest.mark.parametrize("pouch", [False, True])
async def test_an_enormous_row_takes_no_memory(pouch: bool) -> None:
    filling = b"x" * 65536
    frame = pouch_row_line(2, "huge", {"b": "@"}) if pouch else row_line("2-x", "huge", {"b": "@"})
    head, tail = frame.split(b"@")

    async def script(connection: Connection) -> None:
        await connection.open()
        await connection.send(row_line("1-x", "before") + head)
        for _ in range(64 * 16):
            await connection.send(filling)
        await connection.send(tail + row_line("3-x", "after"))
        await connection.heartbeats()

    async with feed_peer(script) as peer, following(feed_of(peer, max_row_bytes=MIB, heartbeat_seconds=5)) as follower:
        await until(lambda: follower.ids == ["before"])
        tracemalloc.start()
        try:
            await until(lambda: len(follower.rows) == 3, seconds=30)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    huge = follower.rows[1]
    assert (huge.id, huge.seq, huge.document) == ("huge", 2 if pouch else "2-x", None)
    assert huge.oversized_bytes == len(frame) - 2 + 64 * MIB
    assert peak_bytes < 6 * MIB


async def test_rows_that_nobody_can_read_are_logged_and_passed_over() -> None:
    deep = b"[" * 3000 + b"]" * 3000
    broken = (
        b'{"seq":"1-x","id":"deep","changes":[{"rev":"1-a"}],"doc":{"a":%s}}\n' % deep
        + b'{"seq":"2-x","id":"bytes","changes":[{"rev":"1-a"}],"doc":{"a":"\xff"}}\n'
        + b'{"seq":"3-x",???}\n'
        + b"{}\n"
    )
    with capture_logs() as logs:
        async with (
            feed_peer(sending(broken + row_line("4-x", "good"))) as peer,
            following(feed_of(peer)) as follower,
        ):
            await until(lambda: len(follower.rows) == 3)
            assert len(peer.feeds) == 1
    assert [(row.seq, row.id, row.document is None, row.unreadable) for row in follower.rows] == [
        ("1-x", "deep", True, "nested too deep"),
        ("2-x", "bytes", True, "not valid JSON"),
        ("4-x", "good", False, None),
    ]
    assert [entry.get("id") for entry in logs if entry["log_level"] == "error"] == ["deep", "bytes", None, None]


# Where the next connection starts


@pytest.mark.parametrize(
    ("first", "given", "since"),
    [
        pytest.param(sending(row_line("5-x", "a"), then=reset), ["a"], "5-x", id="reset"),
        pytest.param(sending(row_line("5-x", "a"), then=end), ["a"], "5-x", id="end without stop line"),
        pytest.param(
            sending(row_line("5-x", "a") + row_line("6-x", "b")[:-9], then=reset), ["a"], "5-x", id="cut mid-row"
        ),
        pytest.param(
            sending(row_line("5-x", "a") + row_line("6-x", "b")[:-1], then=end),
            ["a"],
            "5-x",
            id="whole but for its newline",
        ),
        pytest.param(
            sending(
                row_line("5-x", "a") + row_line("6-x", "b", {"c": "é"}).partition("é".encode())[0] + b"\xc3", then=reset
            ),
            ["a"],
            "5-x",
            id="cut inside a character",
        ),
        pytest.param(sending(row_line("5-x", "a"), then=silence), ["a"], "5-x", id="half-open"),
        pytest.param(sending(row_line("5-x", "a"), then=stop("9-x")), ["a"], "9-x", id="stop line"),
        pytest.param(sending(row_line("5-x", "a"), then=stop(None)), ["a"], "5-x", id="stop line without seq"),
        pytest.param(sending(then=stop("9-x")), [], "9-x", id="only a stop line"),
        pytest.param(
            sending(row_line("5-x", "a"), row_line(None, "b"), row_line(None, "c"), then=reset),
            ["a", "b", "c"],
            "5-x",
            id="null seqs last",
        ),
        pytest.param(
            sending(row_line(None, "a"), row_line(None, "b"), then=reset), ["a", "b"], "0", id="null seqs only"
        ),
        pytest.param(
            sending(row_line(None, "a") + row_line("6-x", "b"), then=reset), ["a", "b"], "6-x", id="null seq first"
        ),
        pytest.param(
            sending(row_line("5-x", "a") + row_line("2-x", "b"), then=reset),
            ["a", "b"],
            "2-x",
            id="rewound to an earlier seq",
        ),
        pytest.param(
            sending(row_line(7, "a") + row_line(1, "b"), then=reset), ["a", "b"], "1", id="rewound to the first"
        ),
        pytest.param(
            sending(row_line("5-x", "a"), b'{"error":"timeout","reason":"shard"}\n', then=silence),
            ["a"],
            "5-x",
            id="error line",
        ),
        pytest.param(
            sending(row_line("5-x", "a") + b"<html>\n", then=silence), ["a"], "5-x", id="a web page in the middle"
        ),
        pytest.param(
            sending(row_line("5-x", "a") + b'{"seq":"6-x",???}\n', then=reset),
            ["a"],
            "6-x",
            id="behind a row without id",
        ),
    ],
)
async def test_the_next_connection_starts_behind_what_was_given(first: Script, given: list[str], since: str) -> None:
    async with feed_peer(first, sending(row_line("10-x", "more"))) as peer, following(feed_of(peer)) as follower:
        await until(lambda: follower.ids[-1:] == ["more"])
    assert follower.ids == [*given, "more"]
    assert peer.sinces == ["0", since]


async def test_a_stop_line_is_told() -> None:
    async with feed_peer(sending(row_line("5-x", "a"), then=stop("9-x")), idle) as peer:
        async with following(feed_of(peer)) as follower:
            await until(lambda: len(peer.feeds) == 2)
        assert [batch.last_seq for batch in follower.batches if batch.last_seq is not None] == ["9-x"]
        assert follower.feed.pending == 0


async def test_a_truncated_row_comes_whole_afterwards() -> None:
    row = row_line("6-x", "b", {"body": "é" * 100})
    scripts = [sending(row_line("5-x", "a") + row[:-30], then=reset), sending(row)]
    async with feed_peer(*scripts) as peer, following(feed_of(peer)) as follower:
        await until(lambda: follower.ids == ["a", "b"])
    assert follower.rows[1].document == {"body": "é" * 100}


async def test_rows_that_come_again_are_given_again() -> None:
    rows = row_line("1-x", "a") + row_line("2-x", "b")
    async with feed_peer(sending(rows + rows, then=reset), sending(rows)) as peer, following(feed_of(peer)) as follower:
        await until(lambda: len(follower.rows) == 6)
    assert follower.ids == ["a", "b"] * 3


async def test_now_is_asked_for_once() -> None:
    scripts = [sending(then=reset), sending(then=silence), sending(row_line("8-x", "a"))]
    async with feed_peer(*scripts) as peer, following(feed_of(peer, since="now")) as follower:
        await until(lambda: follower.ids == ["a"])
    assert peer.sinces == ["7-now"] * 3
    assert follower.batches[0] == FeedBatch([], last_seq="7-now")


# The database's identity


async def test_a_recreated_database_is_read_from_its_beginning() -> None:
    scripts = [
        sending(row_line("5-x", "a"), then=stop("5-x")),
        sending(row_line("1-y", "b"), then=reset),
        sending(row_line("2-y", "c")),
    ]
    identities = iter(["first", "second", "second"])

    async def get_identity() -> str:
        return next(identities)

    with capture_logs() as logs:
        async with feed_peer(*scripts) as peer:
            feed = feed_of(peer, since="4-x", identity="first", get_identity=get_identity)
            async with following(feed) as follower:
                await until(lambda: follower.ids == ["a", "b", "c"])
    assert peer.sinces == ["4-x", "0", "1-y"]
    told: list[str] = []
    for batch in follower.batches:
        told += ["recreated"] * batch.recreated + [row.id for row in batch.rows]
    assert told == ["a", "recreated", "b", "c"]
    assert feed.identity == "second"
    (entry,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert "dropped and made again" in entry["event"]
    assert (entry["identity_before"], entry["identity"]) == ("first", "second")


async def test_another_database_than_the_checkpoint_was_of() -> None:
    async with feed_peer() as peer, following(feed_of(peer, since="4-x", identity="older")) as follower:
        await until(lambda: bool(peer.feeds))
        assert follower.batches == [FeedBatch([], recreated=True)]
        assert peer.sinces == ["0"]
        assert follower.feed.identity == "first"


async def test_now_is_now_in_another_database_too() -> None:
    async with feed_peer() as peer, following(feed_of(peer, since="now", identity="older")) as follower:
        await until(lambda: bool(peer.feeds))
        assert follower.batches == [FeedBatch([], last_seq="7-now")]
        assert peer.sinces == ["7-now"]


async def test_without_a_known_identity_the_first_is_taken() -> None:
    async with feed_peer() as peer, following(feed_of(peer, since="4-x")) as follower:
        await until(lambda: bool(peer.feeds))
        assert follower.batches == []
        assert peer.sinces == ["4-x"]
        assert follower.feed.identity == "first"


# Back-pressure and the end


async def test_a_slow_consumer_holds_the_server_back() -> None:
    line = row_line("1-x", "a", {"body": "x" * 1000})
    piece = line * 60
    connections: list[Connection] = []

    async def script(connection: Connection) -> None:
        connections.append(connection)
        await connection.open()
        for _ in range(200 * MIB // len(piece)):
            await connection.send(piece)

    async with feed_peer(script) as peer, aclosing(feed_of(peer).batches()) as batches:
        tracemalloc.start()
        try:
            taken = len((await anext(batches)).rows)
            sent = await _settled(connections[0])
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sent < 32 * MIB  # what the kernel's socket buffers take
        assert peak_bytes < 8 * MIB
        # That took longer than a silence may last: no harm, since it was we who did not read.
        async for batch in batches:
            taken += len(batch.rows)
            if taken * len(line) > sent + 8 * MIB:
                break
        assert connections[0].sent_bytes > sent
        assert len(peer.feeds) == 1


async def _settled(connection: Connection) -> int:
    """How much the server could send, once that has not changed for twice as long as a silence may last."""
    loop = asyncio.get_running_loop()
    sent, since = connection.sent_bytes, loop.time()

    def unchanged() -> bool:
        nonlocal sent, since
        if connection.sent_bytes != sent:
            sent, since = connection.sent_bytes, loop.time()
        return loop.time() - since > 4 * QUICK["heartbeat_seconds"]

    await until(unchanged, seconds=20)
    return sent


@pytest.mark.parametrize("script", [idle, sending(then=silence), silence], ids=["idle", "silent", "no head"])
async def test_cancellation_ends_at_once_and_closes_the_connection(script: Script) -> None:
    async with feed_peer(script) as peer:
        feed = feed_of(peer, heartbeat_seconds=30)
        before = asyncio.get_running_loop().time()
        async with following(feed):
            await until(lambda: bool(peer.feeds))
        await until(lambda: peer.open_connections == 0)
        assert asyncio.get_running_loop().time() - before < 2
        assert not feed.connected


async def test_closing_between_two_batches_closes_the_connection() -> None:
    async with feed_peer(sending(row_line("1-x", "a"))) as peer:
        feed = feed_of(peer, heartbeat_seconds=30)
        async with aclosing(feed.batches()) as batches:
            await anext(batches)
            open_then = feed.connected, peer.open_connections
        assert open_then == (True, 1)
        assert not feed.connected
        await until(lambda: peer.open_connections == 0)


async def test_a_feed_can_be_followed_again_where_it_was_left() -> None:
    async with feed_peer(sending(row_line("1-x", "a")), sending(row_line("2-x", "b"))) as peer:
        feed = feed_of(peer)
        for expected in ("a", "b"):
            async with aclosing(feed.batches()) as batches:
                assert [row.id for row in (await anext(batches)).rows] == [expected]
        assert peer.sinces == ["0", "1-x"]
