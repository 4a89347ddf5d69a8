"""`router retry`: has another try made at what did not arrive."""

from collections.abc import Collection

from router.commands.deliveries import deliveries_of, show_deliveries, why_none
from router.commands.output import Exit, complain, print_json, say
from router.couch.database import Database
from router.documents.delivery import Delivery, Status
from router.documents.timestamps import utc_now


async def retry_command(database: Database, message_id: str, channels: Collection[str], *, as_json: bool) -> Exit:
    """Make every delivery of `message_id` that is not COMPLETE due at once. May raise any CouchError.

    `channels` are those that this router knows: nobody would ever try a delivery for another.
    """
    deliveries = await deliveries_of(database, message_id)
    if not deliveries:
        complain(await why_none(database, message_id))
        return Exit.FAILED
    again: list[Delivery] = []
    for delivery in deliveries:
        obstacle = make_due(delivery, channels)
        if obstacle is not None:
            complain(f"{delivery.id}: {obstacle}")
        elif delivery.status is not Status.COMPLETE:
            again.append(delivery)
    if not again:
        if as_json:
            print_json([])
        else:
            say("nothing to try again")
        return Exit.OK if all(delivery.status is Status.COMPLETE for delivery in deliveries) else Exit.FAILED
    results = await database.bulk([delivery.to_document() for delivery in again])
    refused = [(doc_id, result.reason or result.error) for doc_id, result in results.items() if result.rev is None]
    for doc_id, reason in refused:
        complain(f"{doc_id}: {reason}; look again with `router status` and repeat if need be")
    show_deliveries(again, as_json=as_json)
    return Exit.FAILED if refused else Exit.OK


def make_due(delivery: Delivery, channels: Collection[str]) -> str | None:
    """Write into `delivery` that it is to be tried now; or give the reason why that would be no use. COMPLETE stays."""
    now = utc_now()
    if delivery.status is Status.COMPLETE:
        return None
    if delivery.channel is None:
        if not delivery.groups:
            return "the message itself is at fault; write a corrected revision of it"
        delivery.status = Status.UNROUTABLE
    elif delivery.channel not in channels:
        return f"this router knows no channel {delivery.channel!r}; correct the mapping and send the message anew"
    else:
        delivery.status = Status.PENDING
        delivery.next_attempt_at = now
    delivery.retries = 0
    delivery.retried_at = delivery.updated_at = now
    return None
