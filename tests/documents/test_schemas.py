"""The schemas in `mappings/` are current, and say the same as the models of every document there is an example of."""

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from router.channels.registry import BUILT_IN, kinds
from router.documents.json_types import JsonObject, JsonValue
from router.documents.message import MAX_GROUPS, MessageDocument
from router.documents.schemas import MODELS, TARGETS, schema_text
from router.routing.mapping import Reader, read_mapping
from router.service import readers
from router.settings import Settings
from tests.documents import design_examples

MAPPINGS = Path(__file__).parents[2] / "mappings"
EXAMPLES = ["example.json", "company.json"]


def read(name: str) -> JsonObject:
    return cast("JsonObject", json.loads((MAPPINGS / name).read_text(encoding="utf-8")))


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(read(name))


@pytest.mark.parametrize("name", MODELS)
def test_a_schema_is_what_the_models_make_today(name: str) -> None:
    how = "python -m router.documents.schemas mappings/ makes it anew"
    assert (MAPPINGS / name).read_text(encoding="utf-8") == schema_text(name), how
    Draft202012Validator.check_schema(read(name))


def test_the_command_writes_every_schema(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "router.documents.schemas", str(tmp_path)], check=True, timeout=60)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {
        name: schema_text(name) for name in MODELS
    }


@pytest.mark.parametrize("name", MODELS)
def test_every_property_says_what_it_is(name: str) -> None:
    schema = read(name)
    for part in (schema, *cast("dict[str, JsonObject]", schema.get("$defs", {})).values()):
        for key, described in cast("dict[str, JsonObject]", part.get("properties", {})).items():
            assert described.get("description") or described.get("const"), key


def test_every_channel_of_ours_is_explained() -> None:
    assert TARGETS.keys() == BUILT_IN.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fits_its_schema_and_is_routed_by_without_a_warning(name: str) -> None:
    document = read(name)
    assert list(validator("mapping.schema.json").iter_errors(document)) == []
    assert document["$schema"] == "mapping.schema.json"
    mapping = read_mapping(document, {kind: _configured(reader) for kind, reader in _readers().items()})
    assert mapping.warnings == ()
    assert all(group.targets or group.included for group in mapping.groups.values())


def test_the_larger_example_shows_every_kind_of_target() -> None:
    mapping = read_mapping(read("company.json"), _readers())
    targets = [target for group in mapping.groups.values() for target in group.targets]
    assert {target.channel for target in targets} == BUILT_IN.keys()
    assert any(target.is_secret and target.channel == "slack" for target in targets)
    assert any(target.options.get("alias") for target in targets)
    assert any(group.users for group in mapping.groups.values())


def _readers() -> dict[str, Reader]:
    return readers(kinds(), Settings(_env_file=None))


def _configured(reader: Reader) -> Reader:
    return Reader(reader.parse_target, missing=None)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("mapping.schema.json", design_examples.MAPPING),
        ("message.schema.json", design_examples.MESSAGE),
        ("delivery.schema.json", design_examples.DELIVERY),
    ],
)
def test_the_examples_of_the_design_fit(name: str, document: JsonObject) -> None:
    assert list(validator(name).iter_errors(document)) == []


CONTENTS: list[JsonValue] = [
    {"to": "#a", "body": "x"},
    {"to": ["#a", "#b"], "subject": "x", "format": "text", "priority": "low"},
    {"to": "#a", "body": "x", "link": {"url": "HTTPS://example.org", "text": None}, "data": {"a": [1]}, "more": 1},
    {"to": "#a"},
    {"to": []},
    {"to": "a", "body": "x"},
    {"to": "#a b", "body": "x"},
    {"to": ["#a"] * (MAX_GROUPS + 1), "body": "x"},
    {"to": "#" + "x" * 200, "body": "x"},
    {"to": 5, "body": "x"},
    {"to": "#a", "body": 5},
    {"to": "#a", "body": "x", "format": None},
    {"to": "#a", "body": "x", "priority": "urgent"},
    {"to": "#a", "body": "x", "link": {}},
    {"to": "#a", "body": "x", "link": {"url": "ftp://example.org"}},
    {"to": "#a", "body": "x", "data": []},
    {"to": "#a", "body": "x", "event": "x" * 201},
    {"to": "#a", "body": "x", "created_at": 5},
    [],
]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: str(content)[:60])
def test_the_schema_of_a_message_takes_what_the_model_takes(content: JsonValue) -> None:
    document: JsonObject = {"_id": "m1", "content": content}
    try:
        MessageDocument.model_validate(document)
    except ValidationError:
        taken = False
    else:
        taken = True
    assert validator("message.schema.json").is_valid(document) is taken


@pytest.mark.parametrize(
    "mapping",
    [None, [], {"admins": {}}, {"#a b": {}}, {"#a": None}, {"#a": {"email": 5}}, {"#a": {"email": [5]}}, {"#a": {"x": [[]]}},
     {"#a": {"groups": "b"}}, {"#a": {"groups": [1]}}],
    ids=str,
)  # fmt: skip
def test_the_schema_of_a_mapping_refuses_what_the_model_refuses(mapping: JsonValue) -> None:
    assert not validator("mapping.schema.json").is_valid({"_id": "m", "mapping": mapping})
