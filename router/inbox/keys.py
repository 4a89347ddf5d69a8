"""Pure: the keys of the index `inbox` (`router/couch/design/inbox.js`)."""

from typing import Final, Literal
from urllib.parse import quote
from uuid import UUID

from router.documents.json_types import JsonValue

Status = Literal["all", "unread", "read"]

Scope = str | Literal[False] | None
"""Which of a user's notifications: an encoded customer's, those about no customer, or all."""
ALL: Final = None
NO_CUSTOMER: Final = False


def encoded(text: str) -> str:
    """A user or a customer as it stands in a key: as JavaScript's encodeURIComponent has it."""
    # Half of a surrogate pair may come with a token; no document in CouchDB holds one.
    return quote(text, safe="-_.!~*'()", errors="surrogatepass")


def about(customer_id: str) -> Scope:
    """The notifications about one customer."""
    return encoded(customer_id)


def newest_first(user: str, scope: Scope, status: Status, before: str | None = None) -> tuple[JsonValue, JsonValue]:
    """Start key and end key of a user's notifications, for a descending reading; those older than the id `before`."""
    key: list[JsonValue] = [encoded(user), status, scope]
    # Ids are all of one form, so that those below this one are those up to the number below.
    start: JsonValue = {} if before is None else str(UUID(int=UUID(before).int - 1))
    return [*key, start], key


def whole(user: str, *more: JsonValue) -> tuple[JsonValue, JsonValue]:
    """Start key and end key of all that begins with these parts of a key, for an ascending reading."""
    key: list[JsonValue] = [encoded(user), *more]
    return key, [*key, {}]
