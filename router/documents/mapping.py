"""The mapping document: an admin's one page that says who hears about what and where."""

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from router.documents.json_types import JsonObject
from router.documents.message import GroupName

TargetValue = StrictStr | JsonObject
"""A target as written: a text, or an object where a channel needs more than an address."""

TargetList = TargetValue | list[TargetValue]
"""The targets of one channel; one bare target is read as a list of one."""


class GroupEntry(BaseModel):
    """What one group leads to: targets by channel, and other groups.

    A key that is not `groups` is the name of a channel.
    """

    model_config = ConfigDict(extra="allow", frozen=True, title="Group")
    __pydantic_extra__: dict[str, TargetList] = Field(init=False)

    groups: GroupName | list[GroupName] = Field(default_factory=list, description="Groups that are part of this one.")

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
