"""What can be read of the mapping's status document, whatever somebody wrote into it."""

import pytest

from router.couch.mapping_store import revision_in_force
from router.documents.json_types import JsonObject, JsonValue


@pytest.mark.parametrize(
    ("status", "rev"),
    [
        (None, None),
        ({}, None),
        ({"in_force_rev": None}, None),
        ({"in_force_rev": "7-" + "ab" * 16}, "7-" + "ab" * 16),
        ({"in_force_rev": "12-x"}, "12-x"),
    ],
)
def test_the_revision_in_force_is_read(status: JsonObject | None, rev: str | None) -> None:
    assert revision_in_force(status) == rev


@pytest.mark.parametrize(
    "value", ["", "7", "7-", "7-a b", "7-a\n", "x" * 100_000, "7-" + "a" * 65, 5, True, ["1-x"], {}]
)
def test_what_is_no_revision_is_said_without_being_shown(value: JsonValue) -> None:
    with pytest.raises(ValueError, match=r"^router:mapping-status is damaged: .*restart the router") as caught:
        revision_in_force({"in_force_rev": value})
    assert len(str(caught.value)) < 200
