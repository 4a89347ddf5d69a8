"""JSON Schemas of the documents, made from their models: `python -m router.documents.schemas mappings/`."""

import json
import sys
from pathlib import Path
from typing import cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from router.documents.catalogue import CatalogueDocument
from router.documents.delivery import Delivery
from router.documents.json_types import JsonObject
from router.documents.mapping import MappingDocument
from router.documents.message import MessageDocument
from router.documents.notification import Notification
from router.documents.preferences import PreferencesDocument
from router.documents.recipient import RecipientDocument

MODELS: dict[str, type[BaseModel]] = {
    "mapping.schema.json": MappingDocument,
    "message.schema.json": MessageDocument,
    "delivery.schema.json": Delivery,
    "notification.schema.json": Notification,
    "recipient.schema.json": RecipientDocument,
    "preferences.schema.json": PreferencesDocument,
    "catalogue.schema.json": CatalogueDocument,
}
"""File name to model."""

TARGETS: dict[str, tuple[str, list[str | JsonObject]]] = {
    "matrix": (
        "Rooms by id (`!…`) or alias (`#room:server`), people by user id (`@user:server`).",
        ["!PxMWbvomtRqGOTsaDK:half-shot.uk", "#ops:example.org", "@alice:example.org"],
    ),
    "email": (
        "Mail addresses, as a text or with a name beside them.",
        ["will@example.org", {"address": "list@example.org", "name": "The list"}],
    ),
    "slack": (
        "Slack channels by id (`C…`) or name (`#general`), or incoming webhooks by their address.",
        ["C0123ABCD", "#general", {"webhook": "https://hooks.slack.com/services/T…/B…/…"}],
    ),
    "sphinx": (
        "People by what the Sphinx app shows: pubkey, and route hint behind an underscore.",
        [
            "02ab…_03cd…_529771090609569795",
            {"pubkey": "02ab…", "route_hint": "03cd…_529771090609569795", "alias": "Alice"},
        ],
    ),
    "inapp": ("Users by their ids: a notification in the in-app inbox of each.", ["alice"]),
}
"""What an editor says of each channel's targets, with examples. Other channels are allowed, and go without."""


class _Generator(GenerateJsonSchema):
    """Without the titles that Pydantic makes of field names: `_id` needs no title `Id`."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - Pydantic's signature
        return False


def schema_of(name: str) -> JsonObject:
    """The schema that stands in the file `name`, one of MODELS."""
    schema = cast("JsonObject", MODELS[name].model_json_schema(schema_generator=_Generator))
    if MODELS[name] is MappingDocument:
        _add_channels(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text(name: str) -> str:
    """The file `name` as it is written."""
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> None:
    """Write every schema into `folder`. Raises OSError."""
    for name in MODELS:
        (folder / name).write_text(schema_text(name), encoding="utf-8")


def _add_channels(schema: JsonObject) -> None:
    """Name our own channels among the keys of a group, which are open: an editor can offer and explain them."""
    definitions = cast("dict[str, JsonObject]", schema["$defs"])
    group = definitions["GroupEntry"]
    definitions["Targets"] = {
        "title": "Targets",
        "description": "The targets of one channel: a list, or a single one.",
        **cast("JsonObject", group["additionalProperties"]),
    }
    group["additionalProperties"] = {"$ref": "#/$defs/Targets"}
    properties = cast("dict[str, JsonObject]", group["properties"])
    for channel, (description, examples) in TARGETS.items():
        properties[channel] = {"$ref": "#/$defs/Targets", "description": description, "examples": [[*examples]]}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m router.documents.schemas FOLDER")
    write_schemas(Path(sys.argv[1]))
