"""Opens the router's HTTP port and serves it inside the router's own event loop."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from router.metrics import Metrics
from router.settings import HttpSettings
from router.web.snapshot import Snapshot

if TYPE_CHECKING:
    import uvicorn

log = structlog.stdlib.get_logger("router.web")

BACKLOG: Final = 64
"""Connections that may wait to be taken up."""
MOST_CONNECTIONS: Final = 200
"""More than these are answered with 503."""
KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle connection is kept; longer than most scrapers' interval, so that each need not connect anew."""
LAST_ANSWERS_SECONDS: Final = 1
"""How long answers under way may take to end when the port is closed."""
CLOSING_SECONDS: Final = 2.0
"""How long closing the port may take in all; then it is cut off."""


class BadPort(Exception):
    """The HTTP port cannot be opened; the text says which and what to set."""


def open_port(settings: HttpSettings) -> socket.socket | None:
    """A socket that listens; None when no port is wanted. Callers wait in its queue until it is served. Raises BadPort."""
    if settings.port == 0:
        return None
    return listen(settings.host, settings.port, "ROUTER_HTTP", backlog=BACKLOG, otherwise=", or to 0 for none")


def listen(host: str, port: int, prefix: str, *, backlog: int, otherwise: str = "") -> socket.socket:
    """A socket that listens. `prefix` is that of the settings, for the sentence of a BadPort, which this raises; `otherwise`
    what else the port may be set to."""
    place = f"the HTTP port {port} on {host}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family, backlog=backlog)
    except (socket.gaierror, UnicodeError):
        raise BadPort(
            f"{place} cannot be opened: there is no such address; set {prefix}__HOST to one of this machine"
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BadPort(
                f"{place} is taken, perhaps by another router; set {prefix}__PORT to a free one{otherwise}"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise BadPort(
                f"{place} cannot be opened: this machine has no such address; set {prefix}__HOST to one that it has"
            ) from None
        raise BadPort(
            f"{place} cannot be opened ({error.strerror}); set {prefix}__HOST and {prefix}__PORT otherwise"
        ) from None


@asynccontextmanager
async def served(
    listener: socket.socket,
    snapshot: Callable[[], Snapshot],
    metrics: Metrics,
    *,
    after: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[None]:
    """Serve the port for the time of the block, once `after` is over, and close it within CLOSING_SECONDS.

    FastAPI and uvicorn take half a second of CPU to import, so that is done in a thread, and no sooner.
    """
    server: list[uvicorn.Server] = []
    serving = _serve(listener, snapshot, metrics, server.append, after)
    task = asyncio.create_task(serving, name="HTTP port")
    task.add_done_callback(_say_if_failed)
    try:
        yield
    finally:
        if server:
            server[0].should_exit = True
            await asyncio.wait({task}, timeout=CLOSING_SECONDS)
        task.cancel()
        await asyncio.wait({task})
        listener.close()


async def _serve(
    listener: socket.socket,
    snapshot: Callable[[], Snapshot],
    metrics: Metrics,
    tell: Callable[["uvicorn.Server"], None],
    after: Callable[[], Awaitable[None]] | None,
) -> None:
    if after is not None:
        await after()
    server = await asyncio.to_thread(_make_server, snapshot, metrics)
    tell(server)
    host, port, *_ = listener.getsockname()
    log.info("HTTP port open", host=host, port=port)
    await server.serve(sockets=[listener])


def _make_server(snapshot: Callable[[], Snapshot], metrics: Metrics) -> "uvicorn.Server":
    """A server that is ready to serve, with everything imported that it needs."""
    from router.web.app import make_app
    from router.web.uvicorn_server import Limits, make_server

    return make_server(make_app(snapshot, metrics), Limits(MOST_CONNECTIONS, KEEP_ALIVE_SECONDS, LAST_ANSWERS_SECONDS))


def _say_if_failed(task: asyncio.Task[None]) -> None:
    """Messages go out without it, so its failure is no reason to stop."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the HTTP port failed; the router goes on without it", exc_info=error)
