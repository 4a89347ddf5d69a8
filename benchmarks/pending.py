"""Pending deliveries as a router would have left them, written straight into a database."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from benchmarks.couchdb import Bed
from benchmarks.traffic import GROUPS, group, message, message_id, target
from router.couch import design
from router.couch.checkpoint import Checkpoint, save_checkpoint
from router.documents.delivery import Attempt, Delivery, DeliveryError, Status, delivery_id, delivery_uuid
from router.documents.json_types import JsonObject
from router.documents.timestamps import utc_now

REASON = "the server could not be reached (connection refused)"


def deliveries(number: int, channels: Sequence[str], next_attempt_at: datetime) -> list[JsonObject]:
    """The documents of a message's deliveries, one for each channel, each after one attempt that failed."""
    now = utc_now()
    its_group = number % GROUPS
    made = []
    for channel in channels:
        address = target(channel, its_group)
        identifier = delivery_id(message_id(number), channel, address)
        delivery = Delivery(
            id=identifier,
            message_id=message_id(number),
            group=group(its_group),
            channel=channel,
            target=address,
            event="order_failed",
            status=Status.PENDING,
            retries=1,
            uuid=delivery_uuid(identifier),
            created_at=now - timedelta(minutes=5),
            updated_at=now,
            next_attempt_at=next_attempt_at,
            attempts=[Attempt(at=now, outcome="retry", code=None, reason=REASON, ms=3)],
            error=DeliveryError(code="retry", reason=REASON),
            mapping_rev="1-bench",
        )
        made.append(delivery.to_document())
    return made


def left_pending(channels: Sequence[str], numbers: range, due_in: timedelta, spread: timedelta) -> list[JsonObject]:
    """Messages and their deliveries, of which the first is due in `due_in` and the others evenly within `spread`."""
    documents: list[JsonObject] = []
    start = utc_now() + due_in
    for index, number in enumerate(numbers):
        documents.append(message(number, group(number % GROUPS)))
        documents += deliveries(number, channels, start + spread * (index / len(numbers)))
    return documents


async def checkpoint_here(bed: Bed) -> None:
    """Have a router that starts now begin at the end of the feed, as it would after a clean stop."""
    identity = await bed.database.identity()
    await save_checkpoint(bed.database, Checkpoint(await bed.seq(), identity))


async def build_indexes(bed: Bed) -> None:
    """Ask the router's views once, so that they stand as in a database that was in use."""
    for view in (design.UNFINISHED, design.BY_MESSAGE):
        await bed.database.view(design.NAME, view, limit=1)
