"""`router serve`: the HTTP API as a process of its own. Any number of them serve any user."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

import structlog

from router.api.access import Access
from router.api.app import make_api
from router.api.keys import ApiKeys
from router.api.parts import Parts
from router.api.rate_limit import RateLimit
from router.api.streams import SseStreams
from router.api.tokens import TokenVerifier, key_source
from router.channels.email.unsubscribe import unsubscribe_links
from router.couch.database import Database
from router.couch.patience import Patience
from router.inbox.preferences import PreferencesService
from router.inbox.sending import SendingService
from router.inbox.service import InboxService
from router.reports.service import ReportsService
from router.settings import ApiSettings, Settings
from router.web.server import listen
from router.web.uvicorn_server import Limits, make_server

log = structlog.stdlib.get_logger("router.api")

BACKLOG: Final = 1024
"""Connections that may wait to be taken up."""
OTHER_CONNECTIONS: Final = 500
"""Connections beside those of streams; more are answered with 503."""
OTHER_FILES: Final = 100
"""Files that are open beside connections of clients."""
KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle connection is kept; longer than most proxies', so that they are the ones that close it."""
LAST_ANSWERS_SECONDS: Final = 3
"""How long answers under way may take to end when the process is stopped."""
CLOSING_SECONDS: Final = 5.0
"""How long closing the port may take in all; then it is cut off."""


@asynccontextmanager
async def api_parts(settings: Settings, channels: Collection[str], database: Database) -> AsyncIterator[Parts]:
    """Everything that the endpoints are made on, for the time of the block. Nothing is `missing` in the settings."""
    catalogue_id = settings.couchdb.catalogue_id
    keys = key_source(settings.api)
    try:
        async with SseStreams.following(settings, database, Patience(settings.feed)) as streams:
            yield Parts(
                Access(
                    TokenVerifier(settings.api, keys),
                    ApiKeys(settings.api.api_keys),
                    RateLimit(settings.api.rate_per_second, settings.api.burst),
                ),
                InboxService(database),
                PreferencesService(database, catalogue_id, channels),
                SendingService(database, catalogue_id),
                ReportsService(database),
                streams,
                unsubscribe_links(settings.email.unsubscribe_url, settings.email.unsubscribe_secret),
            )
    finally:
        await keys.close()


def _allow_files(streams: int) -> None:
    """Have the system let us hold as many connections as there may be streams. It mostly allows 1,024 at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + OTHER_CONNECTIONS + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        log.warning(
            "the system allows fewer open files than there may be streams (ulimit -n, LimitNOFILE=)",
            allowed=most,
            wanted=wanted,
        )


def open_api_port(settings: ApiSettings) -> socket.socket:
    """A socket that listens where the settings say. Raises BadPort."""
    return listen(settings.host, settings.port, "ROUTER_API", backlog=BACKLOG)


async def serve_api(
    settings: Settings, channels: Collection[str], listener: socket.socket, stop: asyncio.Event
) -> None:
    """Serve the API on `listener` until `stop` is set, then end what is under way and close it.

    CouchDB need not be there: requests are answered with 503 while it is not.
    """
    _allow_files(settings.api.streams)
    async with Database(settings.couchdb) as database, api_parts(settings, channels, database) as parts:
        limits = Limits(settings.api.streams + OTHER_CONNECTIONS, KEEP_ALIVE_SECONDS, LAST_ANSWERS_SECONDS)
        server = make_server(make_api(settings.api, parts), limits)
        host, port, *_ = listener.getsockname()
        log.info("HTTP API open", host=host, port=port)
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="HTTP API")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await parts.streams.close()
            server.should_exit = True
            await asyncio.wait({serving}, timeout=CLOSING_SECONDS)
        finally:
            serving.cancel()
            stopping.cancel()
            await asyncio.wait({serving, stopping})
            listener.close()
        if not serving.cancelled():
            serving.result()
    log.info("stopped")
