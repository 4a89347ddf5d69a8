"""Pure: the target of a delivery that was read back from CouchDB, where secrets and options are not written."""

from collections.abc import Mapping as MappingOf

from router.channels.base import Target, TargetError
from router.documents.delivery import Delivery, target_hash
from router.routing.mapping import Mapping, Reader
from router.routing.person import NoPerson, Person


def target_of(person: Person | NoPerson, delivery_id: str) -> Target | None:
    """The target of a delivery among a user's; None when the user has it no more."""
    if isinstance(person, NoPerson):
        return None
    channel, its_hash = delivery_id.rsplit(":", 2)[1:]
    targets = person.recipient.targets
    return next((t for t in targets if t.channel == channel and target_hash(t.identity) == its_hash), None)


class TargetIndex:
    """The targets of one mapping, by channel and hash. Made once for each mapping."""

    def __init__(self, mapping: Mapping | None, readers: MappingOf[str, Reader]) -> None:
        self._readers = readers
        self._known = {
            (target.channel, target_hash(target.identity)): target
            for group in (mapping.groups.values() if mapping else ())
            for target in group.targets
        }

    def find(self, delivery: Delivery) -> Target | None:
        """The target, from the mapping or else from the document itself; None when neither has it."""
        channel, its_hash = delivery.channel or "", delivery.id.rpartition(":")[2]
        known = self._known.get((channel, its_hash))
        reader = self._readers.get(channel)
        if known is not None or reader is None or delivery.target is None:
            return known
        try:
            target = reader.parse_target(delivery.target)
        except TargetError:
            return None
        return target if target_hash(target.identity) == its_hash else None
