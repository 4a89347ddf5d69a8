"""The server-sent events of one process: its streams over HTTP, and the feed that fills them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

import structlog
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from router.api.errors import ApiError
from router.couch.database import Database
from router.couch.patience import Patience
from router.documents.timestamps import to_text, utc_now
from router.inbox.caller import Caller
from router.inbox.sending import Draft
from router.rendering.body import read_body
from router.rendering.inbox import to_inbox
from router.settings import Settings
from router.stream.errors import TooManyStreamsInAll, TooManyStreamsOfUser
from router.stream.events import encode
from router.stream.follower import Follower
from router.stream.hub import Hub
from router.stream.stream import Stream

log = structlog.stdlib.get_logger("router.api")

SEND_TIMEOUT_SECONDS: Final = 30.0
"""How long a client may take in nothing before it is taken for gone."""
RETRY_SECONDS: Final = 10
"""When one who was refused may come again."""


class SseStreams:
    """The streams that are open here."""

    def __init__(self, hub: Hub, max_content_bytes: int) -> None:
        self._hub = hub
        self._max_content_bytes = max_content_bytes
        self._is_closed = False

    @classmethod
    @asynccontextmanager
    async def following(cls, settings: Settings, database: Database, patience: Patience) -> AsyncIterator[Self]:
        """Follow the feed of `database` for the time of the block; then all streams end."""
        hub = Hub(settings.api, database)
        follower = Follower(settings.couchdb, settings.feed, database, hub, patience.away)
        task = asyncio.create_task(follower.run(), name="feed of the streams")
        task.add_done_callback(_say_if_failed)
        try:
            yield cls(hub, settings.inapp.max_content_bytes)
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def response(self, caller: Caller, last_event_id: str | None) -> EventSourceResponse:
        """A stream for the caller, from behind that event on. Raises ApiError when there are too many."""
        if self._is_closed:
            raise ApiError(503, "unavailable", "the server is being stopped: connect again", {"retry-after": "1"})
        try:
            stream = self._hub.subscribe(caller.user, caller.customers, last_event_id)
        except (TooManyStreamsOfUser, TooManyStreamsInAll) as error:
            raise ApiError(429, "too_many_streams", str(error), {"retry-after": str(RETRY_SECONDS)}) from None
        # The stream has heartbeats of its own, with the place in the feed.
        return _Response(_wire(stream), ping=0, send_timeout=SEND_TIMEOUT_SECONDS)

    def inject(self, draft: Draft) -> None:
        """Show a notification to those of its users who are connected here. It is no notification, so its id is null."""
        shown = to_inbox(draft.title, read_body(draft.content, "html"), self._max_content_bytes)
        data = {
            "id": None,
            "type": draft.type,
            "event": draft.event,
            "title": shown.title,
            "content": shown.content,
            "link_url": draft.link_url,
            "link_text": draft.link_text,
            "read": False,
            "created_at": to_text(utc_now()),
        }
        self._hub.inject(draft.user_ids, {**data}, draft.customer_id)

    async def close(self) -> None:
        """End all streams, so that their clients connect to another process or wait for this one."""
        self._is_closed = True
        self._hub.end_all()


class _Response(EventSourceResponse):
    """One client's stream over HTTP."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. A client that takes nothing in any more is no fault of ours."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("a client took in nothing any more, and its stream was ended", seconds=SEND_TIMEOUT_SECONDS)


async def _wire(stream: Stream) -> AsyncIterator[bytes]:
    async with stream:
        async for event in stream:
            yield encode(event)


def _say_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the streams get nothing new any more; restart the API", exc_info=error)
