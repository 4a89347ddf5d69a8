"""What `router demo --once` calls missing."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from router.demo.story import FOR_ALICE, NOT_BY_MAIL, Addresses, Expected, expected, is_at_rest, mapping, missing
from router.documents.delivery import Delivery, DeliveryError, Status
from router.documents.mapping import MappingDocument

NOW = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)
ROOM = Expected("order", "matrix", "!room", "Card declined")
ADDRESSES = Addresses("!room", "alice@demo.example", "C0ADMINS01", "http://127.0.0.1:1/services/T/B/x", "02ab_03cd_7")
SEEN = {("matrix", "!room"): "Order 42 failed\nCard declined\n"}


def delivery(
    status: Status,
    channel: str = "matrix",
    error: DeliveryError | None = None,
    *,
    rule: str | None = None,
    message_id: str = "order",
) -> dict[str, Delivery]:
    document_id = f"delivery:{message_id}:{channel}:0123456789abcdef"
    return {
        document_id: Delivery(
            id=document_id,
            message_id=message_id,
            rule=rule,
            channel=channel,
            status=status,
            uuid=UUID(int=0),
            created_at=NOW,
            updated_at=NOW,
            error=error,
        )
    }


def test_nothing_is_missing_when_all_is_complete_and_seen() -> None:
    assert missing((ROOM,), delivery(Status.COMPLETE), SEEN) == []


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.COMPLETE])
def test_every_other_status_is_missing_even_when_it_was_seen(status: Status) -> None:
    refused = DeliveryError(code="refused", reason="the room is gone")
    assert missing((ROOM,), delivery(status), SEEN) == [f"order by matrix to !room: {status}"]
    assert missing((ROOM,), delivery(status, error=refused), SEEN) == [
        f"order by matrix to !room: {status}, the room is gone"
    ]


@pytest.mark.parametrize(
    "seen",
    [{}, {("matrix", "!other"): "Card declined"}, {("email", "!room"): "Card declined"}, {("matrix", "!room"): "Card"}],
)
def test_what_calls_itself_complete_is_missing_unless_it_was_seen_there(seen: dict[tuple[str, str], str]) -> None:
    assert missing((ROOM,), delivery(Status.COMPLETE), seen) == ["order by matrix to !room: not seen on the other side"]


def test_a_delivery_without_a_document_is_missing() -> None:
    assert missing((ROOM,), delivery(Status.COMPLETE, channel="email"), SEEN) == [
        "order by matrix to !room: there is no delivery document"
    ]


@pytest.mark.parametrize("status", list(Status))
def test_at_rest_is_what_has_ended(status: Status) -> None:
    assert is_at_rest((ROOM,), delivery(status)) is status.is_final
    assert not is_at_rest((ROOM,), {})


def test_what_a_rule_stops_is_missing_unless_it_was_that_rule_and_nothing_was_seen() -> None:
    unwanted = replace(ROOM, rule="preferences:alice channels.matrix")
    suppressed = delivery(Status.SUPPRESSED, rule=unwanted.rule)
    assert missing((unwanted,), suppressed, {}) == []
    assert missing((unwanted,), suppressed, SEEN) == [
        "order by matrix to !room: seen on the other side, against preferences:alice channels.matrix"
    ]
    assert missing((unwanted,), delivery(Status.COMPLETE), {}) == ["order by matrix to !room: COMPLETE"]
    otherwise = delivery(Status.SUPPRESSED, rule="notifications groups.orders")
    assert missing((unwanted,), otherwise, {}) == ["order by matrix to !room: SUPPRESSED"]


def test_what_the_inbox_does_not_show_is_missing() -> None:
    wanted = tuple(one for one in expected(ADDRESSES) if one.channel == "inapp")
    assert {one.message_id for one in wanted} == {FOR_ALICE.id, NOT_BY_MAIL.id}
    deliveries = delivery(Status.COMPLETE, "inapp", message_id=FOR_ALICE.id)
    deliveries |= delivery(Status.COMPLETE, "inapp", message_id=NOT_BY_MAIL.id)
    seen = "\n".join(one.phrase for one in wanted)
    assert missing(wanted, deliveries, {("inapp", "alice"): seen}) == []
    assert missing(wanted, deliveries, {("email", "alice"): seen}) == [
        f"{one.message_id} by inapp to alice: not seen on the other side" for one in wanted
    ]


def test_every_target_of_the_mapping_is_looked_at() -> None:
    document = MappingDocument.model_validate(mapping(ADDRESSES))
    [group] = document.mapping.values()
    wanted = expected(ADDRESSES)
    assert {one.channel for one in wanted} == {*group.channels, "inapp"}
    # Two messages to four targets, one to two, two to alice's mailbox and her inbox.
    assert len(wanted) == 14
