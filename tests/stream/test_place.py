"""A place in the feed as an event's id: it comes back as it was, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.stream.place import MAX_ID_CHARS, Place, database_name, read_place, seq_text

SEQS = st.one_of(
    st.integers(0, 10**12).map(seq_text), st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
)


@given(st.text(), st.integers(0, 10**14), SEQS)
def test_it_comes_back(identity: str, moment_ms: int, seq: str) -> None:
    place = Place(database_name(identity), moment_ms, seq)
    assert place.event_id is not None
    assert read_place(place.event_id) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "0",
        "now",
        "12-g1AAAACbeJzLYWBgYMpgTmEQTM4",
        "0123abcd.5.",
        "0123abcd..5",
        "0123ABCD.1.5",
        "0123abcd.-1.5",
        "0123abcd.1.5\n",
        "0123abcd.1.5 6",
        "0123abcd.1.é",
        "0123abcd.١.5",
        "0123abcd.1." + "x" * MAX_ID_CHARS,
        "x" * 1_000_000,
        "\0",
        '{"$gt":null}',
    ],
)
def test_garbage_is_no_place(text: str) -> None:
    assert read_place(text) is None


@given(st.text())
def test_no_text_does_harm(text: str) -> None:
    place = read_place(text)
    assert place is None or place.event_id is not None


@pytest.mark.parametrize("seq", ["1\n2", "é", "x" * MAX_ID_CHARS, ""])
def test_what_no_header_could_hold_is_no_id(seq: str) -> None:
    assert Place("0123abcd", 1, seq).event_id is None
