"""What became of messages, under `/v1`: for services and admins."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from router.api.errors import ApiError, wrongs
from router.api.parts import Parts
from router.documents.delivery import Status
from router.documents.json_types import JsonObject
from router.inbox.caller import Caller, Role
from router.reports.service import DEFAULT_LIMIT, DIMENSIONS, MAX_LIMIT, Dimension, Filter, as_document

_DELIVERY: JsonObject = {
    "id": "delivery:order-42-failed:email:3f9c0a6d1b2e4f58",
    "message_id": "order-42-failed",
    "channel": "email",
    "target": "will@example.org",
    "status": "COMPLETE",
}


class MessageOut(BaseModel):
    """What became of a message."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"message_id": "order-42-failed", "exists": True, "deliveries": [_DELIVERY]}]}
    )

    message_id: str
    exists: bool = Field(description="Whether the message document is still there.")
    deliveries: list[JsonObject] = Field(description="Its delivery documents.")


class DeliveriesOut(BaseModel):
    """A page of deliveries, the latest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"deliveries": [_DELIVERY], "next_cursor": None}]})

    deliveries: list[JsonObject]
    next_cursor: str | None = Field(
        description="What to send as `cursor` to go on; null at the end. A page may hold less than `limit` and have one."
    )


class AnalyticsOut(BaseModel):
    """How many deliveries there were."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"total": 42, "rows": [{"channel": "email", "status": "COMPLETE", "count": 42}]}]
        }
    )

    total: int
    rows: list[dict[str, str | int]]


def report_routes(parts: Parts) -> APIRouter:
    """`/v1/messages`, `/v1/deliveries` and `/v1/analytics`."""
    caller = Annotated[Caller, Depends(parts.access.by_token(Role.SERVICE, Role.ADMIN))]
    routes = APIRouter(prefix="/v1", tags=["reports"], responses=wrongs(400, 401, 403, 429, 503))

    @routes.get("/messages/{message_id:path}", responses=wrongs(404))
    async def message(
        caller: caller,  # noqa: ARG001 - may
        message_id: Annotated[str, Path(max_length=1000, examples=["order-42-failed"])],
    ) -> MessageOut:
        """What became of a message: its delivery documents."""
        found = await parts.reports.message(message_id)
        return MessageOut(
            message_id=found.message_id,
            exists=found.is_there,
            deliveries=[as_document(delivery) for delivery in found.deliveries],
        )

    @routes.get("/deliveries")
    async def deliveries(
        caller: caller,  # noqa: ARG001 - may
        message_id: Annotated[str | None, Query(max_length=1000)] = None,
        channel: Annotated[str | None, Query(max_length=200)] = None,
        status: Status | None = None,
        event: Annotated[str | None, Query(max_length=200)] = None,
        user: Annotated[str | None, Query(max_length=200)] = None,
        made_from: Annotated[AwareDatetime | None, Query(alias="from", description="Made then or later.")] = None,
        made_to: Annotated[AwareDatetime | None, Query(alias="to", description="Made before that.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
        cursor: Annotated[str | None, Query(max_length=4000)] = None,
    ) -> DeliveriesOut:
        """The deliveries that fit all that is given, the latest first."""
        wanted = Filter(channel, status, event, user, made_from, made_to)
        if message_id is not None:
            found = (await parts.reports.message(message_id)).deliveries
            fitting = [
                d for d in found if wanted.fits(d) and channel in (None, d.channel) and status in (None, d.status)
            ]
            return DeliveriesOut(deliveries=[as_document(delivery) for delivery in fitting], next_cursor=None)
        page = await parts.reports.deliveries(wanted, limit=limit, cursor=cursor)
        return DeliveriesOut(
            deliveries=[as_document(delivery) for delivery in page.deliveries], next_cursor=page.next_cursor
        )

    @routes.get("/analytics/deliveries")
    async def analytics(
        caller: caller,  # noqa: ARG001 - may
        first: Annotated[date | datetime, Query(alias="from", description="First day, UTC.", examples=["2026-11-01"])],
        last: Annotated[date | datetime, Query(alias="to", description="Last day, included.", examples=["2026-11-30"])],
        group_by: Annotated[
            str, Query(max_length=100, description="`channel`, `status`, `event` and `day`, separated by commas.")
        ] = "channel,status",
    ) -> AnalyticsOut:
        """How many deliveries were made, by what is wanted."""
        counts = await parts.reports.count(_day(first), _day(last), _dimensions(group_by))
        rows = [dict[str, str | int]([*count.by.items(), ("count", count.count)]) for count in counts]
        return AnalyticsOut(total=sum(count.count for count in counts), rows=rows)

    return routes


def _day(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _dimensions(text: str) -> list[Dimension]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    known: dict[str, Dimension] = {each: each for each in DIMENSIONS}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ApiError(400, "invalid_request", f"group_by: choose among {', '.join(DIMENSIONS)}")
    return [known[name] for name in names]
