"""Pure: what a row of the feed tells the streams of its user."""

from dataclasses import dataclass
from typing import Final

from router.couch.rows import FeedRow
from router.documents.notification import PREFIX, read_notification
from router.stream.events import Event, added, data_of, deleted, marked

_FIRST_GENERATION: Final = "1-"
_TIME_HEX_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Telling:
    """An event, and whom it is for among the streams of its user."""

    event: Event
    customer_id: str | None = None
    """The customer it is about: only those hear of it who belong to that one. None when it is about none."""

    def is_for(self, customers: frozenset[str] | None) -> bool:
        """Whether one hears of it who belongs to `customers`; None for all."""
        return self.customer_id is None or customers is None or self.customer_id in customers


def user_of(document_id: str) -> str:
    """The user whose inbox a notification is in, by its `_id`."""
    return document_id.removeprefix(PREFIX).partition(":")[0]


def made_at_ms(document_id: str) -> int:
    """When a notification was made, by its `_id`: milliseconds since 1970; 0 when its id is none."""
    its_id = document_id.rpartition(":")[2]
    try:
        return int(its_id.replace("-", "", 1)[:_TIME_HEX_DIGITS], 16)
    except ValueError:
        return 0


def is_first(row: FeedRow) -> bool:
    """Whether the document has never been changed since it was written."""
    return row.rev is not None and row.rev.startswith(_FIRST_GENERATION)


def telling_of(row: FeedRow, *, is_new: bool, event_id: str | None) -> Telling | None:
    """What is to be told of a notification's `row`; None for one that is damaged. `is_new` says whether its user's streams have
    never been told of it."""
    if row.deleted:
        # By whoever keeps the database small. Whose customer it was about nobody knows any more; its id tells nothing.
        return Telling(deleted(row.id.rpartition(":")[2], event_id))
    if row.document is None or (notification := read_notification(row.document)) is None:
        return None
    if notification.deleted_at is not None:
        event = deleted(notification.id, event_id)
    elif is_new:
        event = added(data_of(notification), event_id)
    else:
        event = marked(notification.id, read=notification.read, event_id=event_id)
    return Telling(event, notification.customer_id)
