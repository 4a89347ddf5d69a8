"""The inbox's one service: what each request of either HTTP form does."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from router.couch.database import Database
from router.documents.notification import Notification, check_notification_id
from router.documents.problems import shown
from router.documents.timestamps import utc_now
from router.inbox.caller import Caller
from router.inbox.changes import BATCH, DELETE, MARK_AS_READ, MARK_AS_UNREAD, Change, Outcome, apply
from router.inbox.cursor import from_cursor, to_cursor
from router.inbox.errors import Code, InboxError, told_as
from router.inbox.keys import ALL, NO_CUSTOMER, Scope, Status, about, encoded
from router.inbox.store import InboxStore, Stretch

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
"""Most notifications on one page."""
MAX_OFFSET = 1_000_000
MAX_IDS = 1000
"""Most ids in one request."""
MAX_CUSTOMER_CHARS = 200

_FETCH = (Code.FAILED_TO_FETCH_NOTIFICATIONS, "the notifications cannot be fetched just now: try again in a moment")
_MARK = (
    Code.FAILED_TO_MARK_AS_READ,
    "not everything could be marked just now: see what is, and try again in a moment",
)
_DELETE = (Code.FAILED_TO_DELETE, "not everything could be deleted just now: see what is, and try again in a moment")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, newest first."""

    notifications: tuple[Notification, ...]
    total: int
    """How many there are on all pages."""
    next_cursor: str | None
    """Where the next page begins; None when this is the last."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of each id of a request about many. Each is in one of the five, in the order given."""

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    """Those that were so already."""
    not_found: tuple[str, ...]
    """Unknown, deleted, or not the caller's."""
    invalid: tuple[str, ...]
    """No ids at all."""
    failed: tuple[str, ...]
    """Those that somebody else kept changing: to be tried again."""


