"""A notification document: what stands in one user's in-app inbox."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import structlog
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidationError,
    model_validator,
)

from router.documents import prefixes
from router.documents.json_types import JsonObject
from router.documents.problems import in_words, problems_of
from router.documents.time_ordered_id import is_time_ordered_id, time_ordered_id
from router.documents.timestamps import Timestamp
from router.documents.user_id import UserId
from router.documents.web_address import check_web_address

log = structlog.stdlib.get_logger("router.inbox")

PREFIX = prefixes.NOTIFICATION
"""What the `_id` of every notification document starts with."""


class Notification(BaseModel):
    """A notification document. Written by the router alone, whoever asks for it."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, title="Notification document")

    document_id: StrictStr = Field(alias="_id", description="`notification:<user>:<id>`.")
    rev: StrictStr | None = Field(None, alias="_rev", description="CouchDB's revision.")
    user: UserId = Field(description="Whose inbox it is in.")
    type: StrictStr | None = Field(None, description="The notification group, such as `chats`.")
    event: StrictStr | None = Field(None, description="What happened, as a program names it: `order_failed`.")
    title: StrictStr = Field("", description="One line of plain text that says it in short.")
    content: StrictStr = Field(
        "",
        description="What there is to say. Sanitised where it is HTML: a front end may put it into `innerHTML` then.",
    )
    format: Literal["html", "text"] = Field("html", description="How `content` is to be read.")
    link_url: Annotated[StrictStr, AfterValidator(check_web_address)] | None = Field(
        None, description="Where the reader goes from here: an absolute http or https address."
    )
    link_text: StrictStr | None = Field(None, description="What the link says; the address itself if there is none.")
    read: StrictBool = Field(False, description="Whether its user has read it.")
    read_at: Timestamp | None = Field(None, description="When its user first read it, or last after marking it unread.")
    created_at: Timestamp = Field(description="When it was made.")
    customer_id: StrictStr | None = Field(None, description="The customer it is about; null when it is about none.")
    rec_type: StrictStr | None = Field(None, description="What kind of record it is about, as the app names it.")
    rec_id: StrictStr | None = Field(None, description="Which record of that kind.")
    message_id: StrictStr | None = Field(None, description="`_id` of the message document that it was made from.")
    deleted_at: Timestamp | None = Field(
        None, description="When its user deleted it: it is kept for the record from then on, and shown to nobody."
    )

    @model_validator(mode="after")
    def _is_at_its_place(self) -> "Notification":
        if self.document_id != notification_document_id(self.user, self.id):
            raise ValueError("its `_id` must be `notification:`, its user, `:`, and more")
        if not is_time_ordered_id(self.id):
            raise ValueError("its `_id` must end in a UUID of version 7, in lower case")
        return self

    @property
    def id(self) -> str:
        """What the API calls it: the part of `_id` behind the user."""
        return self.document_id.removeprefix(PREFIX).partition(":")[2]

    def to_document(self) -> JsonObject:
        """The document as CouchDB gets it."""
        document: JsonObject = self.model_dump(mode="json", by_alias=True)
        if document["_rev"] is None:
            del document["_rev"]
        return document


def notification_id(created_at: datetime, delivery_uuid: UUID) -> str:
    """The id, within its user's, of the notification that a delivery becomes. A retry makes the same."""
    return time_ordered_id(created_at, delivery_uuid)


def notification_document_id(user: str, its_id: str) -> str:
    """`_id` of a user's notification."""
    return f"{PREFIX}{user}:{its_id}"


def check_notification_id(value: object) -> str:
    """Give `value` back, in lower case, if a notification can have it as its id. Raises ValueError with what is wrong."""
    # UUIDs are read whatever their case (RFC 9562 section 4). Only ASCII: other letters have a lower case in ASCII too.
    if isinstance(value, str) and value.isascii() and is_time_ordered_id(value.lower()):
        return value.lower()
    raise ValueError("must be the id of a notification, such as 019d2f0c-5a3b-7c41-9e1f-3a5b7c9d1e2f")


def read_notification(document: JsonObject) -> Notification | None:
    """The notification that `document` holds; None, and a line in the log, when somebody damaged it. Raises nothing."""
    try:
        return Notification.model_validate(document)
    except ValidationError as error:
        log.warning(
            "a damaged notification document is passed over; mend or delete it",
            document_id=document.get("_id"),
            problems=in_words(problems_of(error)),
        )
        return None
