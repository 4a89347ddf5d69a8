"""The mapping document: an admin's one page that says who hears about what and where."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from router.documents.json_types import JsonObject
from router.documents.message import USER_SIGN, GroupName
from router.documents.user_id import UserId

TargetValue = StrictStr | JsonObject
"""A target as written: a text, or an object where a channel needs more than an address."""

TargetList = TargetValue | list[TargetValue]
"""The targets of one channel; one bare target is read as a list of one."""


def _without_sign(value: object) -> object:
    return value[1:] if isinstance(value, str) and value.startswith(USER_SIGN) else value


UserRef = Annotated[UserId, BeforeValidator(_without_sign)]
"""A user's id; one written as in `content.to`, `@alice`, is understood."""


class GroupEntry(BaseModel):
    """What one group leads to: targets by channel, and other groups.

    A key that is neither `groups` nor `users` is the name of a channel.
    """

    model_config = ConfigDict(extra="allow", frozen=True, title="Group")
    __pydantic_extra__: dict[str, TargetList] = Field(init=False)

    groups: GroupName | list[GroupName] = Field(default_factory=list, description="Groups that are part of this one.")

    users: UserRef | list[UserRef] = Field(
        default_factory=list, description="Users (`alice`) who are reached as their recipient documents say."
    )

    @property
    def listed_users(self) -> list[str]:
        """The ids in `users`, as a list."""
        return [self.users] if isinstance(self.users, str) else self.users

    @property
    def included(self) -> list[str]:
        """The groups in `groups`, as a list."""
        return [self.groups] if isinstance(self.groups, str) else self.groups

    @property
    def channels(self) -> dict[str, list[TargetValue]]:
        """The targets as written, by channel, each as a list."""
        return {
            channel: value if isinstance(value, list) else [value]
            for channel, value in (self.__pydantic_extra__ or {}).items()
        }


class MappingDocument(BaseModel):
    """Who hears about what, and where. Unknown keys beside `mapping` are the admin's own."""

    model_config = ConfigDict(extra="allow", frozen=True, title="Mapping document")

    id: StrictStr = Field(alias="_id", description="`ccs.notifications` unless the router is set otherwise.")
    rev: StrictStr | None = Field(None, alias="_rev", description="CouchDB's revision.")
    mapping: dict[GroupName, GroupEntry] = Field(
        description="The groups: a name that starts with #, and what it leads to.",
        json_schema_extra={"additionalProperties": False},
    )
