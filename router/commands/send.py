"""`router send`: writes a message document, as an app would, and waits if asked for what becomes of it."""

import asyncio
from time import monotonic

from pydantic import ValidationError

from router.commands.deliveries import deliveries_of, show_deliveries
from router.commands.output import Exit, complain, say
from router.couch.database import Database
from router.couch.errors import Conflict
from router.documents.delivery import Delivery, Status
from router.documents.json_types import JsonObject
from router.documents.message import MessageDocument
from router.documents.problems import problems_of

POLL_SECONDS = 0.2
"""How often the delivery documents are looked at while waiting."""


async def send_command(
    database: Database, message_id: str, content: JsonObject, *, wait_seconds: float | None, as_json: bool
) -> Exit:
    """Write the message `message_id`; with `wait_seconds`, wait that long for its deliveries to end and show them.

    May raise any CouchError.
    """
    document: JsonObject = {"_id": message_id, "content": content}
    try:
        MessageDocument.model_validate(document)
    except ValidationError as error:
        for problem in problems_of(error):
            complain(str(problem))
        return Exit.USAGE
    try:
        await database.put(document)
    except Conflict:
        complain(f"there is a document {message_id!r} already; choose another --id, a message is routed once by its id")
        return Exit.FAILED
    if wait_seconds is None or not as_json:
        # Before the wait: whoever gives up waiting must know what to ask `router status` for.
        say(message_id)
    if wait_seconds is None:
        return Exit.OK
    deliveries = await _wait(database, message_id, wait_seconds)
    if not deliveries:
        complain(f"nothing became of {message_id!r} within {wait_seconds:g} seconds; is the router running?")
        return Exit.FAILED
    show_deliveries(deliveries, as_json=as_json)
    return Exit.OK if all(delivery.status is Status.COMPLETE for delivery in deliveries) else Exit.FAILED


async def _wait(database: Database, message_id: str, wait_seconds: float) -> list[Delivery]:
    """The deliveries once all have come to rest, or as they stand when the time is up."""
    deadline = monotonic() + wait_seconds
    while True:
        deliveries = await deliveries_of(database, message_id)
        if _is_at_rest(deliveries) or monotonic() >= deadline:
            return deliveries
        await asyncio.sleep(POLL_SECONDS)


def _is_at_rest(deliveries: list[Delivery]) -> bool:
    whole = [delivery for delivery in deliveries if delivery.channel is None]
    single = [delivery for delivery in deliveries if delivery.channel is not None]
    expected = max((delivery.targets or 0 for delivery in deliveries), default=0)
    if len(single) < expected or not deliveries:
        return False
    return all(delivery.status.is_final for delivery in single) and (bool(single) or bool(whole))
