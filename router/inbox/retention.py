"""Forgets notifications and audit documents that have been kept long enough."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog

from router.couch.database import Database
from router.couch.design import BY_DAY, INBOX_NAME
from router.couch.errors import CouchError, DatabaseMissing, Forbidden, LoginRefused, Refused
from router.documents.json_types import JsonValue
from router.documents.timestamps import utc_now
from router.settings import InAppSettings

log = structlog.stdlib.get_logger("router.inbox")

PAGE = 500
"""Documents that are looked up and deleted in one go."""
PURGED_AT_ONCE = 100
"""Most documents that CouchDB purges in one request, unless it is set otherwise (`[purge] max_document_id_number`)."""
_CANNOT_PURGE = (Refused, Forbidden, LoginRefused, DatabaseMissing)
"""What a server says that does not know how to purge (PouchDB Server: 400), or does not let us (CouchDB asks for a server
admin). A database from which something was deleted just now is not missing."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many documents were deleted for good."""

    notifications: int
    audit_documents: int


class Retention:
    """Deletes what is older than the settings say, by whole days: a document is kept a day longer rather than an hour less.

    A deletion leaves an empty tombstone in the database, which replication hands on. Where the server purges and lets us, no
    tombstone stays either.
    """

    def __init__(self, database: Database, settings: InAppSettings, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._purges = True

    async def run(self) -> Forgotten:
        """Delete all that is due, page by page; may be cancelled at any time, and go on another time.

        Raises any CouchError; what was deleted by then stays so.
        """
        notifications = await self._forget("notification", self._settings.retention_days)
        audit_documents = await self._forget("audit", self._settings.audit_retention_days)
        if notifications or audit_documents:
            log.info("kept long enough and deleted", notifications=notifications, audit_documents=audit_documents)
        return Forgotten(notifications, audit_documents)

    async def _forget(self, kind: Literal["notification", "audit"], days: int) -> int:
        last_day = (self._clock() - timedelta(days=days + 1)).date().isoformat()
        start: JsonValue = [kind]
        end: JsonValue = [kind, last_day, {}]
        forgotten = 0
        last_id: str | None = None
        while True:
            # What could not be deleted is still there: each page begins at the last document of the one before.
            rows = await self._database.view(INBOX_NAME, BY_DAY, start_key=start, end_key=end, limit=PAGE)
            results = await self._database.bulk(
                [{"_id": row.id, "_rev": row.value, "_deleted": True} for row in rows if row.id != last_id]
            )
            # A conflict is somebody's change at this very moment: its turn comes with the next run.
            tombstones = {doc_id: result.rev for doc_id, result in results.items() if result.rev is not None}
            refused = [
                result.reason for result in results.values() if result.rev is None and result.error != "conflict"
            ]
            if refused:
                log.warning("CouchDB refuses deletions of what was kept long enough", kind=kind, reason=refused[0])
            await self._purge(tombstones)
            forgotten += len(tombstones)
            if len(rows) < PAGE:
                return forgotten
            start, last_id = rows[-1].key, rows[-1].id

    async def _purge(self, tombstones: dict[str, str]) -> None:
        ids = list(tombstones)
        for start in range(0, len(ids), PURGED_AT_ONCE):
            if not self._purges:
                return
            some = {doc_id: tombstones[doc_id] for doc_id in ids[start : start + PURGED_AT_ONCE]}
            try:
                await self._database.purge(some)
            except _CANNOT_PURGE as error:
                self._purges = False
                _say_why(error)


def _say_why(error: CouchError) -> None:
    log.info("deleted documents leave tombstones here, since the server purges none for us", reason=str(error))
