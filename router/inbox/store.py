"""A user's notifications in CouchDB: reads, counts and writes, without a rule of who may."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest

from router.couch.database import Database
from router.couch.design import INBOX, INBOX_NAME
from router.couch.errors import Refused
from router.documents.audit import AuditEntry
from router.documents.json_types import JsonObject
from router.documents.notification import Notification, notification_document_id, read_notification
from router.inbox.keys import NO_CUSTOMER, Scope, Status, newest_first, whole

SCOPES_AT_ONCE = 50
"""Customers that are asked about in one request, where a page is put together from those of several."""
STEP = 500
"""Ids that are read in one go and passed over, on the way to an offset through several customers."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a list, newest first."""

    ids: tuple[str, ...]
    """The ids, as the index has them."""
    notifications: Mapping[str, Notification]
    """By id, those that are still there and can be read."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write."""

    notifications: Mapping[str, Notification]
    """By id, what was written, with its new revision."""
    conflicts: tuple[str, ...]
    """The ids of those that somebody else wrote meanwhile."""
    entry: AuditEntry
    """With its new revision."""


class InboxStore:
    """Every method may raise any CouchError; ViewMissing where `router setup` is still to be run.

    What was written before is in every list and count: CouchDB brings an index up to date before it answers from it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stretch(
        self,
        user: str,
        scopes: Sequence[Scope],
        status: Status,
        *,
        limit: int,
        before: str | None = None,
        skip: int = 0,
    ) -> Stretch:
        """At most `limit` of the user's notifications in any of these scopes, which do not overlap: those older than the id
        `before`, but for the first `skip`."""
        if len(scopes) == 1:
            start, end = newest_first(user, scopes[0], status, before)
            rows = await self._database.view(
                INBOX_NAME,
                INBOX,
                start_key=start,
                end_key=end,
                limit=limit,
                skip=skip,
                descending=True,
                # A cluster reads the documents of what it skips as well.
                include_docs=not skip,
            )
            if skip:
                ids = [_id_in(row.key) for row in rows]
                return Stretch(tuple(ids), await self.get(user, ids))
            documents = [row.document for row in rows if row.document is not None]
            return Stretch(tuple(_id_in(row.key) for row in rows), _by_id(documents))
        while skip > 0:
            passed = await self._merged(user, scopes, status, before, min(skip, STEP))
            if len(passed) < min(skip, STEP):
                return Stretch((), {})
            skip, before = skip - len(passed), passed[-1]
        ids = await self._merged(user, scopes, status, before, limit)
        return Stretch(tuple(ids), await self.get(user, ids))

    async def _merged(
        self, user: str, scopes: Sequence[Scope], status: Status, before: str | None, limit: int
    ) -> list[str]:
        """The newest ids of several scopes, newest first."""
        newest: list[str] = []
        for start in range(0, len(scopes), SCOPES_AT_ONCE):
            bounds = [newest_first(user, scope, status, before) for scope in scopes[start : start + SCOPES_AT_ONCE]]
            pages = await self._database.view_ranges(INBOX_NAME, INBOX, bounds, limit=limit, descending=True)
            newest = nlargest(limit, newest + [_id_in(row.key) for page in pages for row in page])
        return newest

    async def count(self, user: str, scope: Scope, status: Status) -> int:
        """How many of the user's notifications there are in one scope."""
        start, end = whole(user, status, scope)
        # Without groups CouchDB goes by the sums it keeps, and looks at no row but at the edges.
        counts = await self._database.view_counts(INBOX_NAME, INBOX, start_key=start, end_key=end, group_level=0)
        return sum(count for _, count in counts)

    async def counts(self, user: str, status: Status) -> dict[Scope, int]:
        """How many there are in each scope but the one of all, where there are any: one for each customer, and one for none."""
        found: dict[Scope, int] = {}
        start, end = whole(user, status)
        for key, count in await self._database.view_counts(
            INBOX_NAME, INBOX, start_key=start, end_key=end, group_level=3
        ):
            match key:
                case [_, _, str() | False as scope]:
                    found[NO_CUSTOMER if scope is False else scope] = count
        return found

    async def get(self, user: str, ids: Iterable[str]) -> dict[str, Notification]:
        """The user's notifications with these ids, by id, deleted ones included; what is missing or damaged is left out."""
        found = await self._database.get_many(notification_document_id(user, its_id) for its_id in ids)
        return _by_id(found.values())

    async def write(self, notifications: Sequence[Notification], entry: AuditEntry) -> Written:
        """Write these over the revisions they have, and `entry` with them: in one request where they are no more than fit,
        never after them.

        Raises Refused when CouchDB refuses one for another reason than a conflict.
        """
        results = await self._database.bulk([entry.to_document(), *(each.to_document() for each in notifications)])
        written: dict[str, Notification] = {}
        conflicts: list[str] = []
        for each in notifications:
            result = results[each.document_id]
            if result.rev is not None:
                written[each.id] = each.model_copy(update={"rev": result.rev})
            elif result.error == "conflict":
                conflicts.append(each.id)
            else:
                raise Refused(f"CouchDB refuses {each.document_id}: {result.reason or result.error}")
        its_result = results[entry.id]
        if its_result.rev is None:
            raise Refused(f"CouchDB refuses {entry.id}: {its_result.reason or its_result.error}")
        return Written(written, tuple(conflicts), entry.model_copy(update={"rev": its_result.rev}))

    async def correct(self, entry: AuditEntry) -> None:
        """Write `entry` over the revision it has; one that names no document any more is deleted."""
        gone: JsonObject = {"_id": entry.id, "_rev": entry.rev, "_deleted": True}
        await self._database.put(entry.to_document() if entry.ids else gone)


def _by_id(documents: Iterable[JsonObject]) -> dict[str, Notification]:
    read = (read_notification(document) for document in documents)
    return {notification.id: notification for notification in read if notification is not None}


def _id_in(key: object) -> str:
    return str(key[3]) if isinstance(key, list) and len(key) > 3 else ""
