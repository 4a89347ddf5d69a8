"""Makes a uvicorn server that leaves signals and the log to us. Importing this takes a tenth of a second and more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server bears, and for how long it waits."""

    connections: int
    """More than these are answered with 503."""
    keep_alive_seconds: int
    """How long an idle connection is kept."""
    last_answers_seconds: int
    """How long answers under way may take to end when it closes."""


class Server(uvicorn.Server):
    """Signals are the router's own business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def make_server(app: ASGIApp, limits: Limits) -> Server:
    """A server that is ready to serve `app`."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,  # What it has to say goes through the router's own log,
        log_level="error",  # and that somebody sends no HTTP is not worth a line.
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=limits.last_answers_seconds,
    )
    config.load()
    return Server(config)
