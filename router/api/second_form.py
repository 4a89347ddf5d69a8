"""The second form of the API, `/api/notifications…`: other names for what the first one does."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StrictStr
from pydantic.alias_generators import to_camel

from router.api.bodies import CustomerId
from router.api.errors import wrongs
from router.api.parts import Parts
from router.api.preferences_routes import add_preferences
from router.documents.json_types import JsonValue
from router.documents.notification import Notification
from router.documents.timestamps import Timestamp
from router.inbox.caller import Caller, Role
from router.inbox.keys import Status
from router.inbox.sending import Draft
from router.inbox.service import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, BatchResult

TEST_TITLE = "Test notification"
TEST_MESSAGE = "If you can read this, notifications reach you."


class Camel(BaseModel):
    """Names as JavaScript has them."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class NotificationCamel(Camel):
    """One notification."""

    id: str
    user_id: str
    title: str
    message: str = Field(description="HTML, sanitised.")
    type: str | None
    event: str | None
    action_url: str | None
    action_text: str | None
    is_read: bool
    read_at: Timestamp | None
    created_at: Timestamp
    customer_id: str | None

    @classmethod
    def of(cls, notification: Notification) -> "NotificationCamel":
        """A notification as clients get it."""
        return cls(
            id=notification.id,
            user_id=notification.user,
            title=notification.title,
            message=notification.content,
            type=notification.type,
            event=notification.event,
            action_url=notification.link_url,
            action_text=notification.link_text,
            is_read=notification.read,
            read_at=notification.read_at,
            created_at=notification.created_at,
            customer_id=notification.customer_id,
        )


class PageCamel(Camel):
    """A page of notifications, newest first."""

    notifications: list[NotificationCamel]
    total: int
    unread_count: int
    next_cursor: str | None


class IdsIn(Camel):
    """Which notifications."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"notificationIds": ["019d2f0c-5a3b-7c41-9e1f-3a5b7c9d1e2f"]}]}
    )

    notification_ids: list[JsonValue] = Field(description="Their ids, at most 1,000.")


class Changed(Camel):
    """What became of a request about many."""

    success: bool = Field(description="Whether all of them are as they should be now.")
    updated: int = Field(description="How many were changed.")
    not_found: list[str] = Field(description="Ids of which the user has no notification.")
    invalid: list[str] = Field(description="What are no ids.")
    failed: list[str] = Field(description="Ids to be tried again.")

    @classmethod
    def of(cls, result: BatchResult) -> "Changed":
        """A result as clients get it."""
        return cls(
            success=not (result.not_found or result.invalid or result.failed),
            updated=len(result.changed),
            not_found=list(result.not_found),
            invalid=list(result.invalid),
            failed=list(result.failed),
        )


class AllChanged(Camel):
    """How many were changed."""

    success: bool = True
    updated: int


class Count(Camel):
    """How many."""

    count: int


class TestIn(Camel):
    """What the test notification says."""

    title: Annotated[StrictStr, Field(max_length=1000)] = TEST_TITLE
    message: StrictStr = TEST_MESSAGE
    type: Annotated[StrictStr, Field(max_length=200)] | None = None
    action_url: StrictStr | None = None


class Tested(Camel):
    """The message that was sent."""

    success: bool = True
    message_id: str


def second_routes(parts: Parts) -> APIRouter:
    """The endpoints under `/api/notifications`."""
    caller = Annotated[Caller, Depends(parts.access.by_token(Role.USER, Role.ADMIN))]
    routes = APIRouter(
        prefix="/api/notifications", tags=["notifications, second form"], responses=wrongs(400, 401, 403, 429, 503)
    )

    @routes.get("")
    async def notifications(
        caller: caller,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
        status: Status = "all",
    ) -> PageCamel:
        """The user's notifications, newest first."""
        page = await parts.inbox.page(caller, limit=limit, offset=offset, cursor=cursor, status=status)
        return PageCamel(
            notifications=[NotificationCamel.of(each) for each in page.notifications],
            total=page.total,
            unread_count=await parts.inbox.unread_count(caller),
            next_cursor=page.next_cursor,
        )

    add_preferences(routes, parts)

    @routes.get("/unread-count")
    async def unread_count(caller: caller, customer_id: CustomerId = None) -> Count:
        """How many notifications the user has not read."""
        return Count(count=await parts.inbox.unread_count(caller, customer_id=customer_id))

    @routes.post("/mark-as-read")
    async def mark_as_read(caller: caller, body: IdsIn) -> Changed:
        """Mark these as read."""
        return Changed.of(await parts.inbox.mark_many(caller, body.notification_ids))

    @routes.post("/mark-all-as-read")
    async def mark_all_as_read(caller: caller, customer_id: CustomerId = None) -> AllChanged:
        """Mark all as read that there are now."""
        return AllChanged(updated=await parts.inbox.mark_all_read(caller, customer_id=customer_id))

    @routes.post("/delete")
    async def delete(caller: caller, body: IdsIn) -> Changed:
        """Hide these from their user for good."""
        return Changed.of(await parts.inbox.delete_many(caller, body.notification_ids))

    @routes.post("/test")
    async def test(caller: caller, body: Annotated[TestIn | None, Body()] = None) -> Tested:
        """Send the caller a test notification, the way that all go."""
        said = body or TestIn()
        draft = Draft(said.title, said.message, (caller.user,), type=said.type, link_url=said.action_url)
        return Tested(message_id=await parts.sending.send(caller, draft))

    return routes
