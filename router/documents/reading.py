"""Reads delivery documents as they stand in CouchDB, whatever somebody may have written into them by hand."""

from pydantic import ValidationError

from router.documents.delivery import PREFIX, Delivery, DeliveryError, Status, delivery_uuid
from router.documents.json_types import JsonObject, JsonValue
from router.documents.problems import problems_of
from router.documents.timestamps import utc_now

DAMAGED = "damaged_document"
"""`error.code` of a delivery whose document could not be read."""


def read_delivery(document: JsonObject) -> Delivery:
    """The delivery that `document`, which has an `_id`, holds. Raises nothing.

    One that cannot be read is given as `FAILED`, with what is wrong as its error and what could be saved of it: a document
    that somebody damaged must stop nobody, and nobody knows any more whether its message may be sent.
    """
    try:
        return Delivery.model_validate(document)
    except ValidationError as error:
        reason = "; ".join(map(str, problems_of(error)))
    its_id, now = str(document["_id"]), utc_now()
    body = its_id.removeprefix(PREFIX)
    parts = body.rsplit(":", 2)
    return Delivery(
        id=its_id,
        rev=_text(document.get("_rev")),
        message_id=_text(document.get("message_id")) or (parts[0] if len(parts) == 3 else body),
        group=_text(document.get("group")),
        channel=_text(document.get("channel")),
        target=_text(document.get("target")),
        event=_text(document.get("event")),
        status=Status.FAILED,
        uuid=delivery_uuid(its_id),
        reference=_text(document.get("reference")),
        created_at=now,
        updated_at=now,
        error=DeliveryError(
            code=DAMAGED, reason=f"somebody damaged this document ({reason}); `router retry` sends the message again"
        ),
    )


def is_damaged(delivery: Delivery) -> bool:
    """Whether `read_delivery` could not read the document."""
    return delivery.error is not None and delivery.error.code == DAMAGED


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
