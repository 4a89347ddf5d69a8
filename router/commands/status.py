"""`router status`: what became of a message, target by target."""

from router.commands.deliveries import deliveries_of, show_deliveries
from router.commands.output import Exit, complain
from router.couch.database import Database
from router.documents.delivery import Status
from router.documents.message import is_message


async def status_command(database: Database, message_id: str, *, as_json: bool) -> Exit:
    """Show each delivery of `message_id`; FAILED unless all are COMPLETE. May raise any CouchError."""
    deliveries = await deliveries_of(database, message_id)
    if deliveries:
        show_deliveries(deliveries, as_json=as_json)
        return Exit.OK if all(delivery.status is Status.COMPLETE for delivery in deliveries) else Exit.FAILED
    document = await database.get(message_id)
    if document is None:
        complain(f"there is no document {message_id!r} in database {database.name!r}")
    elif not is_message(document):
        complain(f"document {message_id!r} is no message: its `content` has no `to`")
    else:
        complain(f"message {message_id!r} has not been routed yet; is the router running?")
    return Exit.FAILED
