"""Reading a message's delivery documents and showing them: what `send --wait`, `status` and `retry` have in common."""

from datetime import datetime

from router.commands.output import print_json, print_table, shortened
from router.couch.database import Database
from router.couch.deliveries import find_deliveries
from router.documents.delivery import Delivery
from router.documents.message import is_message
from router.documents.timestamps import utc_now


async def deliveries_of(database: Database, message_id: str) -> list[Delivery]:
    """All delivery documents of a message, the one about the message as a whole first. May raise any CouchError."""
    found = await find_deliveries(database, [message_id])
    return sorted(found.get(message_id, {}).values(), key=lambda delivery: (delivery.channel or "", delivery.id))


async def why_none(database: Database, message_id: str) -> str:
    """The sentence about a message that has no delivery documents. May raise any CouchError."""
    document = await database.get(message_id)
    if document is None:
        return f"there is no document {message_id!r} in database {database.name!r}"
    if not is_message(document):
        return f"document {message_id!r} is no message: its `content` has no `to`"
    return f"message {message_id!r} has not been routed yet; is the router running?"


def show_deliveries(deliveries: list[Delivery], *, as_json: bool) -> None:
    """Each delivery as a line of a table, or all documents as JSON."""
    if as_json:
        print_json([delivery.to_document() for delivery in deliveries])
        return
    print_table(
        ("channel", "target", "group", "status", "attempts", "next try", "why / reference"),
        [
            (
                delivery.channel or "(message)",
                shortened(delivery.target) if delivery.target else ", ".join(delivery.groups or ()),
                delivery.group or "",
                str(delivery.status),
                str(len(delivery.attempts)),
                _in_words(delivery.next_attempt_at),
                delivery.error.reason if delivery.error else delivery.reference or "",
            )
            for delivery in deliveries
        ],
    )


def _in_words(moment: datetime | None) -> str:
    if moment is None:
        return ""
    seconds = (moment - utc_now()).total_seconds()
    if seconds <= 0:
        return "now"
    if seconds < 120:
        return f"in {seconds:.0f} s"
    return f"in {seconds / 60:.0f} min" if seconds < 7200 else f"in {seconds / 3600:.0f} h"
