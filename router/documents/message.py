"""A message document: what an app writes to have somebody told."""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from router.documents import prefixes
from router.documents.delivery import Priority
from router.documents.json_types import JsonObject, JsonValue
from router.documents.problems import shown
from router.documents.timestamps import Timestamp
from router.documents.user_id import MAX_USER_ID_CHARS, check_user_id
from router.documents.web_address import check_web_address

MAX_GROUP_NAME_CHARS = 200

MAX_GROUPS = 1000
"""Most groups and users that one message may name. They stand in the document that says which of them are unknown."""

MAX_EVENT_CHARS = 200
"""Longest `event`, `type` and the like: some stand in every delivery document of the message."""

USER_SIGN = "@"
"""What tells a user in `to` from a group."""

MAX_LEVELS = 100
"""Deepest nesting of a message document. What a JSON reader takes is not without end, and a document that is read inside
an answer stands some levels deeper there than by itself."""


def check_message_id(message_id: str, mapping_id: str) -> str:
    """Give `message_id` back if a message can have it as its `_id`. `mapping_id` is that of the mapping document.

    Raises ValueError with what is wrong.
    """
    if not message_id:
        raise ValueError("the id of a message must not be empty")
    # Half of a surrogate pair: what a shell hands over of bytes that are no text.
    if any("\ud800" <= c <= "\udfff" for c in message_id):
        raise ValueError(f"the id of a message must be valid UTF-8, not {shown(message_id)}")
    if message_id == mapping_id:
        raise ValueError(f"{shown(message_id)} is the mapping document, not a message")
    own = next((prefix for prefix in prefixes.NO_MESSAGES if message_id.startswith(prefix)), None)
    if own is not None:
        whose = "CouchDB" if own == prefixes.COUCHDB else "the router"
        raise ValueError(
            f"the id of a message must not start with {own!r}, as {shown(message_id)} does: {whose} keeps that"
        )
    return message_id


def check_group_name(name: object) -> str:
    """Give `name` back if it names a group: `#` and at least one more character, none of them space.

    Raises ValueError with what is wrong.
    """
    if not isinstance(name, str) or not name.startswith("#") or len(name) < 2:
        raise ValueError(f"must be the name of a group, which starts with #, not {shown(name)}")
    if " " in name or not name.isprintable():
        raise ValueError(f"must be the name of a group without spaces, not {shown(name)}")
    if len(name) > MAX_GROUP_NAME_CHARS:
        raise ValueError(f"must be the name of a group of at most {MAX_GROUP_NAME_CHARS} characters")
    return name


def check_addressee(name: object) -> str:
    """Give `name` back if a message can be for it: a group, `#admins`, or a user, `@alice`.

    Raises ValueError with what is wrong.
    """
    if isinstance(name, str) and name.startswith(USER_SIGN):
        try:
            check_user_id(name[1:])
        except ValueError:
            raise ValueError(
                f"must be the name of a user, @ and an id without spaces, /, : and #, not {shown(name)}"
            ) from None
        return name
    if not isinstance(name, str) or not name.startswith("#"):
        raise ValueError(
            f"must be the name of a group, which starts with #, or of a user, which starts with @, not {shown(name)}"
        )
    return check_group_name(name)


GroupName = Annotated[
    str,
    BeforeValidator(check_group_name),
    WithJsonSchema({"type": "string", "pattern": "^#\\S+$", "maxLength": MAX_GROUP_NAME_CHARS}),
]
"""The name of a group, `#admins`."""


Addressee = Annotated[
    str,
    BeforeValidator(check_addressee),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^#\\S+$", "maxLength": MAX_GROUP_NAME_CHARS},
                {"type": "string", "pattern": "^@[^\\s/:#@_][^\\s/:#]*$", "maxLength": MAX_USER_ID_CHARS + 1},
            ]
        }
    ),
]
"""Whom a message is for: `#admins` or `@alice`."""

ShortText = Annotated[StrictStr, Field(max_length=MAX_EVENT_CHARS)]
"""A name that programs give to something."""


