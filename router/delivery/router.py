"""Routes messages by what is in force: the mapping, the catalogue and the users, who are looked up where a message needs them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from router.couch.catalogue_store import CatalogueStore
from router.couch.feed import FeedRow
from router.couch.mapping_store import MappingStore
from router.couch.people import People
from router.documents.json_types import JsonObject
from router.documents.message import USER_SIGN
from router.documents.timestamps import utc_now
from router.routing.catalogue import NO_CATALOGUE
from router.routing.person import NoPerson, PersonKey
from router.routing.route import Routed, read_message, settle


class Request(NamedTuple):
    """A message document to be routed."""

    document: JsonObject
    names: Sequence[str] | None = None
    """What is followed instead of `content.to`: the part of a message that waited."""


@dataclass(frozen=True, slots=True)
class Router:
    """Everything that decides who gets a message."""

    mapping: MappingStore
    catalogue: CatalogueStore
    people: People

    @property
    def own_ids(self) -> tuple[str, str]:
        """The `_id`s of the documents that admins edit. They are no messages."""
        return self.mapping.id, self.catalogue.id

    async def changed(self, rows: Collection[FeedRow]) -> None:
        """Take in what `rows` of the feed change in who gets what."""
        for row in rows:
            self.people.changed(row.id)
        ids = {row.id for row in rows}
        if self.mapping.id in ids:
            await self.mapping.refresh()
        if self.catalogue.id in ids:
            await self.catalogue.refresh()

    async def route(self, requests: Sequence[Request]) -> list[Routed]:
        """Route these messages, in their order. Waits while CouchDB is away, where users have to be looked up."""
        mapping, catalogue = self.mapping.current, self.catalogue.current or NO_CATALOGUE
        read = [read_message(request.document, mapping, request.names) for request in requests]
        people = await self.people.find({key for each in read for key in each.people})
        return [settle(each, utc_now(), people=people, catalogue=catalogue) for each in read]

    async def known(self, names: Collection[str]) -> set[str]:
        """Which of these names, of groups and users, lead somewhere today."""
        mapping = self.mapping.current
        known = {name for name in names if mapping is not None and name in mapping.groups}
        users = {name: PersonKey(name[1:], None) for name in names if name.startswith(USER_SIGN)}
        people = await self.people.find(users.values())
        return known | {name for name, key in users.items() if not isinstance(people[key], NoPerson)}
