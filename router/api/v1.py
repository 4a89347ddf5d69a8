"""The first form of the API, `/v1/notifications…`: a thin skin over the inbox's services."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Response

from router.api.bodies import (
    CustomerId,
    NotificationOut,
    PageOut,
    ReadIn,
    Said,
    TriggerIn,
)
from router.api.errors import wrongs
from router.api.parts import Parts
from router.api.preferences_routes import add_preferences
from router.inbox.caller import Caller, Role
from router.inbox.keys import Status
from router.inbox.service import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET

SENT: Final = "Notification sent to all connected users"

MAX_EVENT_ID_CHARS: Final = 4096
"""Longest `Last-Event-ID`: a `seq` of a CouchDB cluster grows with its shards."""

NotificationId = Annotated[
    str, Path(description="A notification's `id`.", examples=["019d2f0c-5a3b-7c41-9e1f-3a5b7c9d1e2f"])
]


def v1_routes(parts: Parts) -> APIRouter:
    """The endpoints under `/v1/notifications`."""
    user = parts.access.by_token(Role.USER, Role.ADMIN)
    caller = Annotated[Caller, Depends(user)]
    key = Annotated[Caller, Depends(parts.access.by_key)]
    listener = Annotated[Caller, Depends(parts.access.by_token(Role.USER, Role.ADMIN, in_query=True))]
    routes = APIRouter(prefix="/v1/notifications", tags=["notifications"], responses=wrongs(400, 401, 403, 429, 503))

    @routes.get("")
    async def notifications(
        caller: caller,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Slow where it is large: use `cursor`.")] = 0,
        cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before.")] = None,
        status: Status = "all",
        customer_id: CustomerId = None,
    ) -> PageOut:
        """The user's notifications, newest first; without `customer_id` those of all the user's customers."""
        return PageOut.of(
            await parts.inbox.page(
                caller, limit=limit, offset=offset, cursor=cursor, status=status, customer_id=customer_id
            )
        )

    add_preferences(routes, parts)

    @routes.get("/sse", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
    async def sse(
        caller: listener,
        last_event_id: Annotated[
            str | None, Query(max_length=MAX_EVENT_ID_CHARS, description="As the header `Last-Event-ID`.")
        ] = None,
        access_token: Annotated[  # noqa: ARG001 - read by the dependency; named for the OpenAPI document
            str | None, Query(description="The token, where no header can be sent (a browser's EventSource).")
        ] = None,
        header_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=MAX_EVENT_ID_CHARS)] = None,
    ) -> Response:
        """The user's notifications as they come, as server-sent events."""
        return await parts.streams.response(caller, header_id or last_event_id)

    @routes.post("/trigger")
    async def trigger(caller: key, body: TriggerIn) -> Said:
        """Send a test notification the way that all go: by a message document."""
        await parts.sending.send(caller, body.draft())
        return Said(message=SENT)

    @routes.post("/sse")
    async def inject(caller: key, body: TriggerIn) -> Said:  # noqa: ARG001 - whoever has a key
        """Show a notification to those who are connected to this process, and keep it nowhere."""
        draft = body.draft()
        await parts.sending.check(draft)
        parts.streams.inject(draft)
        return Said(message=SENT)

    @routes.get("/{notification_id}", responses=wrongs(404))
    async def one(caller: caller, notification_id: NotificationId) -> NotificationOut:
        """One notification."""
        return NotificationOut.of(await parts.inbox.get(caller, notification_id))

    @routes.patch("/{notification_id}/read", responses=wrongs(404))
    async def mark(
        caller: caller, notification_id: NotificationId, body: Annotated[ReadIn | None, Body()] = None
    ) -> NotificationOut:
        """Mark a notification as read; `{"read": false}` marks it as unread."""
        read = body is None or body.read
        return NotificationOut.of(await parts.inbox.mark(caller, notification_id, read=read))

    @routes.delete("/{notification_id}", responses=wrongs(404))
    async def delete(caller: caller, notification_id: NotificationId) -> Said:
        """Hide a notification from its user for good."""
        await parts.inbox.delete(caller, notification_id)
        return Said(message="Notification deleted")

    return routes
