"""From a mapping document to a mapping in force: what is refused, what only warned of, what kept."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import Target
from router.channels.registry import kinds
from router.documents.json_types import JsonObject, JsonValue
from router.documents.problems import InvalidDocumentError
from router.routing.mapping import Group, read_mapping, unread_target
from router.service import readers
from router.settings import Settings
from tests.routing.arbitrary import JSON, TEXTS, tower
from tests.routing.making import mapping_of

REAL_READERS = readers(kinds(), Settings(_env_file=None))


def problems_with(groups: JsonValue) -> list[str]:
    with pytest.raises(InvalidDocumentError) as caught:
        mapping_of(groups)
    return [str(problem) for problem in caught.value.problems]


def test_a_mapping_is_read_group_by_group() -> None:
    mapping = mapping_of(
        {
            "#a": {"mail": ["x", {"address": "y", "name": "Y"}], "room": "z!"},
            "#b": {"groups": "#a"},
            "#c": {"groups": ["#b", "#a"], "mail": []},
            "#d": {},
        }
    )
    assert mapping.groups == {
        "#a": Group((Target("mail", "x", "x"), Target("mail", "y", "y"), Target("room", "z!", "z…")), ()),
        "#b": Group((), ("#a",)),
        "#c": Group((), ("#b", "#a")),
        "#d": Group((), ()),
    }
    assert list(mapping.groups) == ["#a", "#b", "#c", "#d"]
    assert (mapping.rev, mapping.warnings) == ("1-x", ())
    assert mapping.document["_rev"] == "1-x"


def test_a_mapping_without_a_revision_has_none() -> None:
    assert mapping_of({}, rev=None).rev is None


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"#a": {"mail": ["x", "Y"]}}, ["mapping.#a.mail[1]: must be lower case"]),
        ({"#a": {"mail": "Y"}}, ["mapping.#a.mail: must be lower case"]),
        ({"#a": {"mail": {"address": 5}}}, ["mapping.#a.mail: must be lower case"]),
        ({"#a": {"mail": [{"address": 5}]}}, ["mapping.#a.mail[0]: must be lower case"]),
        ({"#a": {"off": "Y"}}, ["mapping.#a.off: must be lower case"]),
        ({"#a": {"mail": ["X"]}, "#b": {"room": ["x", "Y", "Z"]}},
         ["mapping.#a.mail[0]: must be lower case",
          "mapping.#b.room[1]: must be lower case", "mapping.#b.room[2]: must be lower case"]),
        # The shape comes first: what a channel would make of the rest is not asked while it is wrong.
        ({"#a": {"mail": ["X"]}, "#b": []}, ["mapping.#b: must be an object, not a list"]),
        (5, ["mapping: must be an object, not a number"]),
    ],
    ids=str,
)  # fmt: skip
def test_one_bad_target_makes_the_mapping_invalid_and_its_place_is_told(groups: JsonValue, says: list[str]) -> None:
    assert problems_with(groups) == says


def test_the_error_reads_as_a_sentence_of_at_most_ten_problems() -> None:
    with pytest.raises(InvalidDocumentError, match=r"^mapping\.#a\.mail\[0\]: must be .*; and 2 more$"):
        mapping_of({"#a": {"mail": ["X"] * 12}})


PIGEON = "mapping.#a.pigeon: this router knows no channel 'pigeon', so nothing is sent there; it knows mail, off, room"


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"#a": {"groups": ["#a", "#gone"]}}, ["mapping.#a.groups[1]: there is no group #gone"]),
        ({"#a": {"groups": "#gone"}}, ["mapping.#a.groups: there is no group #gone"]),
        ({"#a": {"pigeon": "x"}}, [PIGEON]),
        ({"#a": {"off": ["x", "y"]}}, ["mapping.#a.off: set ROUTER_OFF__TOKEN to use off"]),
        ({"#a": {"off": []}, "#b": {"off": "x"}},
         ["mapping.#a.off: set ROUTER_OFF__TOKEN to use off", "mapping.#b.off: set ROUTER_OFF__TOKEN to use off"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_harms_nothing_else_is_a_warning(groups: JsonValue, says: list[str]) -> None:
    assert [str(warning) for warning in mapping_of(groups).warnings] == says


def test_targets_of_a_channel_without_credentials_are_kept() -> None:
    assert mapping_of({"#a": {"off": "x"}}).groups["#a"].targets == (Target("off", "x", "x"),)


@pytest.mark.parametrize(
    ("value", "address", "shown"),
    [
        ("x@y.z", "x@y.z", "x@y.z"),
        ({"address": "x", "name": "X"}, "x", "x"),
        ({"id": "x"}, "x", "x"),
        ({"b": 1, "a": [2]}, '{"a": [2], "b": 1}', "an object"),
        ({"address": 5}, '{"address": 5}', "an object"),
        ({}, "{}", "an object"),
        # A webhook under a mistyped channel is a secret all the same.
        ("https://hooks.slack.com/services/T1/B2/secret", "https://hooks.slack.com/services/T1/B2/secret", "https://hooks.slack.com/…"),
        ("https://u:p@h:1/x", "https://u:p@h:1/x", "https://h/…"),
        ("http://[::1/x", "http://[::1/x", "an address"),
    ],
    ids=str,
)  # fmt: skip
def test_targets_of_a_channel_nobody_knows_are_kept_and_shown_without_secrets(
    value: JsonValue, address: str, shown: str
) -> None:
    assert unread_target("pigeon", value) == Target("pigeon", address, shown)
    assert mapping_of({"#a": {"pigeon": [value]}}).groups["#a"].targets == (Target("pigeon", address, shown),)


def test_different_objects_for_an_unknown_channel_are_different_targets() -> None:
    targets = mapping_of({"#a": {"pigeon": [{"coop": 1}, {"coop": 2}]}}).groups["#a"].targets
    assert len({target.identity for target in targets}) == 2


DOCUMENTS = st.one_of(
    st.dictionaries(TEXTS, JSON, max_size=3),
    st.builds(lambda mapping: {"_id": "m", "mapping": mapping}, JSON),
    st.builds(
        lambda mapping: {"_id": "m", "mapping": mapping},
        st.dictionaries(
            st.sampled_from(["#a", "#b", "#c"]) | TEXTS,
            st.dictionaries(
                st.sampled_from(["groups", "matrix", "email", "slack", "sphinx"]) | TEXTS, JSON, max_size=3
            ),
            max_size=3,
        ),
    ),
)


@given(document=DOCUMENTS)
def test_any_json_is_either_a_mapping_or_refused_with_places(document: JsonObject) -> None:
    """With the parsers of the real channels, which must hold against anything, too."""
    mapping, problems = None, []
    try:
        mapping = read_mapping(document, REAL_READERS)
    except InvalidDocumentError as error:
        problems = error.problems
    assert (mapping is None) is bool(problems)
    assert all(problem.path and problem.reason for problem in problems)
    assert len({problem.path for problem in problems}) == len(problems), "two sentences for one place"
    if mapping is not None:
        assert mapping.document == document
        assert list(mapping.groups) == list(cast("JsonObject", document["mapping"]))


@pytest.mark.parametrize("channel", ["matrix", "email", "slack", "sphinx", "pigeon", "groups", "\ud800"])
def test_a_tower_of_objects_is_no_crash(channel: str) -> None:
    with pytest.raises(InvalidDocumentError):
        read_mapping({"_id": "m", "mapping": {"#a": {channel: tower(990)}}}, REAL_READERS)
