"""Pure: from what the names of a message lead to, to what is to be sent, held and left unsent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from router.channels.base import Target
from router.documents.message import USER_SIGN
from router.routing.catalogue import Catalogue
from router.routing.choice import Held, Topic, held, stopped_by
from router.routing.person import NoPerson, People, Person, PersonKey
from router.routing.resolve import Reached, Resolution


@dataclass(frozen=True, slots=True)
class Stopped:
    """Not sent, since a user wants it so, or does not belong to the customer."""

    rule: str
    """The document and the place in it that say so."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Not sent, since the channel cannot read the address."""

    reason: str


Ruling = Stopped | Unreadable | Held | None
"""What keeps a message from a target; None when it may go now."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A target that a message leads to."""

    target: Target
    reached: Reached
    """The target itself, or the user whose it is."""
    ruling: Ruling = None

    @property
    def user(self) -> str | None:
        """Whose target it is; None for one that the mapping lists."""
        return self.reached.to if isinstance(self.reached.to, str) else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a message."""

    planned: tuple[Planned, ...]
    """Each target once."""
    nobody: dict[str, str]
    """Users, as `@alice`, who cannot be reached at all, and why."""
    is_mandatory: bool = False
    """Whether users get it whatever they want."""


def plan(resolution: Resolution, people: People, topic: Topic, catalogue: Catalogue, now: datetime) -> Plan:
    """Plan a message. `people` has everybody in `resolution.users`.

    A target that is reached in several ways gets the message if one of them leaves it open, and as soon as the first does.
    """
    found: dict[tuple[str, str], Planned] = {}
    nobody: dict[str, str] = {}
    for one in resolution.reached:
        if not isinstance(one.to, str):
            _add(found, [Planned(one.to, one)])
            continue
        person = people.get(PersonKey(one.to, topic.customer), NoPerson(f"recipient:{one.to} was not looked up"))
        if isinstance(person, NoPerson):
            nobody[USER_SIGN + one.to] = person.reason
        elif not person.recipient.has_addresses:
            nobody[USER_SIGN + one.to] = f"{person.recipient.id} has no addresses; add one"
        else:
            _add(found, _ways(person, one, topic, catalogue, now))
    event = catalogue.event(topic.group, topic.event)
    return Plan(tuple(found.values()), nobody, event is not None and event.mandatory)


def _ways(person: Person, reached: Reached, topic: Topic, catalogue: Catalogue, now: datetime) -> list[Planned]:
    waiting = held(person, topic, now)
    ways: list[Planned] = []
    for target in person.recipient.targets:
        rule = stopped_by(person, target.channel, topic, catalogue)
        ways.append(Planned(target, reached, waiting if rule is None else Stopped(rule)))
    for bad in person.recipient.bad_addresses:
        rule = stopped_by(person, bad.target.channel, topic, catalogue)
        ways.append(Planned(bad.target, reached, Unreadable(bad.reason) if rule is None else Stopped(rule)))
    return ways


def _add(found: dict[tuple[str, str], Planned], ways: Sequence[Planned]) -> None:
    for way in ways:
        key = (way.target.channel, way.target.identity)
        before = found.get(key)
        if before is None or _rank(way.ruling) < _rank(before.ruling):
            found[key] = way


def _rank(ruling: Ruling) -> tuple[int, float]:
    """Lower goes before."""
    match ruling:
        case None:
            return 0, 0.0
        case Held(until=until):
            return 1, until.timestamp()
        case Unreadable():
            return 2, 0.0
        case Stopped():
            return 3, 0.0
