"""The catalogue: the document in which an admin declares what users may be told about, by which channels, and the defaults."""

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from router.documents.rule import Rule


class CatalogueEvent(Rule):
    """One kind of event, and whether users hear of it unless they choose otherwise."""

    title: StrictStr | None = Field(None, description="What people call it.")
    mandatory: StrictBool = Field(
        False, description="Whether users cannot switch it off (security, legal). Its own `channels` still hold."
    )


class CatalogueGroup(Rule):
    """A notification group: events that users switch on and off together."""

    title: StrictStr | None = Field(None, description="What people call it.")
    events: dict[str, CatalogueEvent] = Field(default_factory=dict, description="Its events, by `content.event`.")


class CatalogueDocument(BaseModel):
    """The groups, events and channels that exist, with their defaults. Unknown keys are the admin's own."""

    model_config = ConfigDict(extra="allow", frozen=True, title="Catalogue document")

    id: StrictStr = Field(alias="_id", description="`notifications` unless the router is set otherwise.")
    rev: StrictStr | None = Field(None, alias="_rev", description="CouchDB's revision.")
    channels: dict[str, StrictBool] = Field(
        default_factory=dict, description="The channels that users choose among, and whether each is on by default."
    )
    groups: dict[str, CatalogueGroup] = Field(
        default_factory=dict, description="The notification groups, by `content.type`."
    )
