"""What becomes of a message for users: sent, held, suppressed, or nobody there; and by the narrowest way of several."""

from datetime import UTC, datetime

from router.documents.delivery import Delivery, Status
from router.documents.json_types import JsonObject, JsonValue
from router.routing.person import NoPerson, People, Person, PersonKey
from router.routing.route import Routed, read_message
from tests.routing.making import mapping_of, route
from tests.routing.people import person

NOW = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
NIGHT: JsonObject = {"quiet_hours": {"start": "22:00", "end": "07:00"}}
SEVEN = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
MAPPING = mapping_of({"#team": {"users": ["alice", "bob"], "mail": "list"}, "#empty": {}})
ALICE = person({"addresses": {"mail": ["alice", "aa"], "room": "a"}})
BOB = person({"addresses": {"mail": "bob"}})


def known(**people: Person | NoPerson) -> People:
    return {PersonKey(name, None): each for name, each in people.items()}


def routed(to: JsonValue, people: People, **content: JsonValue) -> Routed:
    document: JsonObject = {"_id": "m", "_rev": "1-a", "content": {"to": to, "body": "x", **content}}
    asked = read_message(document, MAPPING).people
    assert set(asked) == set(people), "everybody is asked for, and nobody else"
    return route(document, MAPPING, NOW, people=people)


def shown(found: Routed) -> list[tuple[str, str, str | None, str | None, str]]:
    """Each delivery as its target, the name that led there, the user, the rule and the status."""
    return [(f"{d.channel}:{d.target}", str(d.group), d.user, d.rule, str(d.status)) for d, _ in found.deliveries]


def refusal(found: Routed) -> Delivery:
    assert found.refusal is not None
    return found.refusal


def test_a_user_is_reached_at_every_address() -> None:
    assert shown(routed("@alice", known(alice=ALICE))) == [
        ("mail:alice", "@alice", "alice", None, "PENDING"),
        ("mail:aa", "@alice", "alice", None, "PENDING"),
        ("room:a", "@alice", "alice", None, "PENDING"),
    ]


def test_users_of_a_group_come_after_its_own_targets_and_all_count() -> None:
    found = routed("#team", known(alice=ALICE, bob=BOB))
    assert [target for target, *_ in shown(found)] == ["mail:list", "mail:alice", "mail:aa", "room:a", "mail:bob"]
    assert {d.targets for d, _ in found.deliveries} == {5}
    assert {d.group for d, _ in found.deliveries} == {"#team"}


def test_what_a_user_does_not_want_has_a_document_that_says_so() -> None:
    choosy = person({"addresses": {"mail": "alice", "room": "a"}}, {"channels": {"mail": False}})
    found = routed("@alice", known(alice=choosy))
    stopped, sent = (delivery for delivery, _ in found.deliveries)
    assert (stopped.status, stopped.rule, stopped.next_attempt_at) == (
        Status.SUPPRESSED,
        "preferences:alice channels.mail",
        None,
    )
    assert stopped.error is not None
    assert (stopped.error.code, stopped.error.reason) == ("suppressed", "not sent, by preferences:alice channels.mail")
    assert (sent.status, sent.rule) == (Status.PENDING, None)
    assert stopped.to_document()["rule"] == "preferences:alice channels.mail"
    assert "rule" not in sent.to_document()


def test_quiet_hours_put_it_off_until_they_end() -> None:
    (delivery, _), *_ = routed("@alice", known(alice=person({"addresses": {"mail": "alice"}}, NIGHT))).deliveries
    assert (delivery.status, delivery.next_attempt_at, delivery.created_at) == (Status.PENDING, SEVEN, NOW)
    assert delivery.error is not None
    assert (delivery.error.code, delivery.rule) == ("quiet_hours", "preferences:alice quiet_hours")
    assert delivery.error.reason == "held until 2026-11-22T07:00:00.000Z, by preferences:alice quiet_hours"


def test_an_address_that_cannot_be_read_fails_alone() -> None:
    odd = person({"addresses": {"mail": ["NO", "alice"], "pigeon": "p"}})
    found = {d.target: d for d, _ in routed("@alice", known(alice=odd)).deliveries}
    assert {target: str(d.status) for target, d in found.items()} == {
        "alice": "PENDING",
        "p": "PENDING",
        "NO": "FAILED",
    }
    error = found["NO"].error
    assert error is not None
    assert (error.code, error.reason) == ("bad_address", "recipient:alice: addresses.mail[0]: must be lower case")


def test_a_shared_address_gets_it_if_one_of_its_users_wants_it() -> None:
    def sharing(general: JsonObject | None) -> Person:
        return person({"addresses": {"mail": "shared"}}, general)

    off: JsonObject = {"channels": {"mail": False}}
    for first, second, status, user in [
        (off, None, "PENDING", "bob"),
        (None, off, "PENDING", "alice"),
        (off, NIGHT, "PENDING", "bob"),
        (NIGHT, None, "PENDING", "bob"),
        (off, off, "SUPPRESSED", "alice"),
    ]:
        found = routed(["@alice", "@bob"], known(alice=sharing(first), bob=sharing(second)))
        ((_, _, by, _, state),) = shown(found)
        assert (state, by) == (status, user), (first, second)
    # What the mapping lists is not a matter of anybody's preferences.
    listed = person({"addresses": {"mail": "list"}}, off)
    found = routed("#team", known(alice=listed, bob=listed))
    assert shown(found) == [("mail:list", "#team", None, None, "PENDING")]


def test_users_who_are_not_there_wait_and_the_others_get_it() -> None:
    nobody = NoPerson("there is no document recipient:bob; write it")
    found = routed(["@alice", "#team"], known(alice=ALICE, bob=nobody))
    assert len(found.deliveries) == 4
    assert (refusal(found).status, refusal(found).groups) == (Status.UNROUTABLE, ["@bob"])
    error = refusal(found).error
    assert error is not None
    assert (error.code, error.reason) == ("unknown_user", "content.to: there is no document recipient:bob; write it")


def test_a_user_without_addresses_is_as_good_as_none() -> None:
    found = routed(["@alice", "#gone"], known(alice=person({})))
    assert found.deliveries == ()
    assert refusal(found).groups == ["#gone", "@alice"]
    error = refusal(found).error
    assert error is not None
    assert error.code == "unknown_group"
    assert "recipient:alice has no addresses; add one" in error.reason


def test_the_part_that_waited_for_a_user_is_routed_alone() -> None:
    document: JsonObject = {"_id": "m", "content": {"to": ["#team", "@carol"], "body": "x"}}
    assert read_message(document, MAPPING, ["@carol"]).people == [PersonKey("carol", None)]
    found = route(document, MAPPING, NOW, ["@carol"], people=known(carol=BOB))
    assert shown(found) == [("mail:bob", "@carol", "carol", None, "PENDING")]


def test_nobody_is_asked_for_where_no_users_are_named() -> None:
    plain = mapping_of({"#a": {"mail": "x"}})
    for to in ("#a", ["#a", "#b"], 5, None, ["@", 5]):
        document: JsonObject = {"_id": "m", "content": {"to": to, "body": "x"}}  # type: ignore[dict-item]
        assert read_message(document, plain).people == []
    of_customer: JsonObject = {"_id": "m", "content": {"to": "@a", "body": "x", "customer_id": "acme"}}
    assert read_message(of_customer, None).people == [PersonKey("a", "acme")]
