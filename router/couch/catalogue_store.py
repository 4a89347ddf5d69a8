"""The catalogue in force, as a document that admins edit."""

from collections.abc import Collection
from functools import partial

from router.couch.database import Database
from router.couch.live_document import DocumentKind, LiveDocument
from router.couch.patience import Patience
from router.routing.catalogue import Catalogue, read_catalogue

STATUS_ID = "router:catalogue-status"
"""The document that an admin opens to see whether the last edit is in force."""
LAST_GOOD = "notification-router-catalogue"
"""The last good catalogue is `_local/notification-router-catalogue`."""

CatalogueStore = LiveDocument[Catalogue]
"""Holds the last good catalogue; none where there is no such document."""


def catalogue_store(
    database: Database, catalogue_id: str, channels: Collection[str], patience: Patience
) -> CatalogueStore:
    """The catalogue of `database`; `channels` are those that this router knows. Nothing is read yet."""
    read = partial(read_catalogue, channels=channels)
    kind = DocumentKind("catalogue", STATUS_ID, LAST_GOOD, read, is_needed=False)
    return LiveDocument(database, catalogue_id, kind, patience)
