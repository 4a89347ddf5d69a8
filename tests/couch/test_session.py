"""What is said when there is no CouchDB at the other end, or none that answers; and where the login goes."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trustme
from aiohttp import web
from pydantic import SecretStr

from router.couch.database import Database
from router.couch.errors import BadAddress, CouchError, ServerFault, Unreachable
from router.couch.session import login_of
from router.settings import CouchDBSettings
from tests.couch.answering import answering

SECRET = "s3cr3t-word"


@asynccontextmanager
async def listening(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A TCP server that does as `answer` says; gives its port."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def settings(url: str, **more: object) -> CouchDBSettings:
    return CouchDBSettings.model_validate({"url": url, "username": "router", "password": SecretStr(SECRET), **more})


async def error_at(url: str, **more: object) -> CouchError:
    """The error of a first request to `url`."""
    async with Database(settings(url, **more)) as database:
        with pytest.raises(CouchError) as caught:
            await database.info()
    assert SECRET not in str(caught.value)
    return caught.value


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.close()


async def speak_gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"220 mail.example.org ESMTP\r\n\r\n")
    writer.close()


async def test_nobody_listens(unused_port: int) -> None:
    error = await error_at(f"http://127.0.0.1:{unused_port}")
    assert isinstance(error, Unreachable)
    assert str(error) == (
        f"CouchDB at http://127.0.0.1:{unused_port} cannot be reached (no connection): "
        "see that it runs and that ROUTER_COUCHDB__URL is right"
    )


async def test_the_host_is_not_known() -> None:
    error = await error_at("http://couchdb.invalid:5984")
    assert isinstance(error, Unreachable)
    assert "its host name is not known" in str(error)


async def test_no_answer_in_time() -> None:
    async with listening(say_nothing) as port:
        error = await error_at(f"http://127.0.0.1:{port}", request_timeout_seconds=0.1)
    assert isinstance(error, Unreachable)
    assert "no answer within 0.1 s, ROUTER_COUCHDB__REQUEST_TIMEOUT_SECONDS" in str(error)


async def test_the_connection_breaks() -> None:
    async with listening(hang_up) as port:
        error = await error_at(f"http://127.0.0.1:{port}")
    assert isinstance(error, Unreachable)
    assert "the connection broke" in str(error)


async def test_a_certificate_that_is_not_trusted() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with listening(hang_up, tls) as port:
        error = await error_at(f"https://127.0.0.1:{port}")
    assert isinstance(error, Unreachable)
    assert "its certificate is not trusted" in str(error)


async def test_no_tls_where_it_was_asked_for() -> None:
    async with listening(speak_gibberish) as port:
        error = await error_at(f"https://127.0.0.1:{port}")
    assert isinstance(error, Unreachable)
    assert "no TLS connection" in str(error)


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"db_name":')
    writer.close()


async def send_bad_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    await writer.drain()
    await asyncio.sleep(0.1)  # so that the client has taken the head for good before the rest comes
    writer.write(b"not-a-size\r\n")
    await reader.read()
    writer.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    # aiohttp 3.14 does not notice the second; the deadline does.
    [(break_off, "the connection broke"), (send_bad_chunks, "no answer within 0.3 s")],
)
async def test_an_answer_that_breaks_in_the_middle(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], says: str
) -> None:
    async with listening(answer) as port:
        error = await error_at(f"http://127.0.0.1:{port}", request_timeout_seconds=0.3)
    assert isinstance(error, Unreachable)
    assert says in str(error)


@pytest.mark.parametrize("head", [b"HTTP/1.1 503 No", b"HTTP/1.1 200 OK"])
async def test_a_feed_whose_answer_never_comes(head: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"\r\nContent-Length: 1000\r\n\r\n")
        await say_nothing(reader, writer)

    async def read_feed(url: str) -> None:
        async with (
            Database(settings(url, request_timeout_seconds=0.2)) as database,
            database.changes({}, read_timeout_seconds=0.2) as response,
        ):
            await response.read()

    async with listening(answer) as port:
        with pytest.raises(Unreachable, match=r"silent for 0\.2 s"):
            await read_feed(f"http://127.0.0.1:{port}")


async def test_something_else_listens() -> None:
    async with listening(speak_gibberish) as port:
        error = await error_at(f"http://127.0.0.1:{port}")
    assert isinstance(error, ServerFault)
    assert "does not speak HTTP: check ROUTER_COUCHDB__URL" in str(error)


@pytest.mark.parametrize("body", ["<html>Welcome to nginx</html>", "[1, 2", "{" * 5000 + "}" * 5000])
async def test_an_answer_that_is_no_json(body: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=body)

    async with answering(handler) as url:
        error = await error_at(url)
    assert isinstance(error, ServerFault)
    assert str(error) == (
        f"What answers at {url} does not speak as CouchDB does (no JSON for GET /notifications): check ROUTER_COUCHDB__URL"
    )


async def test_a_proxys_error_page() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>Bad Gateway</html>")

    async with answering(handler) as url:
        error = await error_at(url)
    assert isinstance(error, ServerFault)
    assert error.status == 502
    assert error.reason is None


async def test_json_that_is_not_couchdbs() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"hello": "world"})

    async with answering(handler) as url, Database(settings(url)) as database:
        for call in (
            database.put({"_id": "x"}),
            database.bulk([{"_id": "x"}]),
            database.get_many(["x"]),
            database.view("d", "v"),
            database.leaves(["x"]),
        ):
            with pytest.raises(ServerFault, match="does not speak as CouchDB does"):
                await call


async def test_a_bulk_answer_that_leaves_a_document_out() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response([{"id": "a", "rev": "1-x", "ok": True}], status=201)

    async with answering(handler) as url, Database(settings(url)) as database:
        with pytest.raises(ServerFault, match="2 documents without a result for 1 of them"):
            await database.bulk([{"_id": "a"}, {"_id": "b"}])


async def test_a_bulk_read_that_is_none() -> None:
    async def handler(request: web.Request) -> web.Response:
        doc = {"_id": "x", "_conflicts": ["1-a"]}
        return web.json_response({"rows": [{"doc": doc}]} if request.path.endswith("/_all_docs") else {"results": None})

    async with answering(handler) as url, Database(settings(url)) as database:
        with pytest.raises(ServerFault, match="a bulk read without results"):
            await database.leaves(["x"])


async def test_a_disk_that_is_too_full_is_the_servers_trouble_and_not_the_documents() -> None:
    """As CouchDB 3.5.2 with `[disk_monitor] enable = true` was seen to answer."""

    async def handler(request: web.Request) -> web.Response:
        full = {"error": "insufficient_storage", "reason": "database_dir is too full"}
        return web.json_response([{"id": doc["_id"], **full} for doc in (await request.json())["docs"]], status=201)

    async with answering(handler) as url, Database(settings(url)) as database:
        with pytest.raises(ServerFault, match=r"writes nothing \(database_dir is too full\): make room on its disk"):
            await database.bulk([{"_id": "a"}, {"_id": "b"}])


async def test_the_login_is_not_carried_along_by_a_redirect() -> None:
    seen: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({})

    async with answering(elsewhere) as other:

        async def handler(request: web.Request) -> web.Response:
            raise web.HTTPFound(other + "/notifications")

        async with answering(handler) as url:
            error = await error_at(url)
    assert isinstance(error, ServerFault)
    assert "check ROUTER_COUCHDB__URL" in str(error)
    assert seen == []


async def test_what_every_request_carries() -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({"rows": []})

    async with answering(handler) as url, Database(settings(url + "/couch/")) as database:
        await database.info()
        await database.get_many(["a"])
        async with database.changes({"since": "1-x", "heartbeat": 1000}, read_timeout_seconds=1) as response:
            await response.read()
    expected = "Basic " + base64.b64encode(f"router:{SECRET}".encode()).decode()
    for request in seen:
        assert request.headers["Authorization"] == expected
        assert request.headers["Accept"] == "application/json"
        assert request.headers["Accept-Encoding"] == "identity"
    assert [request.raw_path for request in seen] == [
        "/couch/notifications",
        "/couch/notifications/_all_docs?include_docs=true",
        "/couch/notifications/_changes?since=1-x&heartbeat=1000",
    ]


async def test_a_read_by_post_is_made_again_when_an_idle_connection_was_closed() -> None:
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        if calls == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"rows": []})

    async with answering(handler) as url, Database(settings(url)) as database:
        await database.get_many(["a"])
        assert await database.get_many(["a"]) == {}
    assert calls == 3


async def test_a_feed_that_falls_silent_is_given_up() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"\n")
        await asyncio.sleep(30)
        return response

    read: list[bytes] = []

    async def read_all(database: Database) -> None:
        async with database.changes({}, read_timeout_seconds=0.1) as response:
            async for piece in response.content.iter_any():
                read.append(piece)

    async with answering(handler) as url, Database(settings(url)) as database:
        with pytest.raises(Unreachable, match=r"silent for 0\.1 s"):
            await read_all(database)
    assert read == [b"\n"]


@pytest.mark.parametrize(
    ("url", "username", "server", "user", "pair"),
    [
        ("http://127.0.0.1:5984", None, "http://127.0.0.1:5984", None, None),
        ("http://127.0.0.1:5984/", "me", "http://127.0.0.1:5984", "me", "me:pw"),
        ("https://couch.example.org/db/", "me", "https://couch.example.org/db", "me", "me:pw"),
        ("http://you:y%40u%2F@host:1/", None, "http://host:1", "you", "you:y@u/"),
        ("http://you:theirs@host:1", "me", "http://host:1", "me", "me:pw"),
        ("http://you@host", None, "http://host", "you", "you:"),
        ("http://[::1]:5984", "ü", "http://[::1]:5984", "ü", "ü:pw"),
    ],
)
def test_where_the_login_comes_from(
    url: str, username: str | None, server: str, user: str | None, pair: str | None
) -> None:
    login = login_of(CouchDBSettings(url=url, username=username, password=SecretStr("pw")))
    assert (login.server, login.user) == (server, user)
    expected = None if pair is None else "Basic " + base64.b64encode(pair.encode()).decode()
    assert login.authorization == expected
    assert "Basic" not in repr(login)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:5984",
        "ftp://host",
        "http://",
        "http://host:port",
        f"http://me:{SECRET}@",
        f"http//me:{SECRET}@host",
        f"http://me:{SECRET}@host:99999999",
        "http://host/?x=1",
        "http://host/#x",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(BadAddress, match="ROUTER_COUCHDB__URL must be the address of a server") as caught:
        login_of(CouchDBSettings(url=url))
    assert SECRET not in str(caught.value)


def test_a_user_name_with_a_colon() -> None:
    with pytest.raises(BadAddress, match="ROUTER_COUCHDB__USERNAME"):
        login_of(CouchDBSettings(username="a:b", password=SecretStr("x")))
