"""Reads delivery documents back to go on with them, and ends those that somebody has damaged."""

from collections.abc import Iterable

import structlog

from router.delivery.recorder import Recorder
from router.documents.delivery import Delivery
from router.documents.json_types import JsonObject
from router.documents.reading import is_damaged, read_delivery

log = structlog.stdlib.get_logger("router.delivery")


async def read_back(documents: Iterable[JsonObject], recorder: Recorder) -> list[Delivery]:
    """The deliveries that `documents` hold. A damaged one is written as `FAILED`, which says why, before this returns: it
    would be found again for ever."""
    deliveries = [read_delivery(document) for document in documents]
    for damaged in filter(is_damaged, deliveries):
        log.error("a delivery document is damaged", delivery_id=damaged.id, message_id=damaged.message_id)
        await recorder.write(damaged)
    return deliveries
