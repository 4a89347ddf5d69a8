"""Pure: which part of a message still has to be sent, given the delivery documents that it has already."""

from collections.abc import Mapping
from dataclasses import dataclass

from router.channels.base import Target
from router.documents.delivery import Delivery, message_delivery_id
from router.routing.route import Routed


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left to do for a message."""

    deliveries: tuple[tuple[Delivery, Target], ...] = ()
    refusal: Delivery | None = None
    """The document about the message as a whole that is to be written."""
    outdated: Delivery | None = None
    """The document about an earlier revision of the message that is to be deleted, since this one can be routed."""


def remaining(routed: Routed, message_id: str, rev: str | None, existing: Mapping[str, Delivery]) -> Remaining:
    """What is left of `routed`, when `existing` (by id) are the delivery documents of the message.

    A message is routed once: a later revision, or the same row read again after a crash or a rewind of the feed, sends
    nothing new. Two cases are not that: a routing that was cut off before all its documents were written (the one about
    groups that lead nowhere may be the last), which is completed; and a message that was refused as a whole and has been
    corrected since.
    """
    if not existing:
        return Remaining(routed.deliveries, routed.refusal)
    missing = tuple(pair for pair in routed.deliveries if pair[0].id not in existing)
    refusal = existing.get(message_delivery_id(message_id))
    if refusal is not None and refusal.message_rev != rev:
        if routed.refusal is None:
            return Remaining(missing, outdated=refusal)
        routed.refusal.rev = refusal.rev
        return Remaining(missing, routed.refusal)
    written = sum(1 for delivery in existing.values() if delivery.channel is not None)
    expected = max((delivery.targets or 0 for delivery in existing.values()), default=0)
    unwritten = None if refusal is not None else routed.refusal
    if written < expected:
        return Remaining(missing, unwritten)
    return Remaining(refusal=unwritten) if unwritten is not None and _is_lacking(unwritten, existing) else Remaining()


def _is_lacking(refusal: Delivery, existing: Mapping[str, Delivery]) -> bool:
    """Whether `refusal` belongs to the very routing that made the `existing` deliveries, and was not written then."""
    if all(delivery.message_rev != refusal.message_rev for delivery in existing.values()):
        return False
    # A group that the message reached was in the mapping at the time; that it has gone since is no news.
    return not set(refusal.groups or ()) <= {delivery.group for delivery in existing.values()}
