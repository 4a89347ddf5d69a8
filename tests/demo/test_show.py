"""The live lines of the demo, and what it says of an edit of the mapping."""

import io

import pytest
from rich.console import Console

from router.demo import show
from router.demo.arrival import Arrival
from router.documents.json_types import JsonObject, JsonValue

EMAIL: JsonValue = {"path": "mapping.#x.email[0]", "reason": "must be an address"}
GROUP: JsonValue = {"path": "mapping.#x.groups[0]", "reason": "there is no group #gone"}


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ({"status": "OK", "mapping_rev": "5-a", "in_force_rev": "5-a"}, "revision 5 is in force"),
        (
            {"status": "OK", "mapping_rev": "5-a", "in_force_rev": "5-a", "warnings": [GROUP]},
            "revision 5 is in force, but mapping.#x.groups[0]: there is no group #gone",
        ),
        (
            {"status": "INVALID", "mapping_rev": "6-b", "in_force_rev": "5-a", "problems": [EMAIL]},
            "revision 6 is INVALID: mapping.#x.email[0]: must be an address; revision 5 stays in force",
        ),
        (
            {"status": "INVALID", "mapping_rev": "1-b", "in_force_rev": None, "problems": [EMAIL, GROUP, GROUP]},
            "revision 1 is INVALID: mapping.#x.email[0]: must be an address (and 2 more); none is in force",
        ),
        (
            {"status": "MISSING", "mapping_rev": None, "in_force_rev": "5-a", "problems": [EMAIL]},
            "the document ccs.notifications is MISSING; revision 5 stays in force",
        ),
        # A server admin may have written anything.
        ({"status": ["\x1b[2J"], "problems": 7}, "revision None is ['\\x1b[2J']; none is in force"),
    ],
)
def test_what_became_of_an_edit_of_the_mapping(status: JsonObject, sentence: str) -> None:
    assert show.mapping_sentence(status) == f"mapping: {sentence}"


@pytest.mark.parametrize(
    ("arrival", "message_id", "line"),
    [
        (Arrival("matrix", "!r:h", "Hello\nyou", "$e"), "m1", "m1 → matrix !r:h  Hello you"),
        (Arrival("matrix", "@alice:h", "Hi", "$e"), "m1", "m1 → matrix the direct chat with @alice:h  Hi"),
        (Arrival("inapp", "alice", "Hello\n\nyou", "notification:alice:1"), "m1", "m1 → inapp alice  Hello you"),
        (Arrival("slack", "C1", "Hello\nyou\nthere"), None, "“Hello” → slack C1  you there"),
        (
            Arrival("slack", "/services/T0/B0/secret", "Hello"),
            None,
            "“Hello” → slack the webhook /services/T0/…",
        ),
    ],
)
def test_what_arrived_says_which_message_it_is(arrival: Arrival, message_id: str | None, line: str) -> None:
    out = io.StringIO()
    show.arrived(Console(file=out, width=200), arrival, message_id)
    assert out.getvalue()[8:].rstrip() == f"  arrived   {line}"
