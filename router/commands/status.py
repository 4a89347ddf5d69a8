"""`router status`: what became of a message, target by target."""

from router.commands.deliveries import deliveries_of, show_deliveries, why_none
from router.commands.output import Exit, complain
from router.couch.database import Database
from router.documents.delivery import Status


async def status_command(database: Database, message_id: str, *, as_json: bool) -> Exit:
    """Show each delivery of `message_id`; FAILED unless all are COMPLETE. May raise any CouchError."""
    deliveries = await deliveries_of(database, message_id)
    if deliveries:
        show_deliveries(deliveries, as_json=as_json)
        return Exit.OK if all(delivery.status is Status.COMPLETE for delivery in deliveries) else Exit.FAILED
    complain(await why_none(database, message_id))
    return Exit.FAILED
