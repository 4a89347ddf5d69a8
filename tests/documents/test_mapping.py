"""What is a mapping document and what is not, and the places that the sentences name."""

import pytest
from pydantic import ValidationError

from router.documents.json_types import JsonObject, JsonValue
from router.documents.mapping import GroupEntry, MappingDocument
from router.documents.problems import problems_of

NO_GROUP = "must be the name of a group, which starts with #, not"
NO_TARGETS = "must be a text, an object or a list, not"


def problems_with(document: JsonObject) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        MappingDocument.model_validate(document)
    return [str(problem) for problem in problems_of(caught.value)]


BAD: list[tuple[JsonValue, list[str]]] = [
    (None, ["mapping: must be an object, not null"]),
    ([], ["mapping: must be an object, not a list"]),
    ("x", ["mapping: must be an object, not a text"]),
    ({"admins": {}}, [f"mapping.admins: {NO_GROUP} 'admins'"]),
    ({"": {}}, [f"mapping.'': {NO_GROUP} ''"]),
    ({"#a b": {}}, ["mapping.#a b: must be the name of a group without spaces, not '#a b'"]),
    ({"#a": None}, ["mapping.#a: must be an object, not null"]),
    ({"#a": []}, ["mapping.#a: must be an object, not a list"]),
    ({"#a": "will@half-shot.uk"}, ["mapping.#a: must be an object, not a text"]),
    ({"#a": {"email": 5}}, [f"mapping.#a.email: {NO_TARGETS} a number"]),
    ({"#a": {"email": None}}, [f"mapping.#a.email: {NO_TARGETS} null"]),
    ({"#admins": {"email": ["a@b.c", "d@e.f", 7]}},
     ["mapping.#admins.email[2]: must be a text or an object, not a number"]),
    ({"#a": {"email": ["a@b.c", ["d@e.f"], None]}},
     ["mapping.#a.email[1]: must be a text or an object, not a list",
      "mapping.#a.email[2]: must be a text or an object, not null"]),
    ({"#a": {"groups": 1}}, [f"mapping.#a.groups: {NO_GROUP} a number"]),
    ({"#a": {"groups": None}}, [f"mapping.#a.groups: {NO_GROUP} null"]),
    ({"#a": {"groups": "b"}}, [f"mapping.#a.groups: {NO_GROUP} 'b'"]),
    ({"#a": {"groups": ["#b", "c", {}]}},
     [f"mapping.#a.groups[1]: {NO_GROUP} 'c'", f"mapping.#a.groups[2]: {NO_GROUP} an object"]),
    ({"#a": {"email": 1}, "b": {}, "#c": {"groups": 2}},
     [f"mapping.#a.email: {NO_TARGETS} a number", f"mapping.b: {NO_GROUP} 'b'", f"mapping.#c.groups: {NO_GROUP} a number"]),
    ({"#ops[eu]": {"email": [1]}}, ["mapping.#ops[eu].email[0]: must be a text or an object, not a number"]),
    ({"#a": {"list": [1], "str": 2, "dict": 3}},
     ["mapping.#a.list[0]: must be a text or an object, not a number", f"mapping.#a.str: {NO_TARGETS} a number",
      f"mapping.#a.dict: {NO_TARGETS} a number"]),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "says"), BAD, ids=[says[0][:80] for _, says in BAD])
def test_a_bad_mapping_is_refused_with_one_sentence_a_place(mapping: JsonValue, says: list[str]) -> None:
    assert problems_with({"_id": "m", "mapping": mapping}) == says


def test_a_mapping_that_is_not_there() -> None:
    assert problems_with({"_id": "m"}) == ["mapping: is missing"]
    assert problems_with({"mapping": {}}) == ["_id: is missing"]


def test_a_target_nested_too_deep_is_refused_without_all_its_floors() -> None:
    tower: JsonValue = "x"
    for _ in range(900):
        tower = {"a": tower}
    assert problems_with({"_id": "m", "mapping": {"#a": {"email": tower}}}) == ["mapping.#a.email: is nested too deep"]


@pytest.mark.parametrize(
    ("entry", "included", "channels"),
    [
        ({}, [], {}),
        ({"groups": []}, [], {}),
        ({"groups": "#b"}, ["#b"], {}),
        ({"groups": ["#b", "#c"]}, ["#b", "#c"], {}),
        ({"email": "a@b.c"}, [], {"email": ["a@b.c"]}),
        ({"email": {"address": "a@b.c"}}, [], {"email": [{"address": "a@b.c"}]}),
        ({"email": []}, [], {"email": []}),
        ({"email": ["a@b.c", {"address": "d@e.f"}], "x": "y"}, [], {"email": ["a@b.c", {"address": "d@e.f"}], "x": ["y"]}),
        # Names that mean something in Python, or to Pydantic, are channels like any other.
        ({"channels": "x", "included": "y", "model_config": "z", "__pydantic_extra__": "w"}, [],
         {"channels": ["x"], "included": ["y"], "model_config": ["z"], "__pydantic_extra__": ["w"]}),
    ],
    ids=str,
)  # fmt: skip
def test_an_entry_is_read_as_lists(
    entry: JsonObject, included: list[str], channels: dict[str, list[JsonValue]]
) -> None:
    read = GroupEntry.model_validate(entry)
    assert (read.included, read.channels) == (included, channels)


def test_unknown_keys_beside_the_mapping_are_kept() -> None:
    document: JsonObject = {"_id": "m", "_rev": "3-x", "mapping": {}, "note": {"by": "Ada"}}
    read = MappingDocument.model_validate(document)
    assert (read.id, read.rev, read.model_extra) == ("m", "3-x", {"note": {"by": "Ada"}})
