"""Stands in for a CouchDB whose changes feed misbehaves exactly as told; over bare TCP, so that it can break HTTP too."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from router.documents.json_types import JsonValue

DEADLINE_SECONDS = 10.0


async def until(condition: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for `condition()` to be true. Raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition, of any object
            await asyncio.sleep(0.002)


def row_line(seq: JsonValue, row_id: str, doc: JsonValue = None, *, deleted: bool = False, rev: str = "1-a") -> bytes:
    """A row as CouchDB 3.5 writes it, `seq` first, with its newline."""
    row: dict[str, JsonValue] = {"seq": seq, "id": row_id, "changes": [{"rev": rev}]}
    if deleted:
        row["deleted"] = True
    row["doc"] = {"_id": row_id, "_rev": rev} if doc is None else doc
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def pouch_row_line(seq: int, row_id: str, doc: JsonValue = None) -> bytes:
    """A row as PouchDB Server 4.2 writes it, `seq` last, with its newline."""
    row: dict[str, JsonValue] = {"id": row_id, "changes": [{"rev": "1-a"}], "doc": doc or {"_id": row_id}, "seq": seq}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """By lower-case name."""
    at: float
    """When it came, by the event loop's clock."""


@dataclass(slots=True)
class Connection:
    """One request for the feed, to be answered by a script. What the script leaves open is closed behind it, half-way."""

    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent_bytes: int = 0

    async def raw(self, data: bytes) -> None:
        """Put bytes on the wire."""
        self.writer.write(data)
        self.sent_bytes += len(data)
        await self.writer.drain()

    async def answer(self, status: int, body: bytes = b"", content_type: str = "application/json") -> None:
        """A whole answer that is no feed."""
        head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        await self.raw(head.encode() + body)

    async def error(self, status: int, error: str, reason: str) -> None:
        """CouchDB's way of saying no."""
        await self.answer(status, json.dumps({"error": error, "reason": reason}).encode() + b"\n")

    async def open(self, content_type: str = "application/json") -> None:
        """The head of a feed."""
        await self.raw(
            f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )

    async def send(self, data: bytes) -> None:
        """Some of the feed's body, as one HTTP chunk."""
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def rows(self, *seqs: JsonValue) -> None:
        """A row `doc-<seq>` for each seq."""
        await self.send(b"".join(row_line(seq, f"doc-{seq}") for seq in seqs))

    async def stop(self, last_seq: JsonValue) -> None:
        """The stop line, and a clean end."""
        await self.send(json.dumps({"last_seq": last_seq, "pending": 0}).encode() + b"\n")
        await self.end()

    async def end(self) -> None:
        """End the body as HTTP has it."""
        await self.raw(b"0\r\n\r\n")

    def reset(self) -> None:
        """End the connection as a crash does."""
        self.writer.transport.abort()

    async def silence(self) -> None:
        """Nothing at all, until the other side closes the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(1024):
                pass

    async def heartbeats(self, interval_seconds: float = 0.05) -> None:
        """An empty line now and then, until the other side closes the connection."""
        silence = asyncio.create_task(self.silence())
        try:
            while not silence.done():
                await self.send(b"\n")
                await asyncio.wait([silence], timeout=interval_seconds)
        finally:
            silence.cancel()


Script = Callable[[Connection], Awaitable[None]]


async def idle(connection: Connection) -> None:
    """A feed on which nothing happens."""
    await connection.open()
    await connection.heartbeats()


@dataclass
class FeedPeer:
    """Answers each request for `_changes` by the next script, and all that follow by the last one."""

    scripts: list[Script]
    port: int = 0
    identity: str = "first"
    """What `get_identity` gives."""
    update_seq: JsonValue = "7-now"
    """What `GET /{db}` says."""
    feeds: list[Request] = field(default_factory=list)
    """Every request for `_changes`."""
    open_connections: int = 0
    failures: list[BaseException] = field(default_factory=list)
    """What a script raised, other than for the other side's having gone."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def get_identity(self) -> str:
        """The database's name for itself, as the feed asks for it."""
        return self.identity

    @property
    def sinces(self) -> list[str]:
        """Where each request for the feed wanted to start."""
        return [request.query["since"] for request in self.feeds]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One TCP connection: any number of plain requests, then at most one for the feed."""
        self.open_connections += 1
        try:
            while (request := await _read_request(reader)) is not None:
                connection = Connection(request, reader, writer)
                if request.path.endswith("/_changes"):
                    self.feeds.append(request)
                    await self.scripts[min(len(self.feeds), len(self.scripts)) - 1](connection)
                    return
                await connection.answer(200, json.dumps({"update_seq": self.update_seq}).encode())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # The test is over.
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            self.open_connections -= 1
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    parts = urlsplit(target)
    headers = dict(_header(line) for line in lines if line)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Request(method, unquote(parts.path), query, headers, asyncio.get_running_loop().time())


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


@asynccontextmanager
async def feed_peer(*scripts: Script, port: int = 0) -> AsyncIterator[FeedPeer]:
    """A running FeedPeer on a free loopback port (or `port`). At the end, what its scripts raised is raised."""
    peer = FeedPeer(list(scripts or [idle]))
    serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(peer.serve(reader, writer))
        serving[task] = writer
        task.add_done_callback(serving.pop)

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        await asyncio.sleep(0.001)  # a connection accepted just now gets to be served, and so to be closed
        for task, writer in serving.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # asyncio closes the sockets one step later
    if peer.failures:
        raise peer.failures[0]
