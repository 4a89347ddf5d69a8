"""Looks users up in CouchDB, many at once, and remembers a bounded number of them; the feed keeps what is remembered true."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable
from collections.abc import Mapping as MappingOf
from typing import Final

import structlog

from router.documents.json_types import JsonObject
from router.documents.preferences import preferences_id
from router.documents.prefixes import PREFERENCES, RECIPIENT
from router.documents.problems import InvalidDocumentError
from router.documents.recipient import recipient_id
from router.recent import Recent
from router.routing.mapping import Reader
from router.routing.person import (
    Chosen,
    NoPerson,
    Person,
    PersonKey,
    Recipient,
    read_preferences,
    read_recipient,
)

log = structlog.stdlib.get_logger("router.people")

REMEMBERED: Final = 20_000
"""How many documents about users are kept, those last asked for; also those that are known not to be there."""
AT_ONCE: Final = 500
"""Documents that are read in one request."""
SOUGHT_IN_VAIN: Final = 10_000
"""Of so many users it is known that somebody wrote to them and they could not be reached."""

_Read = Recipient | Chosen | NoPerson | None
"""What a document says; NoPerson where it cannot be read; None where there is none."""


class People:
    """The users of one database. Every lookup after a row of the feed has passed shows what that row brought, or newer."""

    def __init__(
        self,
        get_many: Callable[[Collection[str]], Awaitable[MappingOf[str, JsonObject]]],
        readers: MappingOf[str, Reader],
        appeared: asyncio.Event,
    ) -> None:
        """`get_many` reads documents by their ids. `appeared` is set when the document of a user changes who could not be
        reached before."""
        self._get_many = get_many
        self._readers = readers
        self._appeared = appeared
        self._remembered: OrderedDict[str, _Read] = OrderedDict()
        self._being_read: dict[str, int] = {}
        self._overtaken: set[str] = set()
        self._in_vain = Recent(SOUGHT_IN_VAIN)

    async def find(self, keys: Iterable[PersonKey]) -> dict[PersonKey, Person | NoPerson]:
        """These users, each with the preferences that apply. Raises what `get_many` raises."""
        distinct = set(keys)
        documents = await self._documents({doc_id for key in distinct for doc_id in _ids(key)}) if distinct else {}
        return {key: self._person(key, documents) for key in distinct}

    def changed(self, doc_id: str) -> None:
        """The feed brought a change of this document."""
        if not doc_id.startswith((RECIPIENT, PREFERENCES)):
            return
        self._remembered.pop(doc_id, None)
        if doc_id in self._being_read:
            self._overtaken.add(doc_id)
        if self._in_vain.has(doc_id):
            self._appeared.set()

    def _person(self, key: PersonKey, documents: MappingOf[str, _Read]) -> Person | NoPerson:
        recipient, *chosen = (documents[doc_id] for doc_id in _ids(key))
        if not isinstance(recipient, Recipient) or not recipient.has_addresses:
            self._in_vain.add(recipient_id(key.user))
        if recipient is None:
            return NoPerson(f"there is no document {recipient_id(key.user)}; write it, or correct the name of the user")
        if not isinstance(recipient, Recipient):
            return recipient if isinstance(recipient, NoPerson) else NoPerson(f"{recipient.id} is no recipient")
        return Person(recipient, tuple(one for one in reversed(chosen) if isinstance(one, Chosen)))

    async def _documents(self, ids: Collection[str]) -> dict[str, _Read]:
        found = {doc_id: self._remembered[doc_id] for doc_id in ids if doc_id in self._remembered}
        for doc_id in found:
            self._remembered.move_to_end(doc_id)
        missing = [doc_id for doc_id in ids if doc_id not in found]
        for start in range(0, len(missing), AT_ONCE):
            found.update(await self._read(missing[start : start + AT_ONCE]))
        return found

    async def _read(self, ids: list[str]) -> dict[str, _Read]:
        for doc_id in ids:
            self._being_read[doc_id] = self._being_read.get(doc_id, 0) + 1
        try:
            documents = await self._get_many(ids)
        finally:
            overtaken = {doc_id for doc_id in ids if doc_id in self._overtaken}
            for doc_id in ids:
                self._being_read[doc_id] -= 1
                if not self._being_read[doc_id]:
                    del self._being_read[doc_id]
                    self._overtaken.discard(doc_id)
        read = {doc_id: self._understood(doc_id, documents.get(doc_id)) for doc_id in ids}
        # What changed while it was read may have been read before: it is good for now, but not for later.
        self._remembered.update({doc_id: each for doc_id, each in read.items() if doc_id not in overtaken})
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return read

    def _understood(self, doc_id: str, document: JsonObject | None) -> _Read:
        if document is None:
            return None
        try:
            if doc_id.startswith(RECIPIENT):
                return read_recipient(document, self._readers)
            return read_preferences(document)
        except InvalidDocumentError as error:
            if doc_id.startswith(RECIPIENT):
                return NoPerson(f"{doc_id} cannot be read: {error}")
            # Whoever is not asked is told: that is kinder than silence for a reason that nobody sees.
            log.error("a preferences document is not gone by", document=doc_id, reason=str(error))
            return None


def _ids(key: PersonKey) -> list[str]:
    """The documents about a user: the recipient first, then the preferences, the narrowest last."""
    ids = [recipient_id(key.user), preferences_id(key.user)]
    return ids if key.customer is None else [*ids, preferences_id(key.user, key.customer)]
