"""A TCP proxy on loopback that does to connections what bad networks and dying servers do, switched while it runs."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PIECE_BYTES = 64 * 1024
REQUEST_BYTES = 2048
"""How much of a request is kept."""
TICK_SECONDS = 0.02
"""How often a slow answer goes on."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to the bytes of a connection. By default they pass."""

    half_open: bool = False
    """Nothing passes any more, ever, and nobody is told: the connection is dead on both sides, though the fault may end."""
    stalled: bool = False
    """Nothing passes until the fault ends; then everything does, however late."""
    delay_seconds: float = 0.0
    """How long each piece waits, either way."""
    bytes_per_second: float | None = None
    """How fast answers pass."""
    cut_after_bytes: int | None = None
    """The connection ends behind so many bytes of answers, counted from when the fault began."""
    cut_behind: bytes = b""
    """The connection ends right behind these bytes in an answer, in the middle of a feed row for example."""
    reset: bool = False
    """A connection that is cut ends with RST in place of FIN; where nothing says when, as soon as a byte comes."""


PASS = Fault()
HALF_OPEN = Fault(half_open=True)
STALLED = Fault(stalled=True)
RESET = Fault(reset=True)


@dataclass(eq=False, slots=True)
class Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    request: bytes = b""
    """How what the client said since the last answer began: for HTTP, the head of its latest request."""
    answered_bytes: int = 0
    """Bytes of answers that passed."""
    is_dead: bool = False
    """Half-open for good."""
    _is_answered: bool = False
    _fault: Fault = PASS
    _fault_bytes: int = 0
    _tail: bytes = b""

    def heard(self, data: bytes) -> None:
        """Note what the client says."""
        if self._is_answered:
            self.request, self._is_answered = b"", False
        self.request = (self.request + data)[:REQUEST_BYTES]

    def end(self, *, reset: bool = False) -> None:
        """Close both sides, with FIN or RST."""
        for writer in (self.client, self.server):
            if reset and (sock := writer.get_extra_info("socket")) is not None and not writer.transport.is_closing():
                # Linger for no time at all: what closes then is reset.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            writer.close()

    def passes(self, data: bytes, fault: Fault) -> tuple[bytes, bool]:
        """How much of an answer's `data` gets through under `fault`, and whether the connection is cut behind that."""
        self._is_answered = True
        if fault is not self._fault:
            self._fault, self._fault_bytes, self._tail = fault, 0, b""
        if fault.reset and fault.cut_after_bytes is None and not fault.cut_behind:
            return b"", True
        end: int | None = None
        if fault.cut_after_bytes is not None and self._fault_bytes + len(data) >= fault.cut_after_bytes:
            end = fault.cut_after_bytes - self._fault_bytes
        if fault.cut_behind and (found := (self._tail + data).find(fault.cut_behind)) >= 0:
            end = found + len(fault.cut_behind) - len(self._tail)
        self._fault_bytes += len(data)
        self._tail = (self._tail + data)[-len(fault.cut_behind) + 1 :] if len(fault.cut_behind) > 1 else b""
        return data[:end], end is not None


@dataclass(eq=False)
class TcpProxy:
    """An open proxy. The side under test is given its `port` or `url` instead of the server's."""

    host: str
    server_port: int
    port: int = 0
    links: list[Link] = field(default_factory=list)
    """The connections that are open."""
    accepted: int = 0
    """Connections so far."""
    cuts: int = 0
    """Connections that a fault has cut so far."""

    def __post_init__(self) -> None:
        self._rule: Callable[[Link], Fault] = lambda _: PASS
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Its address, for HTTP."""
        return f"http://{self.host}:{self.port}"

    def treat(self, fault: Fault, where: Callable[[Link], bool] = lambda _: True) -> None:
        """From now on, do `fault` to the connections for which `where(link)` is true, those that are open included; the
        others pass. A link is looked at for each piece that comes."""
        self._rule = lambda link: fault if where(link) else PASS
        self._changed.set()
        self._changed = asyncio.Event()

    def end_all(self, *, reset: bool = False) -> None:
        """Close all connections, with FIN or RST."""
        for link in list(self.links):
            link.end(reset=reset)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Reset all connections and refuse new ones for the time of the block: nobody listens."""
        self.stop_listening()
        self.end_all(reset=True)
        try:
            yield
        finally:
            await self.listen()

    async def listen(self) -> None:
        """Accept connections."""
        self._listener = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def stop_listening(self) -> None:
        """Refuse connections."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def close(self) -> None:
        """End everything."""
        self.stop_listening()
        self.end_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # asyncio closes the sockets one step later

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            server_reader, server = await asyncio.open_connection(self.host, self.server_port)
        except OSError:
            client.transport.abort()
            return
        link = Link(client, server)
        self.links.append(link)
        pumps = [
            asyncio.create_task(self._pump(link, client_reader, server, is_answer=False)),
            asyncio.create_task(self._pump(link, server_reader, client, is_answer=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.links.remove(link)
            link.end()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        """Pass what comes on, as the rule says, until one side ends."""
        with suppress(ConnectionError):
            while data := await reader.read(PIECE_BYTES):
                if not is_answer:
                    link.heard(data)
                while data and not link.is_dead:
                    fault = self._rule(link)
                    if fault.half_open:
                        link.is_dead = True
                    elif fault.stalled:
                        await self._changed.wait()
                    else:
                        data = await self._pass(link, data, fault, writer, is_answer=is_answer)
        # A side that is dead does not hear that the other one has gone.
        if link.is_dead and is_answer:
            await asyncio.get_running_loop().create_future()

    async def _pass(
        self, link: Link, data: bytes, fault: Fault, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> bytes:
        """Pass `data` on, or as much of it as may go at once; gives the rest."""
        await asyncio.sleep(fault.delay_seconds)
        rest = b""
        if is_answer and fault.bytes_per_second is not None:
            await asyncio.sleep(TICK_SECONDS)
            most = max(1, round(fault.bytes_per_second * TICK_SECONDS))
            data, rest = data[:most], data[most:]
        is_cut = False
        if is_answer:
            data, is_cut = link.passes(data, fault)
            link.answered_bytes += len(data)
        elif fault == RESET:
            data, is_cut = b"", True
        writer.write(data)
        await writer.drain()
        if is_cut:
            self.cuts += 1
            link.end(reset=fault.reset)
            raise ConnectionResetError
        return rest


@asynccontextmanager
async def tcp_proxy(server_url: str) -> AsyncIterator[TcpProxy]:
    """A proxy before the server at `server_url` (or `//host:port`), for the time of the block."""
    parts = urlsplit(server_url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = TcpProxy(parts.hostname, parts.port)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
