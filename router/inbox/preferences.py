"""A user's preferences, read and changed by the user, within what the catalogue declares."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from router.couch.database import BulkResult, Database
from router.couch.errors import Refused
from router.documents.catalogue import CatalogueGroup
from router.documents.json_types import JsonObject
from router.documents.preferences import Preferences, PreferencesDocument, preferences_id
from router.documents.problems import InvalidDocumentError, in_words, path_text, problems_of, shown
from router.documents.rule import Rule
from router.documents.timestamps import to_text, utc_now
from router.inbox.audit import audit_entry
from router.inbox.caller import Caller
from router.inbox.errors import Code, InboxError, told_as
from router.routing.catalogue import NO_CATALOGUE, Catalogue, read_catalogue

WRITE_ATTEMPTS = 5
"""Times that preferences are written which somebody else keeps writing."""

_FETCH = (Code.FAILED_TO_FETCH_PREFERENCES, "the preferences cannot be fetched just now: try again in a moment")
_UPDATE = (Code.FAILED_TO_UPDATE_PREFERENCES, "the preferences cannot be saved just now: try again in a moment")


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user has chosen, and what there is to choose from."""

    preferences: Preferences
    catalogue: Catalogue
    channels: Collection[str]
    """The channels that may be switched."""


class PreferencesService:
    """Every method raises InboxError, and nothing else, for what a client or CouchDB does wrong."""

    def __init__(
        self,
        database: Database,
        catalogue_id: str,
        channels: Collection[str],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`channels` are those that this router knows; without a catalogue that names some, all of them may be switched."""
        self._database = database
        self._catalogue_id = catalogue_id
        self._channels = channels
        self._clock = clock

    async def get(self, caller: Caller, customer_id: str | None = None) -> Choices:
        """The caller's preferences, in general or as one of a customer's."""
        doc_id = _document_id(caller, customer_id)
        with told_as(*_FETCH):
            found = await self._database.get_many([doc_id, self._catalogue_id])
        return self._choices(_read(found.get(doc_id)), self._catalogue(found.get(self._catalogue_id)))

    async def put(self, caller: Caller, wanted: Preferences, customer_id: str | None = None) -> Choices:
        """Save `wanted` in place of what was there. Raises InboxError (`invalid_channel`, `invalid_group`, `invalid_event`) for
        what the catalogue does not have, and where a mandatory event is switched off."""
        doc_id = _document_id(caller, customer_id)
        with told_as(*_UPDATE):
            found = await self._database.get_many([doc_id, self._catalogue_id])
            choices = self._choices(wanted, self._catalogue(found.get(self._catalogue_id)))
            _check(choices)
            present = found.get(doc_id)
            for _ in range(WRITE_ATTEMPTS):
                result = await self._write(caller, doc_id, wanted, present)
                if result.rev is not None:
                    return choices
                if result.error != "conflict":
                    raise Refused(f"CouchDB refuses {doc_id}: {result.reason or result.error}")
                present = await self._database.get(doc_id)
        raise InboxError(*_UPDATE)

    async def unsubscribe(self, user: str, customer_id: str | None, group: str | None, channel: str) -> None:
        """Switch `channel` off for a notification group, or altogether for None, and leave the rest as it is."""
        caller = Caller(user)
        doc_id = preferences_id(user, customer_id)
        with told_as(*_UPDATE):
            for _ in range(WRITE_ATTEMPTS):
                present = await self._database.get(doc_id)
                wanted = _without(_read(present), group, channel)
                result = await self._write(caller, doc_id, wanted, present)
                if result.rev is not None:
                    return
                if result.error != "conflict":
                    raise Refused(f"CouchDB refuses {doc_id}: {result.reason or result.error}")
        raise InboxError(*_UPDATE)

    async def _write(self, caller: Caller, doc_id: str, wanted: Preferences, present: JsonObject | None) -> BulkResult:
        now = self._clock()
        document: JsonObject = {
            **wanted.model_dump(mode="json", exclude_unset=True),
            "_id": doc_id,
            "updated_at": to_text(now),
        }
        if present is not None:
            document["_rev"] = present["_rev"]
        entry = audit_entry(caller, "change_preferences", [doc_id], now).to_document()
        results = await self._database.bulk([document, entry])
        result = results[doc_id]
        if result.rev is None and results[str(entry["_id"])].rev is not None:
            # Nothing was changed: the record must not say so.
            await self._database.bulk([{"_id": entry["_id"], "_rev": results[str(entry["_id"])].rev, "_deleted": True}])
        return result

    def _catalogue(self, document: JsonObject | None) -> Catalogue:
        if document is None:
            return NO_CATALOGUE
        try:
            return read_catalogue(document, self._channels)
        except InvalidDocumentError:
            # The router goes by the last good one; here, nothing is refused for an admin's mistake.
            return NO_CATALOGUE

    def _choices(self, preferences: Preferences, catalogue: Catalogue) -> Choices:
        return Choices(preferences, catalogue, frozenset(catalogue.channels) or frozenset(self._channels))


def check_topic(catalogue: Catalogue, kind: str | None, event: str | None) -> None:
    """Raises InboxError (`invalid_group`, `invalid_event`) when the catalogue declares groups and not this one, or not its
    event."""
    if not catalogue.groups or kind is None:
        return
    group = catalogue.groups.get(kind)
    if group is None:
        raise InboxError(
            Code.INVALID_GROUP, f"type: there is no notification group {shown(kind)}; {_names(catalogue.groups)}"
        )
    if event is not None and group.events and event not in group.events:
        raise InboxError(Code.INVALID_EVENT, f"event: group {kind} has no event {shown(event)}; {_names(group.events)}")


def _without(preferences: Preferences, group: str | None, channel: str) -> Preferences:
    """The same preferences with a channel switched off, for one group or for all."""
    chosen = preferences.model_dump(mode="json", exclude_unset=True, exclude={"id", "rev", "updated_at"})
    if group is None:
        return Preferences.model_validate({**chosen, "channels": {**preferences.channels, channel: False}})
    groups = {name: rule.model_dump(mode="json", exclude_unset=True) for name, rule in preferences.groups.items()}
    rule = groups.setdefault(group, {})
    rule["channels"] = {**rule.get("channels", {}), channel: False}
    for event in rule.get("events", {}).values():
        # What was switched on for a single event would go before.
        event["channels"] = {
            **event.get("channels", {}),
            **({channel: False} if channel in event.get("channels", {}) else {}),
        }
    return Preferences.model_validate({**chosen, "groups": groups})


def _document_id(caller: Caller, customer_id: str | None) -> str:
    if customer_id is not None and not caller.is_of(customer_id):
        raise InboxError(Code.NOT_FOUND, "customer_id: there is no such customer of yours")
    return preferences_id(caller.user, customer_id)


def _read(document: JsonObject | None) -> Preferences:
    if document is None:
        return Preferences()
    try:
        return PreferencesDocument.model_validate(document)
    except ValidationError as error:
        raise InboxError(
            Code.FAILED_TO_FETCH_PREFERENCES,
            f"the preferences are damaged ({in_words(problems_of(error))}); save them anew",
        ) from None


def _check(choices: Choices) -> None:
    wanted, catalogue = choices.preferences, choices.catalogue
    for path, channel in _channels_in(wanted):
        if channel not in choices.channels:
            raise InboxError(Code.INVALID_CHANNEL, f"{path}: there is no such channel; {_names(choices.channels)}")
    if not catalogue.groups:
        return
    for name, group in wanted.groups.items():
        declared = catalogue.groups.get(name)
        if declared is None:
            path = path_text(("groups", name))
            raise InboxError(
                Code.INVALID_GROUP, f"{path}: there is no such notification group; {_names(catalogue.groups)}"
            )
        for event, rule in group.events.items():
            _check_event(name, event, rule, declared)


def _check_event(group: str, event: str, rule: Rule, declared: CatalogueGroup) -> None:
    path = path_text(("groups", group, "events", event))
    known = declared.events.get(event)
    if known is None and declared.events:
        raise InboxError(Code.INVALID_EVENT, f"{path}: there is no such event; {_names(declared.events)}")
    if known is not None and known.mandatory and (rule.enabled is False or False in rule.channels.values()):
        raise InboxError(Code.INVALID_EVENT, f"{path}: this event is mandatory and cannot be switched off")


def _channels_in(preferences: Preferences) -> Iterator[tuple[str, str]]:
    """Each channel that the preferences name, with its place."""
    places: list[tuple[str, ...]] = [("channels", channel) for channel in preferences.channels]
    for name, group in preferences.groups.items():
        places += [("groups", name, "channels", channel) for channel in group.channels]
        for event, rule in group.events.items():
            places += [("groups", name, "events", event, "channels", channel) for channel in rule.channels]
    for place in places:
        yield path_text(place), place[-1]


def _names(known: Collection[str]) -> str:
    return f"there are {', '.join(sorted(known)[:20])}" if known else "there are none"
