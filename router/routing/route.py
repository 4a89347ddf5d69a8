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
from router.documents.problems import MOST_IN_A_SENTENCE, in_words, problems_of
from router.documents.timestamps import to_text
from router.routing.catalogue import NO_CATALOGUE, Catalogue
from router.routing.choice import Held, Topic
from router.routing.mapping import Mapping
from router.routing.person import NO_PEOPLE, People, PersonKey
from router.routing.plan import Plan, Planned, Stopped, Unreadable, plan
from router.routing.resolve import NOWHERE, Resolution, resolve


@dataclass(frozen=True, slots=True)
class Routed:
    """What a message comes to."""

    message: MessageDocument | None
    """The message; None when it is malformed."""
    deliveries: tuple[tuple[Delivery, Target], ...] = ()
    """A delivery for each target: `PENDING`, or ended already by a user's preferences or a bad address."""
    refusal: Delivery | None = None
    """The document about the whole message: `FAILED` when it is malformed, `UNROUTABLE` when a group leads nowhere."""


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """A message document that was read, and what its names lead to."""

    document: JsonObject
    mapping: Mapping | None
    """The mapping that its names were followed through."""
    message: MessageDocument | None
    """None when it is malformed."""
    resolution: Resolution = NOWHERE
    problem: str = ""
    """What is wrong with a malformed one."""

    @property
    def people(self) -> list[PersonKey]:
        """The users who must be known to settle it."""
        customer = self.message.content.customer_id if self.message is not None else None
        return [PersonKey(user, customer) for user in self.resolution.users]


def read_message(document: JsonObject, mapping: Mapping | None, names: Sequence[str] | None = None) -> ReadMessage:
    """Read a message document and follow its names through `mapping` (None: there is no mapping yet). Raises nothing.

    `names` are followed instead of those in `content.to`, where given: the part of a message that waited for them.
    """
    try:
        message = MessageDocument.model_validate(document)
    except ValidationError as error:
        return ReadMessage(document, mapping, None, problem=in_words(problems_of(error)))
    return ReadMessage(document, mapping, message, resolve(mapping, message.content.names if names is None else names))


def settle(
    read: ReadMessage, now: datetime, *, people: People = NO_PEOPLE, catalogue: Catalogue = NO_CATALOGUE
) -> Routed:
    """What a message comes to. `people` has everybody in `read.people`. Never raises for what a message says."""
    message, mapping, resolution = read.message, read.mapping, read.resolution
    message_id, rev = str(read.document.get("_id")), read.document.get("_rev")
    if message is None:
        return Routed(
            None, refusal=_refusal(message_id, rev, now, Status.FAILED, "malformed_message", read.problem, event=None)
        )
    planned = plan(resolution, people, Topic.of(message.content, catalogue), catalogue, now)
    deliveries = _deliveries(message, planned, mapping, now)
    refusal = None
    if resolution.unknown or resolution.empty or planned.nobody:
        refusal = _refusal(
            message_id,
            rev,
            now,
            Status.UNROUTABLE,
            "unknown_group" if resolution.unknown else "empty_group" if resolution.empty else "unknown_user",
            _why_unroutable(resolution, planned, mapping),
            event=message.content.event,
        )
        refusal.groups = [*resolution.unknown, *resolution.empty, *planned.nobody]
        refusal.targets = len(deliveries)
        refusal.mapping_rev = mapping.rev if mapping else None
    return Routed(message, deliveries, refusal)


def refuse(message_id: str, rev: str | None, now: datetime, code: str, reason: str) -> Delivery:
    """The `FAILED` document of a message that could not even be read."""
    return _refusal(message_id, rev, now, Status.FAILED, code, reason, event=None)


def _deliveries(
    message: MessageDocument, planned: Plan, mapping: Mapping | None, now: datetime
) -> tuple[tuple[Delivery, Target], ...]:
    """A delivery for each target. What they have in common is checked and stored once."""
    its_id = message_delivery_id(message.id)
    common = Delivery(
        id=its_id,
        message_id=message.id,
        message_rev=message.rev,
        targets=len(planned.planned),
        event=message.content.event,
        priority=message.content.priority,
        status=Status.PENDING,
        uuid=delivery_uuid(its_id),
        created_at=now,
        updated_at=now,
        next_attempt_at=now,
        mapping_rev=mapping.rev if mapping else None,
        mandatory=planned.is_mandatory,
    )
    return tuple((_delivery_to(one, common), one.target) for one in planned.planned)


def _delivery_to(planned: Planned, common: Delivery) -> Delivery:
    target = planned.target
    its_id = delivery_id(common.message_id, target.channel, target.identity)
    delivery = common.model_copy(
        update={
            "id": its_id,
            "group": planned.reached.group,
            "user": planned.user,
            "mandatory": common.mandatory and planned.user is not None,
            "channel": target.channel,
            "target": target.shown,
            "uuid": delivery_uuid(its_id),
            # A copy shares what it is not given, and each delivery has attempts of its own.
            "attempts": [],
        }
    )
    match planned.ruling:
        case Stopped(rule=rule):
            delivery.rule = rule
            _end(delivery, Status.SUPPRESSED, "suppressed", f"not sent, by {rule}")
        case Unreadable(reason=reason):
            _end(delivery, Status.FAILED, "bad_address", reason)
        case Held(until=until, rule=rule):
            delivery.rule = rule
            delivery.next_attempt_at = until
            delivery.error = DeliveryError(code="quiet_hours", reason=f"held until {to_text(until)}, by {rule}")
        case None:
            pass
    return delivery


def _end(delivery: Delivery, status: Status, code: str, reason: str) -> None:
    delivery.status = status
    delivery.next_attempt_at = None
    delivery.error = DeliveryError(code=code, reason=reason)


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


def _why_unroutable(resolution: Resolution, planned: Plan, mapping: Mapping | None) -> str:
    reasons = list(planned.nobody.values())[:MOST_IN_A_SENTENCE]
    if mapping is None and resolution.unknown:
        reasons.append("there is no valid mapping document yet, so no group leads anywhere; write one")
    elif resolution.unknown:
        reasons.append(
            f"the mapping has no group {', '.join(resolution.unknown)}; add it to the mapping, or correct content.to"
        )
    if resolution.empty:
        reasons.append(f"{', '.join(resolution.empty)} leads to no target; add targets to it in the mapping")
    return "content.to: " + "; ".join(reasons)
