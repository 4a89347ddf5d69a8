"""An SMTP server on asyncio's bare protocols that takes every mail (RFC 5321), one command at a time."""

import asyncio
import time

from benchmarks.peers.ledger import Ledger
from benchmarks.peers.manner import Manner

_END = b"\r\n.\r\n"
_GREETING = b"220 bench.example ESMTP\r\n"
_REPLIES = {
    b"EHLO": b"250-bench.example\r\n250-SIZE 33554432\r\n250 8BITMIME\r\n",
    b"HELO": b"250 bench.example\r\n",
    b"MAIL": b"250 2.1.0 OK\r\n",
    b"RCPT": b"250 2.1.5 OK\r\n",
    b"DATA": b"354 End with a dot\r\n",
    b"RSET": b"250 2.0.0 OK\r\n",
    b"NOOP": b"250 2.0.0 OK\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}


class SmtpSink:
    """What the connections of the peer share. Of a `Manner` it knows `hangs` and `delay_seconds` (of the last reply)."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.connections: set[asyncio.Transport] = set()
        self.manner = Manner()

    def behave(self, manner: Manner) -> None:
        """Answer in this manner from now on."""
        self.manner = manner

    def protocol(self) -> asyncio.Protocol:
        """The protocol of one more connection."""
        return _Connection(self)


class _Connection(asyncio.Protocol):
    """One connection. Its client waits for each reply, as aiosmtplib does."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self._buffer = b""
        self._recipient = ""
        self._in_data = False
        self._since_ns = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._sink.connections.add(transport)
            self._say(_GREETING)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._transport is not None:
            self._sink.connections.discard(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._since_ns = time.monotonic_ns()
        self._buffer += data
        while self._buffer:
            end = self._buffer.find(_END if self._in_data else b"\r\n")
            if end < 0:
                return
            piece, self._buffer = self._buffer[:end], self._buffer[end + (5 if self._in_data else 2) :]
            if self._in_data:
                self._took(piece)
            else:
                self._commanded(piece)

    def _commanded(self, line: bytes) -> None:
        verb = line[:4].upper()
        self._sink.ledger.request(verb.decode("latin-1"))
        if verb == b"RCPT":
            self._recipient = line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace")
        self._in_data = verb == b"DATA" and not self._sink.manner.hangs
        self._say(_REPLIES.get(verb, b"502 5.5.1 No such command\r\n"))
        if verb == b"QUIT" and self._transport is not None:
            self._transport.close()

    def _took(self, mail: bytes) -> None:
        self._in_data = False
        ledger = self._sink.ledger
        ledger.request("send")
        ledger.accept(mail, self._recipient, self._since_ns)
        if self._sink.manner.delay_seconds:
            asyncio.get_running_loop().call_later(self._sink.manner.delay_seconds, self._say_taken)
        else:
            self._say_taken()

    def _say_taken(self) -> None:
        self._say(b"250 2.0.0 Taken\r\n")
        self._sink.ledger.answered()

    def _say(self, reply: bytes) -> None:
        if self._transport is not None and not self._sink.manner.hangs:
            self._transport.write(reply)
