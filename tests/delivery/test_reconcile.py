"""What is left to do for a message whose row comes (again): each case of the promise, and any number of replays."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.delivery.reconcile import Remaining, remaining
from router.documents.delivery import Delivery, Status, message_delivery_id
from router.documents.json_types import JsonValue
from router.routing.mapping import Mapping
from router.routing.route import Routed, refuse
from tests.routing.making import mapping_of, route

NOW = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)
Store = dict[str, Delivery]


def routed(to: str | Sequence[str] | None, mapping: Mapping | None, rev: str = "1-m") -> Routed:
    """Message m1 as it is routed; one to None is malformed."""
    groups: JsonValue = to if to is None or isinstance(to, str) else [*to]
    return route({"_id": "m1", "_rev": rev, "content": {"to": groups, "body": "x"}}, mapping, NOW)


def left(message: Routed, existing: Store, rev: str = "1-m") -> Remaining:
    return remaining(message, "m1", rev, existing)


def stored(*deliveries: Delivery | None) -> Store:
    """The documents as they are read back from CouchDB."""
    return {
        delivery.id: Delivery.model_validate({**delivery.to_document(), "_rev": "1-db"})
        for delivery in deliveries
        if delivery is not None
    }


def everything(message: Routed) -> Store:
    return stored(*(delivery for delivery, _ in message.deliveries), message.refusal)


def ids(rest: Remaining) -> list[str]:
    return [delivery.id for delivery, _ in rest.deliveries]


def targets(rest: Remaining) -> list[str | None]:
    return [delivery.target for delivery, _ in rest.deliveries]


AB = mapping_of({"#a": {"mail": ["x", "y"]}, "#b": {"mail": ["z"]}})
ONLY_A = mapping_of({"#a": {"mail": ["x", "y"]}})
MORE_IN_A = mapping_of({"#a": {"mail": ["w", "x", "y"]}})


def test_a_new_message_is_sent_to_everybody() -> None:
    rest = left(routed(["#a", "#b"], ONLY_A), {})
    assert targets(rest) == ["x", "y"]
    assert rest.refusal is not None
    assert rest.refusal.groups == ["#b"]
    assert rest.outdated is None


def test_the_same_row_again_asks_for_nothing() -> None:
    message = routed(["#a", "#b"], AB)
    assert left(routed(["#a", "#b"], AB), everything(message)) == Remaining()


def test_a_later_revision_of_a_message_that_was_routed_asks_for_nothing() -> None:
    existing = everything(routed("#a", AB))
    for to in ("#a", ["#a", "#b"], ["#a", "#gone"], "#gone"):
        assert left(routed(to, AB, "2-m"), existing, "2-m") == Remaining()


def test_an_edit_of_the_mapping_sends_no_old_message_to_new_targets() -> None:
    existing = everything(routed("#a", ONLY_A))
    assert left(routed("#a", MORE_IN_A), existing) == Remaining()


def test_a_group_that_has_gone_since_is_no_news() -> None:
    existing = everything(routed(["#a", "#b"], AB))
    assert left(routed(["#a", "#b"], ONLY_A), existing) == Remaining()
    assert left(routed(["#a", "#b"], None), existing) == Remaining()


@pytest.mark.parametrize("written", [["x"], ["y"], ["x", "z"], ["y", "z"]])
def test_a_routing_that_was_cut_off_is_completed(written: list[str]) -> None:
    message = routed(["#a", "#b"], AB)
    existing = stored(*(delivery for delivery, _ in message.deliveries if delivery.target in written))
    rest = left(routed(["#a", "#b"], AB), existing)
    assert targets(rest) == [target for target in "xyz" if target not in written]
    assert (rest.refusal, rest.outdated) == (None, None)


def test_a_routing_that_was_cut_off_before_what_it_could_not_route_was_told() -> None:
    message = routed(["#a", "#gone"], AB)
    deliveries = [delivery for delivery, _ in message.deliveries]
    for written, missing in ((deliveries[:1], ["y"]), (deliveries, [])):
        rest = left(routed(["#a", "#gone"], AB), stored(*written))
        assert targets(rest) == missing
        assert rest.refusal is not None
        assert rest.refusal.groups == ["#gone"]
        assert rest.refusal.rev is None


def test_a_routing_that_was_cut_off_after_what_it_could_not_route_was_told() -> None:
    message = routed(["#a", "#gone"], AB)
    rest = left(routed(["#a", "#gone"], AB), stored(message.refusal))
    assert targets(rest) == ["x", "y"]
    assert (rest.refusal, rest.outdated) == (None, None)


def test_a_routing_that_was_cut_off_is_completed_by_the_mapping_of_today() -> None:
    message = routed("#a", ONLY_A)
    rest = left(routed("#a", MORE_IN_A), stored(message.deliveries[0][0]))
    assert targets(rest) == ["w", "y"]


def test_a_routing_that_was_cut_off_and_cannot_be_completed_says_so() -> None:
    message = routed("#a", AB)
    rest = left(routed(None, AB, "2-m"), stored(message.deliveries[0][0]), "2-m")
    assert ids(rest) == []
    assert rest.refusal is not None
    assert rest.refusal.status is Status.FAILED


@pytest.mark.parametrize("to", ["#gone", None])
def test_a_refused_message_is_not_looked_at_again_until_it_is_corrected(to: str | None) -> None:
    existing = everything(routed(to, AB))
    assert left(routed(to, AB), existing) == Remaining()
    # The mapping has the group now: that is for whoever watches the mapping, not for the feed.
    with_gone = mapping_of({"#gone": {"mail": "x"}})
    assert left(routed(to, with_gone), existing) == Remaining()


@pytest.mark.parametrize("to", ["#gone", None])
def test_a_refused_message_that_was_corrected_is_sent_and_its_document_goes(to: str | None) -> None:
    existing = everything(routed(to, AB))
    rest = left(routed("#a", AB, "2-m"), existing, "2-m")
    assert targets(rest) == ["x", "y"]
    assert rest.refusal is None
    assert rest.outdated is existing["delivery:m1"]


def test_a_message_of_which_only_a_part_was_refused_is_corrected_without_a_repeat() -> None:
    existing = everything(routed(["#a", "#gone"], AB))
    rest = left(routed(["#a", "#b"], AB, "2-m"), existing, "2-m")
    assert targets(rest) == ["z"]
    assert rest.outdated is existing["delivery:m1"]


def test_a_refused_message_whose_correction_is_wrong_too_gets_the_new_reason() -> None:
    existing = everything(routed(None, AB))
    rest = left(routed("#gone", AB, "2-m"), existing, "2-m")
    assert ids(rest) == []
    assert rest.refusal is not None
    assert (rest.refusal.status, rest.refusal.message_rev, rest.refusal.rev) == (Status.UNROUTABLE, "2-m", "1-db")
    assert rest.outdated is None


def test_a_message_too_large_to_read_is_told_once() -> None:
    refusal = refuse("m1", "1-m", NOW, "too_large", "9 bytes")
    assert left(Routed(None, refusal=refusal), {}).refusal is refusal
    assert left(Routed(None, refusal=refuse("m1", "1-m", NOW, "too_large", "9 bytes")), stored(refusal)) == Remaining()


GROUPS = ["#a", "#b", "#c"]
MAPPINGS = st.dictionaries(
    st.sampled_from(GROUPS), st.fixed_dictionaries({"mail": st.lists(st.sampled_from("uvwxyz"), max_size=4)})
).map(lambda groups: mapping_of({name: {"mail": [*entry["mail"]]} for name, entry in groups.items()}))
TOS = st.lists(st.sampled_from([*GROUPS, "#gone"]), min_size=1, max_size=4)


def write(store: Store, documents: Iterable[Delivery]) -> None:
    store.update(stored(*documents))


def documents_of(rest: Remaining) -> list[Delivery]:
    return [delivery for delivery, _ in rest.deliveries] + ([rest.refusal] if rest.refusal else [])


@settings(max_examples=120)
@given(
    to=TOS,
    mapping=MAPPINGS,
    others=st.lists(MAPPINGS, max_size=4),
    crashes=st.lists(st.sets(st.integers(0, 8)), max_size=3),
)
def test_replays_complete_what_was_cut_off_and_then_send_nothing(
    to: list[str], mapping: Mapping, others: list[Mapping], crashes: list[set[int]]
) -> None:
    """Each crash leaves some of the documents written; then one run is not cut off; then the row comes again and again,
    whatever became of the mapping."""
    store: Store = {}
    for survived in crashes:
        documents = documents_of(left(routed(to, mapping), store))
        assert not {document.id for document in documents} & store.keys()
        write(store, (document for number, document in enumerate(documents) if number in survived))
    write(store, documents_of(left(routed(to, mapping), store)))

    assert store.keys() == everything(routed(to, mapping)).keys()
    assert left(routed(to, mapping), store) == Remaining()
    for other in [mapping, *others, mapping]:
        assert left(routed(to, other), store).deliveries == ()


@settings(max_examples=120)
@given(
    rows=st.lists(
        st.tuples(TOS | st.none(), MAPPINGS, st.sampled_from(["1-m", "2-m"]), st.sets(st.integers(0, 8))), max_size=6
    )
)
def test_whatever_happens_nothing_that_was_written_is_sent_again(
    rows: list[tuple[list[str] | None, Mapping, str, set[int]]],
) -> None:
    store: Store = {}
    for to, mapping, rev, survived in rows:
        rest = left(routed(to, mapping, rev), store, rev)
        assert not set(ids(rest)) & store.keys()
        if rest.outdated is not None:
            del store[message_delivery_id("m1")]
        write(store, (document for number, document in enumerate(documents_of(rest)) if number in survived))
