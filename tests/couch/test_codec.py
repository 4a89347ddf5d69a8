"""JSON bodies: what is written is what is read, and what orjson cannot do is done all the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.couch.codec import decode, encode
from router.documents.json_types import JsonValue

WHOLE_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | WHOLE_TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(WHOLE_TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_what_is_read(value: JsonValue) -> None:
    assert decode(encode(value)) == value


@given(VALUES)
def test_other_json_writers_are_understood(value: JsonValue) -> None:
    assert decode(json.dumps(value).encode()) == value
    assert json.loads(encode(value)) == value


@given(st.integers())
def test_a_whole_number_of_any_size_can_be_written(number: int) -> None:
    assert json.loads(encode({"n": number})) == {"n": number}


@given(st.text())
def test_halves_of_surrogate_pairs_become_replacement_characters(text: str) -> None:
    found = decode(json.dumps([text]).encode())
    assert found == [text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")]
    assert json.dumps(found, ensure_ascii=False).encode()


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b"NaN,", b"[" * 100_000 + b"]" * 100_000])
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is the contract, the text is the parser's
        decode(body)


@pytest.mark.parametrize("value", [object(), {1: "a", (2,): "b"}, [{"a": {1, 2}}]])
def test_what_json_cannot_hold_is_an_error(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(value)
