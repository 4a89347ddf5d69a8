"""What the stand-ins share: an aiohttp server on loopback that records every arrival and can be told to misbehave."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import orjson
from aiohttp import web

from router.documents.json_types import JsonValue

KEPT: Final = 10_000
"""How many arrivals are kept, the latest."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer this instead of what the server would say; the request has no effect."""

    status: int
    body: JsonValue = None
    """A text is sent as text/plain, anything else as JSON; None is an empty body."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer. With `taken`, the request has its effect first: only the answer is lost."""

    taken: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """Cut the connection. With `taken`, the request has its effect first."""

    taken: bool = False


Step = Answer | Hang | Reset


@dataclass(slots=True)
class Arrival:
    """One request as it came."""

    number: int
    at: str
    method: str
    path: str
    body: JsonValue
    """Parsed, when it is JSON; else its text; None when there is none."""
    headers: dict[str, str] = field(repr=False)
    """Names in lower case."""
    status: int | None = None
    """What was answered; None when nothing was."""
    accepted: bool = False
    """Whether a message was taken by it."""


_ARRIVAL: Final = web.RequestKey("arrival", Arrival)


class StandIn:
    """A server for `async with`; `url` is its address. A part makes the routes and hands them in."""

    def __init__(self, add_routes: Callable[[web.UrlDispatcher], None], port: int = 0) -> None:
        self.arrivals: deque[Arrival] = deque(maxlen=KEPT)
        self.total = 0
        self.url = ""
        self._port = port
        self._steps: list[tuple[str, Step]] = []
        self._closing = asyncio.Event()
        self._arrived = asyncio.Condition()
        application = web.Application(middlewares=[self._record], client_max_size=1024 * 1024)
        application.router.add_get("/_arrivals", self._show)
        add_routes(application.router)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._runner.cleanup()

    def next(self, *steps: Step, path: str = "") -> None:
        """What to do with the next requests whose path has `path` in it, one step each; afterwards it is itself again."""
        self._steps += [(path, step) for step in steps]

    def to(self, path: str) -> list[Arrival]:
        """The arrivals whose path has `path` in it."""
        return [arrival for arrival in self.arrivals if path in arrival.path]

    async def arrived(self, count: int, path: str = "", timeout_seconds: float = 10) -> list[Arrival]:
        """Wait until at least `count` requests to `path` have come. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.to(path)) >= count)
        return self.to(path)

    @web.middleware
    async def _record(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path == "/_arrivals":
            return await handler(request)
        self.total += 1
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = _readable(await request.read())
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        arrival = Arrival(self.total, now, request.method, request.path, body, headers)
        async with self._arrived:
            self.arrivals.append(arrival)
            self._arrived.notify_all()
        request[_ARRIVAL] = arrival
        step = self._take_step(request.path)
        if isinstance(step, Answer):
            arrival.status = step.status
            return _response(step)
        response: web.StreamResponse = web.Response(status=503)
        if step is None or step.taken:
            try:
                response = await handler(request)
            except web.HTTPException as refusal:
                response = web.Response(status=refusal.status, text=refusal.reason)
        if isinstance(step, Hang):
            await self._closing.wait()
        elif isinstance(step, Reset):
            transport = request.transport
            if transport is not None:
                # Without this, what goes out is an orderly end and no TCP reset.
                no_linger = struct.pack("ii", 1, 0)
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
                transport.abort()
        else:
            arrival.status = response.status
        return response

    def _take_step(self, path: str) -> Step | None:
        for number, (part, step) in enumerate(self._steps):
            if part in path:
                del self._steps[number]
                return step
        return None

    async def _show(self, request: web.Request) -> web.Response:
        """`GET /_arrivals[?after=N]`: no part of the wire format; for the demo and for tests in another process."""
        after = int(request.query.get("after", "0"))
        rows: list[JsonValue] = []
        for arrival in self.arrivals:
            if arrival.number > after:
                row = asdict(arrival)
                del row["headers"]  # they hold the token
                rows.append(row)
        return _response(Answer(200, {"total": self.total, "arrivals": rows}))


def accept(request: web.Request) -> None:
    """Note that `request` brought a message that was taken."""
    request[_ARRIVAL].accepted = True


def arrived_body(request: web.Request) -> JsonValue:
    """The body of `request`, read once."""
    return request[_ARRIVAL].body


def say(body: JsonValue, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """An answer: a text as text/plain, anything else as JSON."""
    return _response(Answer(status, body, headers or {}))


def _response(answer: Answer) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status, headers=answer.headers)
    if isinstance(answer.body, str):
        return web.Response(status=answer.status, text=answer.body, headers=answer.headers)
    return web.Response(
        status=answer.status,
        body=orjson.dumps(answer.body),
        content_type="application/json",
        charset="utf-8",
        headers=answer.headers,
    )


def _readable(body: bytes) -> JsonValue:
    if not body:
        return None
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")
    return value
