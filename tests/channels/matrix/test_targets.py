"""Which Matrix targets are read, and what is said of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import TargetError
from router.channels.matrix.targets import MAX_ID_BYTES, is_user_id, parse_target, server_of
from router.documents.json_types import JsonValue
from router.settings import MatrixSettings

SETTINGS = MatrixSettings()


@pytest.mark.parametrize(
    "address",
    [
        "!PxMWbvomtRqGOTsaDK:half-shot.uk",
        "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM",
        "#ops:example.org",
        "#ops:example.org:8448",
        "#Ünïcode/slash#hash:[2001:db8::1]:8448",
        "@will:half-shot.uk",
        "@UPPER=2fcase:localhost",
        "@a:127.0.0.1",
    ],
)
def test_addresses_stay_as_they_are_written(address: str) -> None:
    values: list[JsonValue] = [address, {"address": address}]
    for value in values:
        target = parse_target(value, SETTINGS)
        assert (target.channel, target.address, target.shown) == ("matrix", address, address)


def test_an_object_may_say_more() -> None:
    assert parse_target({"address": "!room", "name": "Ops", "order": 3}, SETTINGS).options == {"name": "Ops"}


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("", "not an empty text"),
        ("#ops", "with its server, #ops:example.org"),
        ("@will", "with its server, @will:example.org"),
        ("#", "with its server, #room:example.org"),
        ("#:example.org", "a name before the colon"),
        ("#ops:", "name of a server after the colon"),
        ("@will:exa mple.org", "without spaces"),
        ("@will:exa/mple.org", "name of a server after the colon, not 'exa/mple.org'"),
        ("!", "whole room id"),
        (" !room", "without spaces"),
        ("!room\n", "without spaces"),
        ("!room\ud800", "without spaces"),
        ("will@half-shot.uk", "looks like an email address"),
        ("https://matrix.to/#/#ops:example.org", "not a link"),
        ("matrix:r/ops:example.org", "not a link"),
        ("ops", "a room id (!…), a room alias (#room:server) or a user id (@user:server)"),
        ("!" + "x" * MAX_ID_BYTES, "at most 255 bytes"),
        (7, "not a number"),
        (None, "not null"),
        (["!room"], "not a list"),
        ({}, 'must have "address"'),
        ({"room": "!room"}, 'must have "address"'),
        ({"address": 7}, "not a number"),
    ],
)
def test_others_are_refused_with_what_to_write(value: JsonValue, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse_target(value, SETTINGS)
    assert hint in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["address", "name"]), inner, max_size=2)
    ),
    max_leaves=5,
)
near_misses = st.tuples(st.sampled_from("!#@x"), st.text(max_size=10), st.sampled_from(["", ":", ":a.b", ":a b"])).map(
    "".join
)


@given(json_values | near_misses)
def test_whatever_stands_there_is_a_target_or_a_sentence(value: JsonValue) -> None:
    try:
        target = parse_target(value, SETTINGS)
    except TargetError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert len(said) < 300
        return
    assert target.address[0] in "!#@"
    assert target.address == (value["address"] if isinstance(value, dict) else value)
    assert target.address.encode().decode() == target.address


def test_user_ids_and_servers() -> None:
    assert is_user_id("@router:example.org")
    assert not is_user_id("router")
    assert not is_user_id("#router:example.org")
    assert server_of("#ops:example.org:8448") == "example.org:8448"
    assert server_of("!31hneApxJ") is None
