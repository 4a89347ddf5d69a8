"""Pure: whether a user's preferences leave a channel open to a message, by which rule not, and until when it is held."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from router.documents.delivery import Priority
from router.documents.message import Content
from router.documents.rule import Rule
from router.routing.catalogue import Catalogue
from router.routing.person import Person
from router.routing.quiet_hours import quiet_until


@dataclass(frozen=True, slots=True)
class Topic:
    """What a message is about, as preferences ask for it."""

    group: str | None
    """The notification group."""
    event: str | None
    customer: str | None
    priority: Priority

    @classmethod
    def of(cls, content: Content, catalogue: Catalogue) -> "Topic":
        """The topic of a message."""
        group = catalogue.group_of(content.type, content.event)
        return cls(group, content.event, content.customer_id, content.priority)


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that waits for the end of quiet hours."""

    until: datetime
    rule: str
    """The document and the place in it that say so."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One document's rules: those of the user for a customer, those of the user, those of the catalogue."""

    id: str
    channels: dict[str, bool]
    group: Rule | None
    event: Rule | None
    path: str
    """Where the group's rule stands in it."""
    event_path: str


def stopped_by(person: Person, channel: str, topic: Topic, catalogue: Catalogue) -> str | None:
    """The rule that keeps a message from being sent to this person through `channel`, as a document and a place in it; None
    when none does.

    Three questions, each answered by the narrowest document that says anything: whether the channel is on at all; whether the
    event, or else its group, is on; and whether it is on for this channel. A mandatory event asks none of the user's documents.
    """
    customers = person.recipient.customers
    if topic.customer is not None and customers is not None and topic.customer not in customers:
        return f"{person.recipient.id} customers"
    event = catalogue.event(topic.group, topic.event)
    layers = [_catalogue_layer(catalogue, topic)]
    if event is not None and event.mandatory:
        layer = layers[0]
        return f"{layer.id} {layer.event_path}.channels.{channel}" if event.channels.get(channel) is False else None
    layers = [*_chosen_layers(person, topic), *layers]
    for answers in (_of_channel(layers, channel), _of_event(layers), _of_event_and_channel(layers, channel)):
        is_on, rule = next(answers, (True, ""))
        if not is_on:
            return rule
    return None


def held(person: Person, topic: Topic, now: datetime) -> Held | None:
    """Until when quiet hours hold a message to this person back, and whose; None when it may go now."""
    if topic.priority == "critical":
        return None
    for chosen in person.chosen:
        preferences = chosen.preferences
        if not preferences.decides_on_quiet_hours:
            continue
        if preferences.quiet_hours is None:
            return None
        until = quiet_until(
            preferences.quiet_hours.begins, preferences.quiet_hours.ends, person.recipient.time_zone, now
        )
        return None if until is None else Held(until, f"{chosen.id} quiet_hours")
    return None


def _chosen_layers(person: Person, topic: Topic) -> Iterator[_Layer]:
    for chosen in person.chosen:
        group = chosen.preferences.groups.get(topic.group or "")
        event = group.events.get(topic.event or "") if group is not None else None
        yield _layer(chosen.id, chosen.preferences.channels, group, event, topic)


def _catalogue_layer(catalogue: Catalogue, topic: Topic) -> _Layer:
    group = catalogue.groups.get(topic.group or "")
    return _layer(catalogue.id, dict(catalogue.channels), group, catalogue.event(topic.group, topic.event), topic)


def _layer(doc_id: str, channels: dict[str, bool], group: Rule | None, event: Rule | None, topic: Topic) -> _Layer:
    path = f"groups.{topic.group}"
    return _Layer(doc_id, channels, group, event, path, f"{path}.events.{topic.event}")


_Answers = Iterator[tuple[bool, str]]
"""What the documents say to one question, the narrowest first: on or off, and where that stands."""


def _of_channel(layers: list[_Layer], channel: str) -> _Answers:
    for layer in layers:
        if channel in layer.channels:
            yield layer.channels[channel], f"{layer.id} channels.{channel}"


def _of_event(layers: list[_Layer]) -> _Answers:
    for layer in layers:
        for rule, path in ((layer.event, layer.event_path), (layer.group, layer.path)):
            if rule is not None and rule.enabled is not None:
                yield rule.enabled, f"{layer.id} {path}"


def _of_event_and_channel(layers: list[_Layer], channel: str) -> _Answers:
    for layer in layers:
        for rule, path in ((layer.event, layer.event_path), (layer.group, layer.path)):
            if rule is not None and channel in rule.channels:
                yield rule.channels[channel], f"{layer.id} {path}.channels.{channel}"
