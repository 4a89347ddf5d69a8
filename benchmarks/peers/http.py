"""HTTP/1.1 with keep-alive on asyncio's bare protocols: only what the benchmark's clients say, and nothing in between."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.peers.ledger import Ledger
from benchmarks.peers.manner import Limit, Manner

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to one request."""

    kind: str
    """What was asked; `send` is what deliveries are made of."""
    body: bytes
    status: bytes = b"200 OK"
    target: str = ""
    """Whom a send was for."""


Route = Callable[[str, str, bytes], Answer]
"""From method, path and body of a request to the answer."""


class HttpSink:
    """What the connections of one peer share."""

    def __init__(self, route: Route, limited_body: bytes) -> None:
        """`limited_body` is the body of a 429."""
        self.route = route
        self.limited_body = limited_body
        self.ledger = Ledger()
        self.connections: set[asyncio.Transport] = set()
        self.manner = Manner()
        self.limit: Limit | None = None

    def behave(self, manner: Manner) -> None:
        """Answer in this manner from now on."""
        self.manner = manner
        self.limit = None if manner.rate_per_second is None else Limit(manner.rate_per_second, manner.burst)

    def protocol(self) -> asyncio.Protocol:
        """The protocol of one more connection."""
        return _Connection(self)


class _Connection(asyncio.Protocol):
    """One connection. Its client asks one thing at a time."""

    def __init__(self, sink: HttpSink) -> None:
        self._sink = sink
        self._buffer = b""
        self._since_ns = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._sink.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._transport is not None:
            self._sink.connections.discard(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._since_ns = time.monotonic_ns()
        self._buffer += data
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + len(_HEAD_END) + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body = self._buffer[end + len(_HEAD_END) : whole]
            self._buffer = self._buffer[whole:]
            method, path, _ = head[: head.find(b"\r\n")].decode("latin-1").split(" ", 2)
            self._requested(method, path, body)

    def _requested(self, method: str, path: str, body: bytes) -> None:
        sink = self._sink
        answer = sink.route(method, path, body)
        sink.ledger.request(answer.kind)
        if sink.manner.hangs:
            return
        status, said, more = answer.status, answer.body, b""
        is_send = answer.kind == "send"
        if is_send:
            wait_seconds = 0 if sink.limit is None else sink.limit.retry_after_seconds(time.monotonic())
            if wait_seconds:
                sink.ledger.request("limited")
                status, said, more = b"429 Too Many Requests", sink.limited_body, b"Retry-After: %d\r\n" % wait_seconds
            else:
                sink.ledger.accept(body, answer.target, self._since_ns)
        reply = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
            status,
            more,
            len(said),
            said,
        )
        if sink.manner.delay_seconds:
            asyncio.get_running_loop().call_later(sink.manner.delay_seconds, self._write, reply, is_send)
        else:
            self._write(reply, is_send)

    def _write(self, reply: bytes, is_send: bool) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(reply)
            if is_send:
                self._sink.ledger.answered()
