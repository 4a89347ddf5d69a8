"""Changes to notifications that hold against others who change the same ones, each put down for the record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from router.couch.errors import Conflict
from router.documents.audit import AuditEntry
from router.documents.notification import Notification
from router.inbox.audit import audit_entry
from router.inbox.caller import Caller
from router.inbox.store import InboxStore

ATTEMPTS = 5
"""Times that notifications are read and written which somebody else keeps writing."""
BATCH = 200
"""Most notifications that are changed in one request."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a notification."""

    action: str
    """What the record calls it."""
    edit: Callable[[Notification, datetime], Notification | None]
    """The notification as it is to be from that moment on; None when it is so already."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the notifications that were to be changed. Each is in one of the four."""

    changed: Mapping[str, Notification]
    """By id, as they stand now."""
    unchanged: Mapping[str, Notification]
    """By id, those that were so already."""
    not_found: tuple[str, ...]
    """Ids of which the caller sees no notification."""
    failed: tuple[str, ...]
    """Ids of those that somebody else kept writing."""


def _marked(notification: Notification, now: datetime) -> Notification | None:
    # The first reading is the one that counts.
    return None if notification.read else notification.model_copy(update={"read": True, "read_at": now})


def _unmarked(notification: Notification, _: datetime) -> Notification | None:
    is_so = not notification.read and notification.read_at is None
    return None if is_so else notification.model_copy(update={"read": False, "read_at": None})


def _hidden(notification: Notification, now: datetime) -> Notification | None:
    return notification.model_copy(update={"deleted_at": now})


MARK_AS_READ = Change("mark_as_read", _marked)
MARK_AS_UNREAD = Change("mark_as_unread", _unmarked)
DELETE = Change("delete", _hidden)


async def apply(
    store: InboxStore,
    caller: Caller,
    ids: Iterable[str],
    change: Change,
    now: datetime,
    found: Mapping[str, Notification] | None = None,
) -> Outcome:
    """Change the caller's notifications with these ids, at most BATCH; `found` has them where they were read just now.

    What is so already is not written, and an outcome without a change leaves no audit document. Raises any CouchError; what
    had been changed by then stays so.
    """
    changed: dict[str, Notification] = {}
    unchanged: dict[str, Notification] = {}
    not_found: list[str] = []
    left = tuple(dict.fromkeys(ids))
    entry: AuditEntry | None = None
    for _ in range(ATTEMPTS):
        present = await store.get(caller.user, left) if found is None else found
        found = None
        edited: dict[str, Notification] = {}
        for its_id in left:
            notification = present.get(its_id)
            if notification is None or not caller.sees(notification):
                not_found.append(its_id)
            elif (as_wanted := change.edit(notification, now)) is None:
                unchanged[its_id] = notification
            else:
                edited[its_id] = as_wanted
        left = ()
        if not edited:
            break
        names = [each.document_id for each in (*changed.values(), *edited.values())]
        entry = (
            audit_entry(caller, change.action, names, now) if entry is None else entry.model_copy(update={"ids": names})
        )
        written = await store.write(list(edited.values()), entry)
        entry, left = written.entry, written.conflicts
        changed.update(written.notifications)
        if not left:
            break
    await _correct(store, entry, changed)
    return Outcome(changed, unchanged, tuple(not_found), left)


async def _correct(store: InboxStore, entry: AuditEntry | None, changed: Mapping[str, Notification]) -> None:
    """Have the record name what was changed, and nothing that somebody else was quicker with."""
    names = [each.document_id for each in changed.values()]
    if entry is not None and entry.ids != names:
        try:
            await store.correct(entry.model_copy(update={"ids": names}))
        except Conflict:
            # Only retention writes it besides, and has deleted it.
            return
