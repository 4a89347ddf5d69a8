"""Mappings for the routing tests, read as the router reads them."""

from router.channels.base import Target, TargetError
from router.documents.json_types import JsonObject, JsonValue
from router.routing.mapping import Mapping, Reader, read_mapping


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
