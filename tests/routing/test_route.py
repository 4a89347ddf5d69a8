"""From a message to its deliveries, or to the one document that says why there are none."""

import tracemalloc
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.documents.delivery import Attempt, Delivery, Status, delivery_id, delivery_uuid, message_delivery_id
from router.documents.json_types import JsonObject, JsonValue
from router.routing.mapping import Mapping
from router.routing.route import Routed, refuse
from tests.routing.arbitrary import JSON, TEXTS, TOWERS, tower
from tests.routing.making import mapping_of, route

NOW = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)


def message(to: JsonValue = "#a", **content: JsonValue) -> JsonObject:
    return {"_id": "m1", "_rev": "1-m", "content": {"to": to, "body": "x", **content}}


MAPPING = mapping_of(
    {"#a": {"mail": ["x", "y"]}, "#b": {"mail": ["y"], "room": "z!"}, "#empty": {}, "#bird": {"pigeon": "x"}}, rev="7-x"
)


def refusal_of(routed: Routed) -> Delivery:
    assert routed.refusal is not None
    return routed.refusal


def reason_of(routed: Routed) -> str:
    error = refusal_of(routed).error
    assert error is not None
    return error.reason


def test_each_target_gets_a_pending_delivery() -> None:
    routed = route(message(["#a", "#b"], event="order_failed"), MAPPING, NOW)
    assert routed.refusal is None
    assert routed.message is not None
    assert [(d.channel, d.target, d.group, target.address) for d, target in routed.deliveries] == [
        ("mail", "x", "#a", "x"),
        ("mail", "y", "#a", "y"),
        ("room", "z…", "#b", "z!"),
    ]
    the_id = delivery_id("m1", "mail", "x")
    assert routed.deliveries[0][0].to_document() == {
        "_id": the_id,
        "type": "delivery",
        "message_id": "m1",
        "message_rev": "1-m",
        "group": "#a",
        "channel": "mail",
        "target": "x",
        "targets": 3,
        "event": "order_failed",
        "status": "PENDING",
        "retries": 0,
        "uuid": str(delivery_uuid(the_id)),
        "reference": None,
        "created_at": "2026-11-21T08:27:00.000Z",
        "updated_at": "2026-11-21T08:27:00.000Z",
        "next_attempt_at": "2026-11-21T08:27:00.000Z",
        "attempts": [],
        "error": None,
        "mapping_rev": "7-x",
    }


@pytest.mark.parametrize("priority", ["low", "normal", "critical"])
def test_a_delivery_is_as_urgent_as_its_message(priority: str) -> None:
    routed = route(message(["#a", "#c"], priority=priority), MAPPING, NOW)
    assert [delivery.priority for delivery, _ in routed.deliveries] == [priority, priority]
    assert routed.deliveries[0][0].to_document().get("priority", "normal") == priority


def test_deliveries_of_one_message_share_nothing_that_changes() -> None:
    (one, _), (other, _) = route(message("#a"), MAPPING, NOW).deliveries
    one.attempts.append(Attempt(at=NOW, outcome="started"))
    one.status = Status.COMPLETE
    assert (other.attempts, other.status) == ([], Status.PENDING)


def test_thousands_of_targets_take_little_room() -> None:
    names = ["".join(letters) for letters in product("abcdefghijklmn", repeat=3)][:2_000]
    mapping = mapping_of({"#all": {"mail": [*names]}})
    tracemalloc.start()
    try:
        routed = route(message("#all"), mapping, NOW)
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(routed.deliveries) == 2_000
    assert kept_bytes < 3_000 * 2_000
    assert peak_bytes < 1.2 * kept_bytes


def test_a_secret_address_is_hashed_for_the_id_and_never_shown() -> None:
    [(delivery, target)] = [pair for pair in route(message("#b"), MAPPING, NOW).deliveries if pair[0].channel == "room"]
    assert target.is_secret
    assert delivery.id == delivery_id("m1", "room", "z!")
    assert "z!" not in str(delivery.to_document())


def test_a_target_of_a_channel_nobody_knows_gets_a_delivery_too() -> None:
    [(delivery, _)] = route(message("#bird"), MAPPING, NOW).deliveries
    assert (delivery.channel, delivery.status) == ("pigeon", Status.PENDING)


@pytest.mark.parametrize(
    ("to", "code", "reason", "groups", "targets"),
    [
        ("#c", "unknown_group",
         "content.to: the mapping has no group #c; add it to the mapping, or correct content.to", ["#c"], 0),
        ("#empty", "empty_group",
         "content.to: #empty leads to no target; add targets to it in the mapping", ["#empty"], 0),
        (["#c", "#a", "#empty", "#d"], "unknown_group",
         "content.to: the mapping has no group #c, #d; add it to the mapping, or correct content.to; #empty leads to no target; "
         "add targets to it in the mapping", ["#c", "#d", "#empty"], 2),
    ],
)  # fmt: skip
def test_what_cannot_be_routed_waits_and_the_rest_is_sent(
    to: JsonValue, code: str, reason: str, groups: list[str], targets: int
) -> None:
    routed = route(message(to, event="e"), MAPPING, NOW)
    refusal = refusal_of(routed)
    assert len(routed.deliveries) == targets == refusal.targets
    assert all(delivery.targets == targets for delivery, _ in routed.deliveries)
    assert refusal.error is not None
    assert (refusal.status, refusal.error.code, refusal.groups) == (Status.UNROUTABLE, code, groups)
    assert refusal.error.reason == reason
    assert (refusal.id, refusal.channel, refusal.target, refusal.group) == ("delivery:m1", None, None, None)
    assert (refusal.message_rev, refusal.event, refusal.mapping_rev) == ("1-m", "e", "7-x")


