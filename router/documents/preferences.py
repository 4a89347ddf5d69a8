"""A preferences document: what a user wants to be told, by which channels, and when not."""

import re
from datetime import time
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    field_validator,
    model_validator,
)

from router.documents.prefixes import PREFERENCES
from router.documents.problems import shown
from router.documents.rule import GroupRule
from router.documents.timestamps import Timestamp
from router.documents.user_id import check_user_id

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def check_clock(text: str) -> str:
    """Give `text` back if it is a time of day, `22:30`. Raises ValueError."""
    if not _CLOCK.fullmatch(text):
        raise ValueError(f"must be a time of day such as 22:30, not {shown(text)}")
    return text


Clock = Annotated[StrictStr, AfterValidator(check_clock)]
"""A time of day, `22:30`."""


class QuietHours(BaseModel):
    """The hours of each day in which only what is critical is sent at once."""

    model_config = ConfigDict(extra="allow", frozen=True)

    start: Clock = Field(description="When they begin, in the user's time zone.")
    end: Clock = Field(description="When they end; on the next day where that is earlier.")

    @model_validator(mode="after")
    def _has_an_end(self) -> "QuietHours":
        if self.start == self.end:
            raise ValueError(
                "must end at another time than they begin; for no notifications at all, switch channels off"
            )
        return self

    @property
    def begins(self) -> time:
        """`start` as a time."""
        return time.fromisoformat(self.start)

    @property
    def ends(self) -> time:
        """`end` as a time."""
        return time.fromisoformat(self.end)


class Preferences(BaseModel):
    """What a user has chosen. What is left open is as the wider document has it, and at last the catalogue."""

    model_config = ConfigDict(extra="allow", frozen=True)

    channels: dict[str, StrictBool] = Field(
        default_factory=dict, description="Whole channels, on or off: what is off here is off for everything."
    )
    groups: dict[str, GroupRule] = Field(
        default_factory=dict, description="Notification groups (`content.type` of messages), on or off."
    )
    quiet_hours: QuietHours | None = Field(
        None, description="When not to disturb. null: never mind the time, whatever a wider document says."
    )

    @property
    def decides_on_quiet_hours(self) -> bool:
        """Whether it says anything about quiet hours, be it that there are none."""
        return "quiet_hours" in self.model_fields_set


class PreferencesDocument(Preferences):
    """The preferences of a user, or of a user as one of a customer's. Unknown keys are kept."""

    model_config = ConfigDict(title="Preferences document")

    id: StrictStr = Field(
        alias="_id", description="`preferences:<user id>`, or `preferences:<user id>:<customer id>`, which goes before."
    )
    rev: StrictStr | None = Field(None, alias="_rev", description="CouchDB's revision.")
    updated_at: Timestamp | None = Field(None, description="When it was last written.")

    @field_validator("id")
    @classmethod
    def _names_a_user(cls, doc_id: str) -> str:
        check_user_id(doc_id.removeprefix(PREFERENCES).partition(":")[0])
        return doc_id


def preferences_id(user: str, customer: str | None = None) -> str:
    """`_id` of the preferences of `user`, in general or as one of `customer`'s."""
    return f"{PREFERENCES}{user}" if customer is None else f"{PREFERENCES}{user}:{customer}"
