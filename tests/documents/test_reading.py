"""Delivery documents that somebody has put a hand to."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.documents.delivery import Delivery, Status, delivery_uuid
from router.documents.json_types import JsonObject, JsonValue
from router.documents.reading import is_damaged, read_delivery

ID = "delivery:a:b:email:0123456789abcdef"
MOMENT = datetime(2026, 11, 21, tzinfo=UTC)
GOOD = Delivery(
    id=ID,
    message_id="a:b",
    channel="email",
    target="will@example.org",
    status=Status.PENDING,
    uuid=delivery_uuid(ID),
    created_at=MOMENT,
    updated_at=MOMENT,
).to_document()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_a_good_document_is_read_as_it_is() -> None:
    delivery = read_delivery(GOOD)
    assert not is_damaged(delivery)
    assert delivery.to_document() == GOOD


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"next_attempt_at": "soon"}, "next_attempt_at"),
        ({"attempts": 7}, "attempts"),
        ({"status": "DONE"}, "status"),
        ({"uuid": "x"}, "uuid"),
        ({"type": "order"}, "type"),
        ({"message_id": None}, "message_id"),
    ],
)
def test_a_damaged_one_has_failed_and_says_why(changes: JsonObject, path: str) -> None:
    delivery = read_delivery({**GOOD, **changes, "_rev": "3-x"})
    assert is_damaged(delivery)
    assert delivery.status is Status.FAILED
    assert delivery.error is not None
    assert f"({path}: " in delivery.error.reason
    assert (delivery.id, delivery.rev, delivery.message_id) == (ID, "3-x", "a:b")
    assert (delivery.channel, delivery.target) == ("email", "will@example.org")


def test_next_to_nothing_is_enough() -> None:
    assert read_delivery({"_id": "delivery:m"}).message_id == "m"
    assert read_delivery({"_id": ID}).message_id == "a:b"


@given(st.dictionaries(st.sampled_from([*GOOD, "extra"]), JSON, max_size=8), st.text(max_size=20))
def test_nothing_is_raised_and_the_result_can_be_written(changes: dict[str, JsonValue], rest: str) -> None:
    document = {**GOOD, **changes, "_id": f"delivery:{rest}"}
    delivery = read_delivery(document)
    assert delivery.id == document["_id"]
    assert Delivery.model_validate(delivery.to_document()) == delivery
