"""From a message document to the deliveries it asks for, or to the one document that says why there are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from router.channels.base import Target
from router.documents.delivery import (
    Delivery,
    DeliveryError,
    Status,
    delivery_id,
    delivery_uuid,
    message_delivery_id,
)
from router.documents.json_types import JsonObject
from router.documents.message import MessageDocument
from router.documents.problems import in_words, problems_of
from router.routing.mapping import Mapping
from router.routing.resolve import Reached, Resolution, resolve


@dataclass(frozen=True, slots=True)
class Routed:
    """What a message comes to."""

    message: MessageDocument | None
    """The message; None when it is malformed."""
    deliveries: tuple[tuple[Delivery, Target], ...] = ()
    """A `PENDING` delivery for each target."""
    refusal: Delivery | None = None
    """The document about the whole message: `FAILED` when it is malformed, `UNROUTABLE` when a group leads nowhere."""


def route(document: JsonObject, mapping: Mapping | None, now: datetime, groups: Sequence[str] | None = None) -> Routed:
    """Route a message document by `mapping` (None: there is no mapping yet). Never raises for what a message says.

    `groups` are followed instead of those in `content.to`, where given: the part of a message that waited for them.
    """
    message_id, rev = str(document.get("_id")), document.get("_rev")
    try:
        message = MessageDocument.model_validate(document)
    except ValidationError as error:
        reason = in_words(problems_of(error))
        return Routed(
            None, refusal=_refusal(message_id, rev, now, Status.FAILED, "malformed_message", reason, event=None)
        )
    resolution = resolve(mapping, message.content.groups if groups is None else groups)
    deliveries = _deliveries(message, resolution.reached, mapping, now)
    refusal = None
    if resolution.unknown or resolution.empty:
        refusal = _refusal(
            message_id,
            rev,
            now,
            Status.UNROUTABLE,
            "unknown_group" if resolution.unknown else "empty_group",
            _why_unroutable(resolution, mapping),
            event=message.content.event,
        )
        refusal.groups = [*resolution.unknown, *resolution.empty]
        refusal.targets = len(deliveries)
        refusal.mapping_rev = mapping.rev if mapping else None
    return Routed(message, deliveries, refusal)


def refuse(message_id: str, rev: str | None, now: datetime, code: str, reason: str) -> Delivery:
    """The `FAILED` document of a message that could not even be read."""
    return _refusal(message_id, rev, now, Status.FAILED, code, reason, event=None)


def _deliveries(
    message: MessageDocument, reached: Sequence[Reached], mapping: Mapping | None, now: datetime
) -> tuple[tuple[Delivery, Target], ...]:
    """A `PENDING` delivery for each target. What they have in common is checked and stored once."""
    its_id = message_delivery_id(message.id)
    common = Delivery(
        id=its_id,
        message_id=message.id,
        message_rev=message.rev,
        targets=len(reached),
        event=message.content.event,
        priority=message.content.priority,
        status=Status.PENDING,
        uuid=delivery_uuid(its_id),
        created_at=now,
        updated_at=now,
        next_attempt_at=now,
        mapping_rev=mapping.rev if mapping else None,
    )
    return tuple((_delivery_to(one.target, one.group, common), one.target) for one in reached)


def _delivery_to(target: Target, group: str, common: Delivery) -> Delivery:
    its_id = delivery_id(common.message_id, target.channel, target.identity)
    return common.model_copy(
        update={
            "id": its_id,
            "group": group,
            "channel": target.channel,
            "target": target.shown,
            "uuid": delivery_uuid(its_id),
            # A copy shares what it is not given, and each delivery has attempts of its own.
            "attempts": [],
        }
    )


def _refusal(
    message_id: str, rev: object, now: datetime, status: Status, code: str, reason: str, *, event: str | None
) -> Delivery:
    its_id = message_delivery_id(message_id)
    return Delivery(
        id=its_id,
        message_id=message_id,
        message_rev=rev if isinstance(rev, str) else None,
        event=event,
        status=status,
        uuid=delivery_uuid(its_id),
        created_at=now,
        updated_at=now,
        error=DeliveryError(code=code, reason=reason),
    )


def _why_unroutable(resolution: Resolution, mapping: Mapping | None) -> str:
    if mapping is None:
        return "content.to: there is no valid mapping document yet, so no group leads anywhere; write one"
    reasons = []
    if resolution.unknown:
        reasons.append(
            f"the mapping has no group {', '.join(resolution.unknown)}; add it to the mapping, or correct content.to"
        )
    if resolution.empty:
        reasons.append(f"{', '.join(resolution.empty)} leads to no target; add targets to it in the mapping")
    return "content.to: " + "; ".join(reasons)