class InboxService:
    """Every method raises InboxError, and nothing else, for what a client or CouchDB does wrong: `invalid_query`,
    `invalid_id`, `not_found`, and the `failed_to_…` one that fits when CouchDB cannot be reached or does not do it."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = InboxStore(database)
        self._clock = clock

    # Reading

    async def page(
        self,
        caller: Caller,
        *,
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        cursor: str | None = None,
        status: Status = "all",
        customer_id: str | None = None,
    ) -> Page:
        """The caller's notifications, newest first: those of one customer, or of all that the caller belongs to and of none.

        With a `cursor`, those behind the page that gave it: new ones that come in meanwhile shift nothing. An `offset` counts
        from the newest, and costs the server the more the larger it is.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise InboxError(Code.INVALID_QUERY, f"limit must be from 1 to {MAX_LIMIT}, not {limit}")
        if not 0 <= offset <= MAX_OFFSET:
            raise InboxError(Code.INVALID_QUERY, f"offset must be from 0 to {MAX_OFFSET}, not {offset}")
        if cursor is not None and offset:
            raise InboxError(Code.INVALID_QUERY, "cursor and offset cannot be given together: a cursor has its place")
        if customer_id is not None:
            _checked_customer(caller, customer_id)
        try:
            before = None if cursor is None else from_cursor(cursor, caller.user, customer_id, status)
        except ValueError as error:
            raise InboxError(Code.INVALID_QUERY, f"cursor {error}") from None
        with told_as(*_FETCH):
            scopes, total = await self._reach(caller, customer_id, status)
            # One more than fits shows whether there is a next page.
            stretch = await self._store.stretch(
                caller.user, scopes, status, limit=limit + 1, before=before, skip=offset
            )
        ids = stretch.ids[:limit]
        is_last = len(stretch.ids) <= limit
        return Page(
            tuple(_shown(stretch, ids, caller, status)),
            total,
            None if is_last else to_cursor(ids[-1], caller.user, customer_id, status),
        )

    async def get(self, caller: Caller, notification_id: str) -> Notification:
        """One notification."""
        its_id = _checked_id(notification_id)
        with told_as(*_FETCH):
            found = (await self._store.get(caller.user, [its_id])).get(its_id)
        if found is None or not caller.sees(found):
            raise _not_found(its_id)
        return found

    async def unread_count(self, caller: Caller, *, customer_id: str | None = None) -> int:
        """How many the caller has not read."""
        with told_as(*_FETCH):
            return (await self._reach(caller, customer_id, "unread"))[1]

    async def _reach(self, caller: Caller, customer_id: str | None, status: Status) -> tuple[Sequence[Scope], int]:
        """The scopes of the index that hold what the caller asks for, and how many there are in them."""
        scope: Scope = ALL if customer_id is None else about(_checked_customer(caller, customer_id))
        if customer_id is not None or caller.customers is None:
            return [scope], await self._store.count(caller.user, scope, status)
        counts = await self._store.counts(caller.user, status)
        customers = {encoded(customer) for customer in caller.customers}
        seen = [each for each in counts if each is NO_CUSTOMER or each in customers]
        # Mostly a user has none but of the customers they belong to: then one range holds them all.
        return [ALL] if seen == list(counts) and len(seen) > 1 else seen, sum(counts[each] for each in seen)

    # Changing

    async def mark(self, caller: Caller, notification_id: str, *, read: bool = True) -> Notification:
        """Mark one as read or unread; as it stands now. One that is so already keeps the moment it was first read at."""
        change = MARK_AS_READ if read else MARK_AS_UNREAD
        return await self._change_one(caller, notification_id, change, _MARK)

    async def mark_many(self, caller: Caller, notification_ids: Sequence[object], *, read: bool = True) -> BatchResult:
        """Mark at most MAX_IDS as read or unread. Those that cannot be are reported; they keep no other from it."""
        return await self._change_many(caller, notification_ids, MARK_AS_READ if read else MARK_AS_UNREAD, _MARK)

    async def mark_all_read(self, caller: Caller, *, customer_id: str | None = None) -> int:
        """Mark as read what is unread when this begins, batch by batch from the newest on; how many were changed.

        What comes in meanwhile stays unread. Raises InboxError (`failed_to_mark_as_read`) when some could not be marked; the
        others are.
        """
        changed = 0
        failed = False
        with told_as(*_MARK):
            scopes, _ = await self._reach(caller, customer_id, "unread")
            for scope in scopes:
                before: str | None = None
                while True:
                    stretch = await self._store.stretch(caller.user, [scope], "unread", limit=BATCH, before=before)
                    outcome = await apply(
                        self._store,
                        caller,
                        stretch.notifications,
                        MARK_AS_READ,
                        self._clock(),
                        stretch.notifications,
                    )
                    changed += len(outcome.changed)
                    failed = failed or bool(outcome.failed)
                    if len(stretch.ids) < BATCH:
                        break
                    # Ever further down, so that this ends whatever is written meanwhile.
                    before = stretch.ids[-1]
        if failed:
            raise InboxError(*_MARK)
        return changed

    async def delete(self, caller: Caller, notification_id: str) -> None:
        """Hide one from its user for good. Doing it again is `not_found`, as is everything else about it from then on."""
        await self._change_one(caller, notification_id, DELETE, _DELETE)

    async def delete_many(self, caller: Caller, notification_ids: Sequence[object]) -> BatchResult:
        """Hide at most MAX_IDS. Those that cannot be are reported; they keep no other from it."""
        return await self._change_many(caller, notification_ids, DELETE, _DELETE)

    async def _change_one(
        self, caller: Caller, notification_id: str, change: Change, failure: tuple[Code, str]
    ) -> Notification:
        its_id = _checked_id(notification_id)
        with told_as(*failure):
            outcome = await apply(self._store, caller, [its_id], change, self._clock())
        if outcome.failed:
            raise InboxError(*failure)
        if outcome.not_found:
            raise _not_found(its_id)
        return {**outcome.changed, **outcome.unchanged}[its_id]

    async def _change_many(
        self, caller: Caller, notification_ids: Sequence[object], change: Change, failure: tuple[Code, str]
    ) -> BatchResult:
        if len(notification_ids) > MAX_IDS:
            raise InboxError(
                Code.INVALID_QUERY, f"at most {MAX_IDS} ids may be given at once, not {len(notification_ids)}"
            )
        ids, invalid = _sorted_out(notification_ids)
        outcomes: list[Outcome] = []
        waiting = iter(ids)
        with told_as(*failure):
            while batch := list(islice(waiting, BATCH)):
                outcomes.append(await apply(self._store, caller, batch, change, self._clock()))
        return BatchResult(
            changed=tuple(each for outcome in outcomes for each in outcome.changed),
            unchanged=tuple(each for outcome in outcomes for each in outcome.unchanged),
            not_found=tuple(each for outcome in outcomes for each in outcome.not_found),
            invalid=tuple(invalid),
            failed=tuple(each for outcome in outcomes for each in outcome.failed),
        )


def _shown(stretch: Stretch, ids: Iterable[str], caller: Caller, status: Status) -> Iterator[Notification]:
    # What was changed since the index was asked is left out, rather than shown where it does not belong.
    for its_id in ids:
        found = stretch.notifications.get(its_id)
        if found is not None and caller.sees(found) and (status == "all" or found.read is (status == "read")):
            yield found


def _sorted_out(notification_ids: Sequence[object]) -> tuple[list[str], list[str]]:
    """Those that are ids, each once, and the others as a sentence shows them."""
    good: list[str] = []
    bad: list[str] = []
    for value in notification_ids:
        try:
            good.append(check_notification_id(value))
        except ValueError:
            bad.append(shown(value))
    return list(dict.fromkeys(good)), list(dict.fromkeys(bad))


def _checked_id(value: str) -> str:
    try:
        return check_notification_id(value)
    except ValueError as error:
        raise InboxError(Code.INVALID_ID, f"{shown(value)} {error}") from None


def _checked_customer(caller: Caller, customer_id: str) -> str:
    if not 1 <= len(customer_id) <= MAX_CUSTOMER_CHARS or not customer_id.isprintable():
        raise InboxError(
            Code.INVALID_QUERY,
            f"customer_id must be 1 to {MAX_CUSTOMER_CHARS} printable characters, not {shown(customer_id)}",
        )
    if not caller.is_of(customer_id):
        raise InboxError(Code.NOT_FOUND, f"you belong to no customer {shown(customer_id)}")
    return customer_id


def _not_found(notification_id: str) -> InboxError:
    return InboxError(Code.NOT_FOUND, f"there is no notification {notification_id}")