def test_without_a_mapping_everything_waits() -> None:
    routed = route(message(), None, NOW)
    assert (routed.deliveries, refusal_of(routed).status, refusal_of(routed).groups) == ((), Status.UNROUTABLE, ["#a"])
    assert (
        reason_of(routed) == "content.to: there is no valid mapping document yet, so no group leads anywhere; write one"
    )
    assert refusal_of(routed).mapping_rev is None


def test_only_the_groups_that_a_message_waited_for_are_followed() -> None:
    routed = route(message(["#a", "#b"]), MAPPING, NOW, ["#b"])
    assert [(d.channel, d.target) for d, _ in routed.deliveries] == [("mail", "y"), ("room", "z…")]
    assert routed.refusal is None
    assert refusal_of(route(message(["#a", "#c"]), MAPPING, NOW, ["#c"])).groups == ["#c"]


def test_a_malformed_message_fails_and_says_why() -> None:
    routed = route(message(5, body=["x"]), MAPPING, NOW)
    assert (routed.message, routed.deliveries) == (None, ())
    refusal = refusal_of(routed)
    assert refusal.error is not None
    assert (refusal.status, refusal.error.code, refusal.groups) == (Status.FAILED, "malformed_message", None)
    assert refusal.error.reason == (
        "content.to: must be the name of a group, which starts with #, or of a user, which starts with @, not a number; "
        "content.body: must be a text, not a list"
    )
    assert refusal.to_document()["_id"] == "delivery:m1"


@pytest.mark.parametrize("floors", [99, 200, 990])
def test_a_message_that_is_nested_too_deep_is_malformed(floors: int) -> None:
    deep = [message(more=tower(floors)), message(data={"a": tower(floors, of_lists=True)}), message(to=tower(floors))]
    for document in [*deep, {**message(), "beside": {"a": tower(floors)}}]:
        refusal = refusal_of(route(document, MAPPING, NOW))
        assert refusal.error is not None
        assert (refusal.status, refusal.error.code) == (Status.FAILED, "malformed_message")
        assert refusal.error.reason == "the document: is nested more than 100 levels deep"


def test_a_message_with_a_thousand_faults_gets_a_reason_that_can_be_read() -> None:
    reason = reason_of(route(message([5] * 1000), MAPPING, NOW))
    assert reason.endswith("; and 990 more")
    assert len(reason) < 1500


def test_a_thousand_unknown_groups_make_a_document_that_can_be_written() -> None:
    refusal = refusal_of(route(message([f"#{'x' * 195}{n}" for n in range(1000)]), MAPPING, NOW))
    assert len(refusal.model_dump_json()) < 1_000_000


def test_a_message_that_could_not_even_be_read_is_refused() -> None:
    refusal = refuse("m1", "1-m", NOW, "too_large", "the document takes 9 bytes")
    assert (refusal.id, refusal.status, refusal.message_rev) == ("delivery:m1", Status.FAILED, "1-m")
    assert refusal.error is not None
    assert (refusal.error.code, refusal.error.reason) == ("too_large", "the document takes 9 bytes")


VALUES = JSON | TOWERS
CONTENTS = st.dictionaries(
    st.sampled_from(
        ["to", "body", "subject", "format", "event", "link", "data", "priority", "created_at", "expires_at"]
    )
    | TEXTS,
    VALUES,
    max_size=5,
)
GOOD = st.fixed_dictionaries(
    {"to": st.sampled_from(["#a", "#b", "#c", "#empty"]) | st.lists(st.sampled_from(["#a", "#c"]), min_size=1)},
    optional={"body": TEXTS, "subject": TEXTS, "data": st.dictionaries(TEXTS, VALUES, max_size=2), "more": VALUES},
)
DOCUMENTS = st.one_of(
    st.dictionaries(TEXTS, JSON, max_size=3),
    st.fixed_dictionaries({"_id": TEXTS, "content": CONTENTS | GOOD | VALUES}, optional={"_rev": TEXTS, "x": VALUES}),
)


@given(document=DOCUMENTS, mapping=st.sampled_from([MAPPING, None]))
def test_any_json_is_routed_or_refused_and_never_raises(document: JsonObject, mapping: Mapping | None) -> None:
    routed = route(document, mapping, NOW)
    message_id = str(document.get("_id"))
    if routed.message is None:
        assert routed.deliveries == ()
        assert refusal_of(routed).status is Status.FAILED
    assert routed.deliveries or routed.refusal
    if routed.refusal is not None:
        assert routed.refusal.id == message_delivery_id(message_id)
        assert reason_of(routed)
    for delivery in [delivery for delivery, _ in routed.deliveries] + [r for r in [routed.refusal] if r]:
        assert delivery.message_id == message_id
        assert delivery.uuid == delivery_uuid(delivery.id)
        assert delivery.to_document()["status"] == delivery.status
    ids = [delivery.id for delivery, _ in routed.deliveries]
    assert len(set(ids)) == len(ids)


@given(document=DOCUMENTS)
def test_the_same_message_is_routed_the_same_way(document: JsonObject) -> None:
    assert route(document, MAPPING, NOW) == route(document, MAPPING, NOW)
