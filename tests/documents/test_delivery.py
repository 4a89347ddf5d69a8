"""Delivery documents: ids and uuids that never change, the shape that the design promises, and a loss-free round trip."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.documents.delivery import (
    MAX_REASON_CHARS,
    Attempt,
    Delivery,
    DeliveryError,
    Status,
    delivery_id,
    delivery_uuid,
    message_delivery_id,
    storable,
    target_hash,
)
from router.documents.json_types import JsonObject
from tests.documents import design_examples

NOW = datetime(2026, 11, 21, 8, 27, 0, 123000, tzinfo=UTC)
TEXTS = st.text(max_size=30)
ROOM_ID = delivery_id("order-42-failed", "matrix", "!room:example.org")


def delivery(**fields: object) -> Delivery:
    known: dict[str, object] = {
        "id": ROOM_ID,
        "message_id": "order-42-failed",
        "group": "#admins",
        "channel": "matrix",
        "target": "!room:example.org",
        "status": Status.PENDING,
        "uuid": delivery_uuid(ROOM_ID),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Delivery.model_validate({**known, **fields})


# A change of any of these sends messages again that were sent before an update of the router.
GOLDEN = [
    ("order-42-failed", "matrix", "!PxMWbvomtRqGOTsaDK:half-shot.uk",
     "delivery:order-42-failed:matrix:9021e8b0ae80f499", "f9d199f6-43c4-59ae-a103-c098d879291f"),
    ("order-42-failed", "email", "will@half-shot.uk",
     "delivery:order-42-failed:email:4ee327addb4fa3e8", "148b4615-d3c5-5a89-a2b6-9139d4bbc6dd"),
    ("a:b", "slack", "größe✓",
     "delivery:a:b:slack:8671916bec98e873", "dd384de1-5ef6-587c-b212-df4ec11343e8"),
]  # fmt: skip


@pytest.mark.parametrize(("message_id", "channel", "identity", "the_id", "uuid"), GOLDEN)
def test_ids_and_uuids_are_what_they_always_were(
    message_id: str, channel: str, identity: str, the_id: str, uuid: str
) -> None:
    assert delivery_id(message_id, channel, identity) == the_id
    assert delivery_uuid(the_id) == UUID(uuid)


@given(TEXTS)
def test_a_uuid_is_what_the_stdlib_makes(the_id: str) -> None:
    assert delivery_uuid(the_id) == uuid5(UUID("6f1c7c1e-6d0f-5f0a-9d43-5c1c8a3f6b11"), the_id)


def test_the_document_of_a_message_as_a_whole_has_the_plain_id() -> None:
    assert message_delivery_id("m1") == "delivery:m1"
    assert delivery_uuid("delivery:m1") == UUID("c1d153ed-b1c9-5311-aebe-591fdf6c035c")


@given(one=st.tuples(TEXTS, TEXTS), other=st.tuples(TEXTS, TEXTS))
def test_different_targets_have_different_hashes(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (target_hash(one[0]) == target_hash(other[0])) == (one[0] == other[0])


def test_half_a_surrogate_pair_in_an_id_is_survived() -> None:
    assert delivery_id("\ud800", "matrix", "\udfff").startswith("delivery:\ud800:matrix:")
    assert delivery_uuid("delivery:\ud800").version == 5


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        ("PENDING", False),
        ("WAITING_KEY_EXCHANGE", False),
        ("COMPLETE", True),
        ("UNCERTAIN", True),
        ("FAILED", True),
        ("EXPIRED", True),
        ("CANCELLED", True),
        ("SUPPRESSED", True),
        ("UNROUTABLE", False),
    ],
)
def test_which_statuses_are_final(status: str, is_final: bool) -> None:
    assert Status(status).is_final is is_final
    assert len(Status) == 9


def test_a_document_has_the_shape_of_the_design() -> None:
    sent = delivery(
        event="order_failed",
        status="COMPLETE",
        reference="$event_id",
        attempts=[{"at": NOW, "outcome": "sent", "code": 200, "ms": 34}],
        mapping_rev="7-x",
    )
    assert sent.to_document() == {
        "_id": ROOM_ID,
        "type": "delivery",
        "message_id": "order-42-failed",
        "group": "#admins",
        "channel": "matrix",
        "target": "!room:example.org",
        "event": "order_failed",
        "status": "COMPLETE",
        "retries": 0,
        "uuid": str(delivery_uuid(ROOM_ID)),
        "reference": "$event_id",
        "created_at": "2026-11-21T08:27:00.123Z",
        "updated_at": "2026-11-21T08:27:00.123Z",
        "next_attempt_at": None,
        "attempts": [{"at": "2026-11-21T08:27:00.123Z", "outcome": "sent", "code": 200, "reason": None, "ms": 34}],
        "error": None,
        "mapping_rev": "7-x",
    }
    assert list(sent.to_document()) == list(design_examples.DELIVERY)


def test_what_only_some_documents_have_is_left_out_of_the_others() -> None:
    more = delivery(
        rev="1-x", message_rev="2-x", targets=3, groups=["#b"], retried_at=NOW, priority="critical"
    ).to_document()
    some = {
        "_rev": "1-x",
        "message_rev": "2-x",
        "targets": 3,
        "groups": ["#b"],
        "priority": "critical",
        "retried_at": "2026-11-21T08:27:00.123Z",
    }
    assert {key: more[key] for key in some} == some
    assert not some.keys() & delivery(priority="normal").to_document().keys()


def test_a_document_without_a_priority_is_a_normal_one() -> None:
    assert Delivery.model_validate(delivery().to_document()).priority == "normal"


MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda m: m.replace(microsecond=m.microsecond // 1000 * 1000))
DELIVERIES = st.builds(
    delivery,
    rev=st.none() | TEXTS,
    status=st.sampled_from(Status),
    event=st.none() | TEXTS,
    retries=st.integers(0, 99),
    targets=st.none() | st.integers(0, 9),
    groups=st.none() | st.lists(TEXTS),
    priority=st.sampled_from(["low", "normal", "critical"]),
    reference=st.none() | TEXTS,
    created_at=MOMENTS,
    retried_at=st.none() | MOMENTS,
    next_attempt_at=st.none() | MOMENTS,
    attempts=st.lists(
        st.builds(
            Attempt,
            at=MOMENTS,
            outcome=st.sampled_from(["started", "sent", "retry", "rejected", "uncertain", "waiting"]),
            code=st.none() | st.integers() | TEXTS,
            reason=st.none() | TEXTS,
            ms=st.none() | st.integers(0, 9999),
        ),
        max_size=3,
    ),
    error=st.none() | st.builds(DeliveryError, code=TEXTS, reason=TEXTS),
)


@given(one=DELIVERIES)
def test_a_document_is_read_back_without_loss(one: Delivery) -> None:
    assert Delivery.model_validate(one.to_document()) == one


def test_what_somebody_added_by_hand_stays() -> None:
    document: JsonObject = {
        **delivery().to_document(),
        "attempts": [
            {"at": "2026-11-21T08:27:00.123Z", "outcome": "sent", "code": 200, "reason": None, "ms": 3, "by": "A"}
        ],
        "error": {"code": "c", "reason": "r", "see": ["x"]},
        "note": {"seen_by": "Ada"},
    }
    assert Delivery.model_validate(document).to_document() == document


def test_age_counts_from_the_last_retry_that_was_asked_for() -> None:
    later = datetime(2026, 11, 22, tzinfo=UTC)
    assert delivery().waiting_since == NOW
    assert delivery(retried_at=later).waiting_since == later


def test_a_text_of_the_other_side_is_kept_short_and_storable() -> None:
    assert storable("fine 😀") == "fine 😀"
    assert storable("a\ud800b") == "a\ufffdb"
    assert storable("x" * 5000) == "x" * MAX_REASON_CHARS + "…"
