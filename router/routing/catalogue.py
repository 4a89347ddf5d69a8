"""From a catalogue document to a catalogue in force, and what it says of a message."""

from collections.abc import Collection
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from difflib import get_close_matches

from pydantic import ValidationError

from router.documents.catalogue import CatalogueDocument, CatalogueEvent, CatalogueGroup
from router.documents.json_types import JsonObject
from router.documents.problems import InvalidDocumentError, Problem, path_text, problems_of


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What users may be told about, and the defaults. Without a document: nothing is declared, so all is on."""

    id: str = "notifications"
    """`_id` of the document."""
    rev: str | None = None
    channels: MappingOf[str, bool] = field(default_factory=dict)
    groups: MappingOf[str, CatalogueGroup] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    """Channels that this router does not know."""
    document: JsonObject = field(default_factory=dict, compare=False, repr=False)
    """The document that it was read from."""

    def group_of(self, kind: str | None, event: str | None) -> str | None:
        """The notification group of a message: its `content.type`, or else the only one that has its event."""
        if kind is not None or event is None:
            return kind
        having = [name for name, group in self.groups.items() if event in group.events]
        return having[0] if len(having) == 1 else None

    def event(self, group: str | None, event: str | None) -> CatalogueEvent | None:
        """What is declared of an event; None where nothing is."""
        declared = self.groups.get(group or "")
        return declared.events.get(event or "") if declared is not None else None


NO_CATALOGUE = Catalogue()
"""Where nobody has written one."""


def read_catalogue(document: JsonObject, channels: Collection[str]) -> Catalogue:
    """Read a catalogue document; `channels` are those that this router knows. Raises InvalidDocumentError."""
    try:
        parsed = CatalogueDocument.model_validate(document)
    except ValidationError as error:
        raise InvalidDocumentError(problems_of(error)) from None
    warnings = [
        Problem(path_text(place), _unknown(place[-1], channels))
        for place in _channel_places(parsed)
        if place[-1] not in channels
    ]
    return Catalogue(parsed.id, parsed.rev, parsed.channels, parsed.groups, tuple(warnings), document)


def _channel_places(parsed: CatalogueDocument) -> list[tuple[str, ...]]:
    places: list[tuple[str, ...]] = [("channels", channel) for channel in parsed.channels]
    for name, group in parsed.groups.items():
        places += [("groups", name, "channels", channel) for channel in group.channels]
        for event_name, event in group.events.items():
            places += [("groups", name, "events", event_name, "channels", channel) for channel in event.channels]
    return places


def _unknown(channel: str, channels: Collection[str]) -> str:
    close = get_close_matches(channel, channels, n=1)
    meant = f"did you mean {close[0]}?" if close else f"it knows {', '.join(sorted(channels))}"
    return f"this router knows no channel {channel!r}; {meant}"
