"""Answers what became of messages, by the delivery documents alone."""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from router.couch.database import Database, ViewRow
from router.couch.deliveries import find_deliveries
from router.couch.design import DELIVERIES, PER_DAY, REPORTS_NAME
from router.documents.delivery import Delivery, Status
from router.documents.json_types import JsonObject, JsonValue
from router.documents.reading import read_delivery
from router.documents.timestamps import to_text
from router.inbox.errors import Code, InboxError, told_as

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
"""Most deliveries on one page."""
MAX_LOOKED_AT = 2000
"""Most deliveries that are looked at for one page, where few of them fit."""
MAX_DAYS = 366
"""Longest span that is counted at once."""

Dimension = Literal["day", "channel", "status", "event"]
DIMENSIONS: tuple[Dimension, ...] = ("day", "channel", "status", "event")
"""What can be counted by, in the order of the index."""

_FETCH = (Code.FAILED_TO_FETCH_DELIVERIES, "the deliveries cannot be fetched just now: try again in a moment")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deliveries are asked for; None where anything will do."""

    channel: str | None = None
    status: Status | None = None
    event: str | None = None
    user: str | None = None
    made_from: datetime | None = None
    """Made then or later."""
    made_to: datetime | None = None
    """Made before that."""

    def fits(self, delivery: Delivery) -> bool:
        """Whether the parts fit that the index does not know."""
        return self.event in (None, delivery.event) and self.user in (None, delivery.user)


@dataclass(frozen=True, slots=True)
class DeliveriesPage:
    """A page of deliveries, the latest first."""

    deliveries: tuple[Delivery, ...]
    next_cursor: str | None
    """Where to go on; None at the end. A page may be short of its limit, or empty, and have one all the same."""


@dataclass(frozen=True, slots=True)
class MessageReport:
    """What became of a message."""

    message_id: str
    is_there: bool
    """Whether its document is still there."""
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How many deliveries are of one kind."""

    by: dict[Dimension, str]
    count: int


@dataclass(slots=True)
class _Gathered:
    found: list[Delivery] = field(default_factory=list)
    looked_at: int = 0
    last_key: JsonValue = None


class ReportsService:
    """Every method raises InboxError, and nothing else, for what a client or CouchDB does wrong."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def message(self, message_id: str) -> MessageReport:
        """What became of a message. Raises InboxError (`not_found`) when there is neither the message nor a delivery of it."""
        with told_as(*_FETCH):
            found = await find_deliveries(self._database, [message_id])
            document = None if message_id.startswith("_") else await self._database.get(message_id)
        deliveries = tuple(found.get(message_id, {}).values())
        if document is None and not deliveries:
            raise InboxError(Code.NOT_FOUND, "there is no such message")
        return MessageReport(message_id, document is not None, deliveries)

    async def deliveries(
        self, wanted: Filter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> DeliveriesPage:
        """The deliveries that fit, the latest first."""
        head: list[JsonValue] = [wanted.channel, str(wanted.status) if wanted.status is not None else None]
        start: JsonValue = [*head, {} if wanted.made_to is None else to_text(wanted.made_to)]
        end: list[JsonValue] = [*head, "" if wanted.made_from is None else to_text(wanted.made_from)]
        if cursor is not None:
            start = [*head, *_from_cursor(cursor, head)]
        gathered = _Gathered()
        with told_as(*_FETCH):
            while len(gathered.found) < limit and gathered.looked_at < MAX_LOOKED_AT:
                rows = await self._rows(
                    start, end, limit + 1, is_after=gathered.last_key is not None or cursor is not None
                )
                for row in rows:
                    gathered.looked_at += 1
                    gathered.last_key = row.key
                    delivery = read_delivery(row.document) if row.document is not None else None
                    if delivery is not None and wanted.fits(delivery):
                        gathered.found.append(delivery)
                    if len(gathered.found) == limit:
                        return DeliveriesPage(tuple(gathered.found), _to_cursor(gathered.last_key, head))
                if not rows:
                    return DeliveriesPage(tuple(gathered.found), None)
                start = gathered.last_key
        return DeliveriesPage(tuple(gathered.found), _to_cursor(gathered.last_key, head))

    async def _rows(self, start: JsonValue, end: JsonValue, limit: int, *, is_after: bool) -> list[ViewRow]:
        """Rows from the later `start` down to `end`; `is_after` leaves out the one at `start`, which the page before had."""
        rows = await self._database.view(
            REPORTS_NAME,
            DELIVERIES,
            start_key=start,
            end_key=end,
            limit=limit,
            descending=True,
            include_docs=True,
        )
        return [row for row in rows if not (is_after and row.key == start)]

    async def count(self, first: date, last: date, group_by: Sequence[Dimension]) -> list[Count]:
        """How many deliveries were made from one day to another, both included (UTC), by these dimensions."""
        if not first <= last:
            raise InboxError(Code.INVALID_QUERY, f"from ({first}) must not be later than to ({last})")
        if (last - first).days >= MAX_DAYS:
            raise InboxError(Code.INVALID_QUERY, f"from and to must be at most {MAX_DAYS} days apart")
        with told_as(*_FETCH):
            rows = await self._database.view_counts(
                REPORTS_NAME,
                PER_DAY,
                start_key=[first.isoformat()],
                end_key=[last.isoformat(), {}],
                group_level=max((DIMENSIONS.index(each) + 1 for each in group_by), default=1),
            )
        counts: Counter[tuple[str, ...]] = Counter()
        for key, count in rows:
            parts = dict(zip(DIMENSIONS, map(str, key if isinstance(key, list) else []), strict=False))
            counts[tuple(parts.get(each, "") for each in group_by)] += count
        return [Count(dict(zip(group_by, values, strict=True)), count) for values, count in sorted(counts.items())]


def _to_cursor(key: JsonValue, head: list[JsonValue]) -> str | None:
    if not isinstance(key, list):
        return None
    return urlsafe_b64encode(json.dumps([head, key[2:]]).encode()).decode("ascii").rstrip("=")


def _from_cursor(cursor: str, head: list[JsonValue]) -> list[JsonValue]:
    """Where to go on. Raises InboxError (`invalid_query`) when it is no cursor of this very list."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        value: JsonValue = json.loads(raw)
    except (ValueError, UnicodeEncodeError, binascii.Error, RecursionError):
        value = None
    match value:
        case [list() as of, [str() as made, str() as delivery_id]] if of == head:
            return [made, delivery_id]
    raise InboxError(Code.INVALID_QUERY, "cursor must be that of an earlier page of this very list, as it was given")


def as_document(delivery: Delivery) -> JsonObject:
    """A delivery as the API shows it: as its document has it, without CouchDB's own keys."""
    document = delivery.to_document()
    return {"id": document.pop("_id"), **{key: value for key, value in document.items() if not key.startswith("_")}}
