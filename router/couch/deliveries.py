"""The delivery documents of messages, found by how their ids begin, so that no index has to be brought up to date first."""

from collections.abc import Iterable

from router.couch.database import Database
from router.documents.delivery import PREFIX, Delivery, message_delivery_id
from router.documents.json_types import JsonObject
from router.documents.reading import read_delivery

MESSAGES_AT_ONCE = 50
"""Messages that are asked about in one request."""
PAGE = 200
"""Documents that are read in one go for one message. Fifty times as many may be in memory for a moment."""


async def find_deliveries(
    database: Database, message_ids: Iterable[str], *, open_only: bool = False
) -> dict[str, dict[str, Delivery]]:
    """By message and by id, all its deliveries, the one about it as a whole included, or those whose status is not final.
    Messages without any are left out.

    What was written a moment ago is among them, by whichever mapping the message was routed. May raise any CouchError.
    """
    wanted = list(dict.fromkeys(message_ids))
    found: dict[str, dict[str, Delivery]] = {}

    def keep(message_id: str, documents: Iterable[JsonObject]) -> None:
        # The ids of what belongs to `a:b` begin as those of `a` do.
        for delivery in map(read_delivery, documents):
            if delivery.message_id == message_id and not (open_only and delivery.status.is_final):
                found.setdefault(message_id, {})[delivery.id] = delivery

    for start in range(0, len(wanted), MESSAGES_AT_ONCE):
        some = wanted[start : start + MESSAGES_AT_ONCE]
        about_all = await database.get_many(map(message_delivery_id, some))
        bounds = [(f"{PREFIX}{message_id}:", f"{PREFIX}{message_id};") for message_id in some]
        firsts = await database.ranges(bounds, PAGE)
        for message_id, (_, end), first in zip(some, bounds, firsts, strict=True):
            about_it = about_all.get(message_delivery_id(message_id))
            keep(message_id, [] if about_it is None else [about_it])
            page = first
            keep(message_id, page)
            while len(page) == PAGE:
                page = await database.ids_between(f"{page[-1]['_id']}\0", end, PAGE)
                keep(message_id, page)
    return found
