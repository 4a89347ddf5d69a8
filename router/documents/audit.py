"""An audit document: one change that somebody made, for the record."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from router.documents import prefixes
from router.documents.json_types import JsonObject
from router.documents.timestamps import Timestamp

PREFIX = prefixes.AUDIT
"""What the `_id` of every audit document starts with."""

MAX_IDS = 1000
"""Most documents that one audit document names; a change of more has several."""


class AuditEntry(BaseModel):
    """An audit document. Written by the router alone, in the same request as the change."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, title="Audit document")

    id: StrictStr = Field(alias="_id", description="`audit:<UUID of version 7>`: sorts by when.")
    rev: StrictStr | None = Field(None, alias="_rev", description="CouchDB's revision.")
    type: Literal["audit"] = "audit"
    at: Timestamp = Field(description="When.")
    user: StrictStr = Field(description="Who: the user that asked for it.")
    roles: list[StrictStr] = Field(default_factory=list, description="The roles that user had.")
    action: StrictStr = Field(description="What: `mark_as_read`, `mark_as_unread`, `delete`, …")
    ids: Annotated[list[StrictStr], Field(max_length=MAX_IDS)] = Field(
        description="`_id` of each document that was changed."
    )

    def to_document(self) -> JsonObject:
        """The document as CouchDB gets it."""
        document: JsonObject = self.model_dump(mode="json", by_alias=True)
        if document["_rev"] is None:
            del document["_rev"]
        return document
