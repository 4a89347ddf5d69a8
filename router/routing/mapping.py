"""From a mapping document to a mapping in force: targets read by their channels, problems named by their place."""

import json
from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import urlsplit

from pydantic import ValidationError

from router.channels.base import Target, TargetError
from router.documents.json_types import JsonObject, JsonValue
from router.documents.mapping import MappingDocument
from router.documents.problems import InvalidDocumentError, Problem, kind_of, path_text, problems_of


@dataclass(frozen=True, slots=True)
class Reader:
    """How one channel's targets are read, and whether the channel can be used."""

    parse_target: Callable[[JsonValue], Target]
    """Read one target; raises TargetError."""
    missing: str | None = None
    """None when the channel has what it needs; else the sentence that says what to set."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group as the mapping has it."""

    targets: tuple[Target, ...]
    included: tuple[str, ...]
    users: tuple[str, ...] = ()
    """The ids of the users that are part of it."""

    @property
    def has_anybody(self) -> bool:
        """Whether it names anybody itself."""
        return bool(self.targets or self.users)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping that can be routed by."""

    rev: str | None
    groups: MappingOf[str, Group]
    warnings: tuple[Problem, ...] = ()
    """What is odd but harms nothing else: a channel without credentials, an included group that is missing."""
    document: JsonObject = field(default_factory=dict, compare=False, repr=False)
    """The document that it was read from."""


def read_mapping(document: JsonObject, readers: MappingOf[str, Reader]) -> Mapping:
    """Read a mapping document.

    Raises InvalidDocumentError when its shape is wrong or a channel refuses one of its targets.
    """
    try:
        parsed = MappingDocument.model_validate(document)
    except ValidationError as error:
        raise InvalidDocumentError(problems_of(error)) from None
    problems: list[Problem] = []
    warnings: list[Problem] = []
    groups: dict[str, Group] = {}
    for name, entry in parsed.mapping.items():
        targets: list[Target] = []
        for channel, values in entry.channels.items():
            place = ("mapping", name, channel)
            reader = readers.get(channel)
            if reader is None:
                warnings.append(Problem(path_text(place), _unknown(channel, readers)))
                targets += [unread_target(channel, value) for value in values]
                continue
            if reader.missing is not None:
                warnings.append(Problem(path_text(place), reader.missing))
            bare = not isinstance((entry.__pydantic_extra__ or {})[channel], list)
            for number, value in enumerate(values):
                try:
                    targets.append(reader.parse_target(value))
                except TargetError as error:
                    problems.append(Problem(path_text(place if bare else (*place, number)), str(error)))
        for number, other in enumerate(entry.included):
            if other not in parsed.mapping:
                where = (
                    ("mapping", name, "groups")
                    if isinstance(entry.groups, str)
                    else ("mapping", name, "groups", number)
                )
                warnings.append(Problem(path_text(where), f"there is no group {other}"))
        groups[name] = Group(tuple(targets), tuple(entry.included), tuple(dict.fromkeys(entry.listed_users)))
    if problems:
        raise InvalidDocumentError(problems)
    return Mapping(parsed.rev, groups, tuple(warnings), document)


def _unknown(channel: str, readers: MappingOf[str, Reader]) -> str:
    close = get_close_matches(channel, readers, n=1)
    meant = f"did you mean {close[0]}?" if close else f"it knows {', '.join(sorted(readers))}"
    return f"this router knows no channel {channel!r}, so nothing is sent there; {meant}"


def unread_target(channel: str, value: JsonValue) -> Target:
    """A target of a channel that nobody here knows: kept, so that what is not sent is not silent either."""
    address = value.get("address", value.get("id")) if isinstance(value, dict) else value
    if not isinstance(address, str):
        # Different objects are different targets, though nobody can say which of their parts is the address.
        return Target(channel, json.dumps(value, sort_keys=True), kind_of(value))
    return Target(channel, address, _without_secrets(address))


def _without_secrets(address: str) -> str:
    """`address`, or if it is that of a web page (a webhook under a mistyped channel, say) no more than its host."""
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.hostname or ''}/…"
    except ValueError:
        return "an address"
