"""Pure: a user as messages reach him or her, made from the recipient document and the preferences."""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from router.channels.base import Target, TargetError
from router.documents.json_types import JsonObject
from router.documents.preferences import Preferences, PreferencesDocument
from router.documents.problems import InvalidDocumentError, path_text, problems_of
from router.documents.recipient import RecipientDocument
from router.routing.mapping import Reader, unread_target

INBOX = "inapp"
"""The channel that reaches every user without an address."""


class PersonKey(NamedTuple):
    """Whom a message is for, and as whose customer's user."""

    user: str
    customer: str | None


@dataclass(frozen=True, slots=True)
class BadAddress:
    """An address that its channel cannot read."""

    target: Target
    """What stands for it where it must be named."""
    reason: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """What the recipient document says."""

    id: str
    """`_id` of the document."""
    targets: tuple[Target, ...]
    bad_addresses: tuple[BadAddress, ...]
    time_zone: tzinfo
    customers: frozenset[str] | None
    """None where the document does not say."""

    @property
    def has_addresses(self) -> bool:
        """Whether there is anything to try."""
        return bool(self.targets or self.bad_addresses)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One preferences document."""

    id: str
    """`_id` of the document."""
    preferences: Preferences


@dataclass(frozen=True, slots=True)
class Person:
    """A user, with the preferences that apply to one message."""

    recipient: Recipient
    chosen: tuple[Chosen, ...] = ()
    """The narrowest first."""


@dataclass(frozen=True, slots=True)
class NoPerson:
    """Why a user cannot be reached at all: a sentence."""

    reason: str


People = MappingOf[PersonKey, Person | NoPerson]
"""The users that a message may be for, as far as they have been looked up."""


NO_PEOPLE: People = {}


def read_recipient(document: JsonObject, readers: MappingOf[str, Reader]) -> Recipient:
    """Read a recipient document. Raises InvalidDocumentError.

    An address that its channel refuses is no reason not to use the others.
    """
    try:
        parsed = RecipientDocument.model_validate(document)
    except ValidationError as error:
        raise InvalidDocumentError(problems_of(error)) from None
    targets: list[Target] = []
    bad: list[BadAddress] = []
    for channel, values in parsed.targets.items():
        reader = readers.get(channel)
        for number, value in enumerate(values):
            if reader is None:
                targets.append(unread_target(channel, value))
                continue
            try:
                targets.append(reader.parse_target(value))
            except TargetError as error:
                place = path_text(("addresses", channel, number) if len(values) > 1 else ("addresses", channel))
                bad.append(BadAddress(unread_target(channel, value), f"{parsed.id}: {place}: {error}"))
    inbox = readers.get(INBOX)
    if inbox is not None and inbox.missing is None and INBOX not in parsed.targets:
        # Every user has one, at the user's own name.
        targets.append(inbox.parse_target(parsed.user))
    return Recipient(
        parsed.id,
        tuple(targets),
        tuple(bad),
        ZoneInfo(parsed.time_zone or "UTC"),
        None if parsed.customers is None else frozenset(parsed.customers),
    )


def read_preferences(document: JsonObject) -> Chosen:
    """Read a preferences document. Raises InvalidDocumentError."""
    try:
        parsed = PreferencesDocument.model_validate(document)
    except ValidationError as error:
        raise InvalidDocumentError(problems_of(error)) from None
    return Chosen(parsed.id, parsed)