class Link(BaseModel):
    """Where the reader goes from here; a button in mail, a button or a link elsewhere."""

    model_config = ConfigDict(extra="allow", frozen=True)

    url: StrictStr = Field(
        description="Absolute http or https address.",
        json_schema_extra={"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"},
    )
    text: StrictStr | None = Field(None, description="What the button says; the address itself if there is none.")

    @field_validator("url")
    @classmethod
    def _is_absolute(cls, url: str) -> str:
        return check_web_address(url)


class Content(BaseModel):
    """What a message says, and to whom."""

    model_config = ConfigDict(
        extra="allow", frozen=True, json_schema_extra={"anyOf": [{"required": ["body"]}, {"required": ["subject"]}]}
    )

    to: Addressee | Annotated[list[Addressee], Field(min_length=1, max_length=MAX_GROUPS)] = Field(
        description="A group, `#admins`, a user, `@alice`, or a list of both."
    )
    subject: StrictStr | None = Field(None, description="One line that says it in short.")
    body: StrictStr | None = Field(None, description="What there is to say, as HTML or text: see `format`.")
    format: Literal["html", "text"] = Field("html", description="How `body` is to be read.")
    type: ShortText | None = Field(
        None, description="The notification group, by which users switch it on and off: `orders`."
    )
    event: ShortText | None = Field(None, description="What happened, as a program names it: `order_failed`.")
    customer_id: ShortText | None = Field(
        None, description="The customer that it is about: only this customer's users hear of it."
    )
    rec_type: ShortText | None = Field(
        None, description="What kind of record it is about, as the app names it: `order`."
    )
    rec_id: ShortText | None = Field(None, description="Which record.")
    link: Link | None = Field(None, description="Where the reader goes from here.")
    data: dict[str, JsonValue] | None = Field(
        None, description="Anything the app wants to keep with the message; not shown."
    )
    priority: Priority = Field("normal", description="How urgent it is.")
    created_at: Timestamp | None = Field(None, description="When it happened.")
    expires_at: Timestamp | None = Field(None, description="When it is no use any more; it is not sent after that.")

    @field_validator("to", mode="before")
    @classmethod
    def _has_some_groups(cls, to: object) -> object:
        # Before the names are looked at: a million wrong ones would be a million complaints.
        if isinstance(to, list) and not 1 <= len(to) <= MAX_GROUPS:
            most = f"must name at most {MAX_GROUPS} groups and users"
            raise ValueError(most if to else "must name at least one group or user")
        return to

    @model_validator(mode="after")
    def _says_something(self) -> "Content":
        if not (self.body or "").strip() and not (self.subject or "").strip():
            raise ValueError("needs a body or a subject")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The groups and users in `to`, each once, in the order written."""
        return tuple(dict.fromkeys([self.to] if isinstance(self.to, str) else self.to))


class MessageDocument(BaseModel):
    """A document whose `content` has `to`. Unknown keys are the app's own."""

    model_config = ConfigDict(extra="allow", frozen=True, title="Message document")

    id: StrictStr = Field(
        alias="_id", description="The message's name, chosen by the app; a message is routed once by it."
    )
    rev: StrictStr | None = Field(None, alias="_rev", description="CouchDB's revision.")
    content: Content = Field(description="What it says, and to whom.")

    @model_validator(mode="before")
    @classmethod
    def _is_not_too_deep(cls, document: object) -> object:
        # Before anything is read: the same for the parts that nobody reads.
        if _is_nested_deeper(document, MAX_LEVELS):
            raise ValueError(f"is nested more than {MAX_LEVELS} levels deep")
        return document


def is_message(document: JsonObject) -> bool:
    """Whether `document` is meant as a message, well-formed or not: its `content` is an object that has `to`."""
    content = document.get("content")
    return isinstance(content, dict) and "to" in content


def _is_nested_deeper(value: object, levels: int) -> bool:
    """Whether there are more than so many objects and lists in each other. Level by level, not by recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)
