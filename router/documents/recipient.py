"""A recipient document: one person, and where that person is reached."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, field_validator

from router.documents.mapping import TargetList, TargetValue
from router.documents.prefixes import RECIPIENT
from router.documents.problems import shown
from router.documents.user_id import check_user_id

MAX_NAME_CHARS = 200
"""Longest customer id, locale or display name."""


def check_time_zone(name: str) -> str:
    """Give `name` back if it is that of a time zone (IANA time zone database). Raises ValueError."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"must be the name of a time zone, such as Europe/Vienna, not {shown(name)}") from None
    return name


TimeZoneName = Annotated[StrictStr, AfterValidator(check_time_zone)]
"""The name of a time zone, `Europe/Vienna`."""

CustomerId = Annotated[StrictStr, Field(min_length=1, max_length=MAX_NAME_CHARS)]
"""What the apps call one of their customers."""


class RecipientDocument(BaseModel):
    """Who a user is, and where. Unknown keys are the admin's own."""

    model_config = ConfigDict(extra="allow", frozen=True, title="Recipient document")

    id: StrictStr = Field(alias="_id", description="`recipient:<user id>`.")
    rev: StrictStr | None = Field(None, alias="_rev", description="CouchDB's revision.")
    addresses: dict[str, TargetList] = Field(
        default_factory=dict,
        description="Where the user is reached, by channel: targets as in the mapping, one or a list.",
    )
    display_name: Annotated[StrictStr, Field(max_length=MAX_NAME_CHARS)] | None = Field(
        None, description="What people call the user."
    )
    locale: Annotated[StrictStr, Field(max_length=MAX_NAME_CHARS)] | None = Field(
        None, description="Language and region, `de-AT` (BCP 47)."
    )
    time_zone: TimeZoneName | None = Field(
        None, description="Time zone of the user's quiet hours, `Europe/Vienna`; UTC by default."
    )
    customers: list[CustomerId] | None = Field(
        None,
        description="The customers that the user belongs to. Where given, messages of other customers are not sent to the "
        "user.",
    )

    @field_validator("id")
    @classmethod
    def _names_a_user(cls, doc_id: str) -> str:
        check_user_id(doc_id.removeprefix(RECIPIENT))
        return doc_id

    @property
    def user(self) -> str:
        """The user's id."""
        return self.id.removeprefix(RECIPIENT)

    @property
    def targets(self) -> dict[str, list[TargetValue]]:
        """The addresses as written, by channel, each as a list."""
        return {c: value if isinstance(value, list) else [value] for c, value in self.addresses.items()}


def recipient_id(user: str) -> str:
    """`_id` of the document of `user`."""
    return f"{RECIPIENT}{user}"
