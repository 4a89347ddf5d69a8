"""What the API takes and gives, as its clients know it; where its forms differ, the first one."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from router.documents.catalogue import CatalogueGroup
from router.documents.json_types import JsonValue
from router.documents.message import ShortText
from router.documents.notification import Notification
from router.documents.preferences import Preferences
from router.documents.timestamps import Timestamp
from router.inbox.preferences import Choices
from router.inbox.sending import MAX_USERS, Draft
from router.inbox.service import Page

MAX_TITLE_CHARS = 1000

CustomerId = Annotated[
    str | None, Query(max_length=200, description="Those about this customer alone.", examples=["acme"])
]
"""A query parameter."""

_NOTIFICATION: dict[str, JsonValue] = {
    "id": "019d2f0c-5a3b-7c41-9e1f-3a5b7c9d1e2f",
    "type": "orders",
    "event": "order_failed",
    "title": "Order 42 failed",
    "content": "<b>Card declined</b> for order 42",
    "link_url": "https://shop.example.org/orders/42",
    "link_text": "Open order",
    "read": False,
    "read_at": None,
    "created_at": "2026-11-21T08:27:00.000Z",
    "customer_id": "acme",
    "rec_type": "order",
    "rec_id": "42",
}


class NotificationOut(BaseModel):
    """One notification."""

    model_config = ConfigDict(json_schema_extra={"examples": [_NOTIFICATION]})

    id: str
    type: str | None
    event: str | None
    title: str = Field(description="Plain text, one line.")
    content: str = Field(description="HTML, sanitised: it may be put into a page as it is.")
    link_url: str | None
    link_text: str | None
    read: bool
    read_at: Timestamp | None
    created_at: Timestamp
    customer_id: str | None
    rec_type: str | None
    rec_id: str | None

    @classmethod
    def of(cls, notification: Notification) -> "NotificationOut":
        """A notification as clients get it."""
        return cls.model_validate({name: getattr(notification, name) for name in cls.model_fields})


class PageOut(BaseModel):
    """A page of notifications, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"notifications": [_NOTIFICATION], "total": 1, "next_cursor": None}]}
    )

    notifications: list[NotificationOut]
    total: int = Field(description="How many there are on all pages.")
    next_cursor: str | None = Field(description="What to send as `cursor` for the next page; null on the last.")

    @classmethod
    def of(cls, page: Page) -> "PageOut":
        """A page as clients get it."""
        return cls(
            notifications=[NotificationOut.of(each) for each in page.notifications],
            total=page.total,
            next_cursor=page.next_cursor,
        )


class ReadIn(BaseModel):
    """What to mark a notification as."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"read": True}]})

    read: StrictBool = True


class Said(BaseModel):
    """What was done, for people."""

    message: str


class Wrong(BaseModel):
    """Why it was not done."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"code": "notifications_m.not_found", "message": "there is no such notification"}]
        }
    )

    code: str = Field(description="For programs.")
    message: str = Field(description="For people: a sentence.")


class Available(BaseModel):
    """What there is to choose from, with the defaults."""

    channels: dict[str, bool] = Field(description="The channels, and whether each is on by default.")
    groups: dict[str, CatalogueGroup] = Field(description="The notification groups and their events.")


class PreferencesOut(Preferences):
    """What the user has chosen, and what there is to choose from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channels": {"email": False},
                    "groups": {"orders": {"events": {"order_failed": {"channels": {"inapp": True}}}}},
                    "quiet_hours": {"start": "22:00", "end": "07:00"},
                    "available": {
                        "channels": {"email": True, "inapp": True},
                        "groups": {"orders": {"title": "Orders", "events": {"order_failed": {"mandatory": False}}}},
                    },
                }
            ]
        }
    )

    available: Available

    @classmethod
    def of(cls, choices: Choices) -> "PreferencesOut":
        """Preferences as clients get them."""
        catalogue = choices.catalogue
        channels = catalogue.channels or dict.fromkeys(sorted(choices.channels), True)
        chosen = choices.preferences.model_dump(mode="json", exclude_unset=True, exclude={"id", "rev", "updated_at"})
        return cls.model_validate({**chosen, "available": {"channels": channels, "groups": dict(catalogue.groups)}})


class PreferencesIn(Preferences):
    """What the user chooses. What is left out is as the customer's, the user's own or the catalogue's default."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [{"channels": {"email": False}, "quiet_hours": {"start": "22:00", "end": "07:00"}}]
        },
    )


class TriggerIn(BaseModel):
    """A test notification."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "orders",
                    "event": "order_failed",
                    "title": "Order 42 failed",
                    "content": "<b>Card declined</b> for order 42",
                    "customer_id": "acme",
                    "user_ids": ["alice"],
                    "rec_type": "order",
                    "rec_id": "42",
                }
            ]
        }
    )

    type: ShortText | None = None
    event: ShortText | None = None
    title: Annotated[StrictStr, Field(max_length=MAX_TITLE_CHARS)] = ""
    content: StrictStr = ""
    customer_id: ShortText | None = None
    user_ids: Annotated[list[StrictStr], Field(max_length=MAX_USERS)]
    rec_type: ShortText | None = None
    rec_id: ShortText | None = None

    def draft(self) -> Draft:
        """The notification to send."""
        return Draft(**{**self.model_dump(), "user_ids": tuple(self.user_ids)})
