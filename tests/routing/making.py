"""Mappings for the routing tests, read as the router reads them."""

from collections.abc import Sequence
from datetime import datetime

from router.channels.base import Target, TargetError
from router.documents.json_types import JsonObject, JsonValue
from router.routing.mapping import Mapping, Reader, read_mapping
from router.routing.person import NO_PEOPLE, People
from router.routing.route import Routed, read_message, settle


def reader(channel: str, missing: str | None = None) -> Reader:
    """A channel whose targets are texts of lower-case letters, or objects with such an `address`; `!` makes one a secret."""

    def parse(value: JsonValue) -> Target:
        if isinstance(value, dict):
            value = value.get("address")
        if not isinstance(value, str) or not value.strip("!").islower():
            raise TargetError("must be lower case")
        return Target(channel, value, value.replace("!", "…"))

    return Reader(parse, missing)


READERS = {"mail": reader("mail"), "room": reader("room"), "off": reader("off", "set ROUTER_OFF__TOKEN to use off")}


def mapping_of(groups: JsonValue, rev: str | None = "1-x") -> Mapping:
    """The mapping in force that `groups` are. Raises InvalidDocumentError."""
    document: JsonObject = {"_id": "ccs.notifications", "mapping": groups}
    return read_mapping({**document, "_rev": rev} if rev else document, READERS)


def route(
    document: JsonObject,
    mapping: Mapping | None,
    now: datetime,
    names: Sequence[str] | None = None,
    *,
    people: People = NO_PEOPLE,
) -> Routed:
    """Read a message and settle it, where everybody is known who may be asked for."""
    return settle(read_message(document, mapping, names), now, people=people)
