"""What may go wrong with a request to the inbox, by the codes that clients are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import structlog

from router.couch.errors import CouchError

log = structlog.stdlib.get_logger("router.inbox")


class Code(StrEnum):
    """What kind of trouble, as a program names it."""

    INVALID_USER_ID = "invalid_user_id"
    INVALID_ID = "invalid_id"
    INVALID_QUERY = "invalid_query"
    """A limit, an offset, a cursor, a customer or a list of ids that nobody can mean."""
    NOT_FOUND = "not_found"
    """No such notification, or none of the caller's: which of the two is not told."""
    INVALID_GROUP = "invalid_group"
    INVALID_CHANNEL = "invalid_channel"
    INVALID_EVENT = "invalid_event"
    FAILED_TO_FETCH_NOTIFICATIONS = "failed_to_fetch_notifications"
    FAILED_TO_MARK_AS_READ = "failed_to_mark_as_read"
    FAILED_TO_DELETE = "failed_to_delete"
    FAILED_TO_FETCH_PREFERENCES = "failed_to_fetch_preferences"
    FAILED_TO_UPDATE_PREFERENCES = "failed_to_update_preferences"
    FAILED_TO_FETCH_DELIVERIES = "failed_to_fetch_deliveries"
    FAILED_TO_SEND = "failed_to_send"


class InboxError(Exception):
    """A request that was not done. The text is a sentence for the client: it holds nothing of the server's."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


@contextmanager
def told_as(code: Code, text: str) -> Iterator[None]:
    """Have a CouchError end as an InboxError that says `text`; the log has what it was."""
    try:
        yield
    except CouchError as error:
        log.error("a request to the inbox failed", code=code, reason=str(error))
        raise InboxError(code, text) from error
