"""Which rule stops a message, of all that the documents of a user and the catalogue say."""

from datetime import UTC, datetime

import pytest

from router.documents.json_types import JsonObject
from router.routing.catalogue import NO_CATALOGUE
from router.routing.choice import Held, Topic, held, stopped_by
from tests.routing.people import catalogue_of, person, topic

OFF: JsonObject = {"channels": {"mail": False}}
NO_CHATS: JsonObject = {"groups": {"chats": False}}
CHATS: JsonObject = {"groups": {"chats": True}}
NO_MENTION: JsonObject = {"groups": {"chats": {"events": {"mention": False}}}}
MENTION: JsonObject = {"groups": {"chats": {"enabled": False, "events": {"mention": True}}}}
NO_MAIL_CHATS: JsonObject = {"groups": {"chats": {"channels": {"mail": False}}}}
MAIL_MENTION: JsonObject = {
    "groups": {"chats": {"channels": {"mail": False}, "events": {"mention": {"channels": {"mail": True}}}}}
}

TABLE: list[tuple[str, JsonObject | None, JsonObject | None, JsonObject, str | None]] = [
    # nobody says anything
    ("nothing", None, None, {}, None),
    # whole channels
    ("channel off", None, OFF, {}, "preferences:alice channels.mail"),
    ("off for the customer", OFF, {"channels": {"mail": True}}, {}, "preferences:alice:acme channels.mail"),
    ("on for the customer", {"channels": {"mail": True}}, OFF, {}, None),
    ("off by default", None, None, OFF, "notifications channels.mail"),
    ("off by default, on by choice", None, {"channels": {"mail": True}}, OFF, None),
    ("a channel that is off is off for what is on", None, {**OFF, **MENTION}, {}, "preferences:alice channels.mail"),
    ("another channel", None, {"channels": {"room": False}}, {}, None),
    # groups and events
    ("group off", None, NO_CHATS, {}, "preferences:alice groups.chats"),
    ("event off", None, NO_MENTION, {}, "preferences:alice groups.chats.events.mention"),
    ("event on in a group that is off", None, MENTION, {}, None),
    ("event off in a group that is on", None, {"groups": {"chats": {"enabled": True, "events": {"mention": False}}}}, {},
     "preferences:alice groups.chats.events.mention"),
    ("the narrower document goes before the narrower rule", NO_CHATS, MENTION, {}, "preferences:alice:acme groups.chats"),
    ("on for the customer, off in general", CHATS, NO_MENTION, {}, None),
    ("another group", None, {"groups": {"tasks": False}}, {}, None),
    ("another event", None, {"groups": {"chats": {"events": {"other": False}}}}, {}, None),
    ("group off by default", None, None, NO_CHATS, "notifications groups.chats"),
    ("event off by default, group on by choice", None, CHATS, NO_MENTION, None),
    ("event off by default", None, None, NO_MENTION, "notifications groups.chats.events.mention"),
    # by channel
    ("group not by mail", None, NO_MAIL_CHATS, {}, "preferences:alice groups.chats.channels.mail"),
    ("event by mail, group not", None, MAIL_MENTION, {}, None),
    ("not by mail for the customer", NO_MAIL_CHATS, MAIL_MENTION, {}, "preferences:alice:acme groups.chats.channels.mail"),
    ("not by mail by default", None, None, NO_MAIL_CHATS, "notifications groups.chats.channels.mail"),
    # mandatory
    ("mandatory", NO_CHATS, {**OFF, **NO_MENTION},
     {"channels": {"mail": False}, "groups": {"chats": {"enabled": False, "events": {"mention": {"mandatory": True}}}}}, None),
    ("mandatory, but never by mail", None, None,
     {"groups": {"chats": {"events": {"mention": {"mandatory": True, "channels": {"mail": False}}}}}},
     "notifications groups.chats.events.mention.channels.mail"),
    ("mandatory is another event", None, NO_CHATS, {"groups": {"chats": {"events": {"other": {"mandatory": True}}}}},
     "preferences:alice groups.chats"),
    ("a user cannot make it mandatory", OFF, {"groups": {"chats": {"events": {"mention": {"mandatory": True}}}}}, {},
     "preferences:alice:acme channels.mail"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("of_customer", "general", "declared", "rule"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_rule_that_stops_it(
    of_customer: JsonObject | None, general: JsonObject | None, declared: JsonObject, rule: str | None
) -> None:
    assert stopped_by(person({}, general, of_customer), "mail", topic(customer="acme"), catalogue_of(declared)) == rule


@pytest.mark.parametrize(
    ("customers", "customer", "rule"),
    [
        (None, "acme", None),
        (["acme"], "acme", None),
        (["acme"], None, None),
        (["acme"], "other", "recipient:alice customers"),
        ([], "acme", "recipient:alice customers"),
    ],
)
def test_nobody_hears_of_a_customer_that_is_not_theirs(
    customers: list[str] | None, customer: str | None, rule: str | None
) -> None:
    mandatory = catalogue_of({"groups": {"chats": {"events": {"mention": {"mandatory": True}}}}})
    about = Topic("chats", "mention", customer, "critical")
    assert stopped_by(person({"customers": customers}), "mail", about, mandatory) == rule  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("declared", "kind", "event", "group"),
    [
        ({}, "chats", "mention", "chats"),
        ({}, None, "mention", None),
        ({"groups": {"chats": {"events": {"mention": True}}}}, None, "mention", "chats"),
        (
            {"groups": {"chats": {"events": {"mention": True}}, "tasks": {"events": {"mention": True}}}},
            None,
            "mention",
            None,
        ),
        ({"groups": {"chats": {"events": {"mention": True}}}}, "tasks", "mention", "tasks"),
        ({"groups": {"chats": {"events": {"mention": True}}}}, None, None, None),
    ],
)
def test_a_message_without_a_type_is_of_the_group_that_has_its_event(
    declared: JsonObject, kind: str | None, event: str | None, group: str | None
) -> None:
    assert catalogue_of(declared).group_of(kind, event) == group


NIGHT: JsonObject = {"quiet_hours": {"start": "22:00", "end": "07:00"}}
DAY: JsonObject = {"quiet_hours": {"start": "10:00", "end": "11:00"}}
AT_NIGHT = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
SEVEN = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("of_customer", "general", "rule"),
    [
        (None, None, None),
        (None, NIGHT, "preferences:alice quiet_hours"),
        (NIGHT, None, "preferences:alice:acme quiet_hours"),
        (DAY, NIGHT, None),
        ({"quiet_hours": None}, NIGHT, None),
        ({}, NIGHT, "preferences:alice quiet_hours"),
    ],
)
def test_the_narrowest_document_that_speaks_of_them_has_the_quiet_hours(
    of_customer: JsonObject | None, general: JsonObject | None, rule: str | None
) -> None:
    found = held(person({}, general, of_customer), topic(), AT_NIGHT)
    assert found == (None if rule is None else Held(SEVEN, rule))


def test_quiet_hours_are_of_the_users_time_zone_and_hold_nothing_critical() -> None:
    in_kathmandu = person({"time_zone": "Asia/Kathmandu"}, NIGHT)
    assert held(in_kathmandu, topic(), datetime(2026, 11, 21, 16, 15, tzinfo=UTC)) == Held(
        datetime(2026, 11, 22, 1, 15, tzinfo=UTC), "preferences:alice quiet_hours"
    )
    assert held(in_kathmandu, topic(), datetime(2026, 11, 21, 16, 14, tzinfo=UTC)) is None
    assert held(in_kathmandu, topic(priority="critical"), AT_NIGHT) is None


def test_without_a_catalogue_all_is_on() -> None:
    assert stopped_by(person({}), "mail", topic("unheard", "of"), NO_CATALOGUE) is None
