"""The mapping in force, as a document that admins edit, and what its status document says."""

import re
from collections.abc import Mapping as MappingOf
from functools import partial

from router.couch.database import Database
from router.couch.live_document import DocumentKind, LiveDocument
from router.couch.patience import Patience
from router.documents.json_types import JsonObject
from router.routing.mapping import Mapping, Reader, read_mapping

STATUS_ID = "router:mapping-status"
"""The document that an admin opens to see whether the last edit is in force."""
LAST_GOOD = "notification-router-mapping"
"""The last good mapping is `_local/notification-router-mapping`: a restart must not lose it to a bad edit."""
_REVISION = re.compile(r"\d{1,10}-[0-9A-Za-z]{1,64}")

MappingStore = LiveDocument[Mapping]
"""Holds the last good mapping."""


def mapping_store(
    database: Database, mapping_id: str, readers: MappingOf[str, Reader], patience: Patience
) -> MappingStore:
    """The mapping of `database`, whose targets `readers` read; nothing is read yet."""
    kind = DocumentKind("mapping", STATUS_ID, LAST_GOOD, partial(read_mapping, readers=readers), is_needed=True)
    return LiveDocument(database, mapping_id, kind, patience)


def revision_in_force(status: JsonObject | None) -> str | None:
    """The revision of the mapping in force that the status document names; None when it names none.

    Raises ValueError when what stands there is no revision: somebody damaged the document.
    """
    rev = (status or {}).get("in_force_rev")
    if rev is None or (isinstance(rev, str) and _REVISION.fullmatch(rev)):
        return rev
    raise ValueError(
        f"{STATUS_ID} is damaged: its in_force_rev is no revision; restart the router, which writes it anew"
    )
