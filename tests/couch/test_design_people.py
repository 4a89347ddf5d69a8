"""What CouchDB refuses at write time of documents about users and what they may choose; and that it never refuses what the
router would go by."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from router.couch.design import CATALOGUE_ID
from router.documents.catalogue import CatalogueDocument
from router.documents.json_types import JsonObject
from router.documents.preferences import PreferencesDocument
from router.documents.recipient import RecipientDocument
from tests.couch.guarded import Guarded, guarded_database
from tests.servers.couchdb import CouchServer

MODELS: dict[str, type[BaseModel]] = {
    "recipient": RecipientDocument,
    "preferences": PreferencesDocument,
    "catalogue": CatalogueDocument,
}


@pytest.fixture(scope="module")
def guarded(couchdb_server: CouchServer) -> Iterator[Guarded]:
    with guarded_database(couchdb_server) as guarded:
        yield guarded


def document(kind: str, fields: JsonObject) -> JsonObject:
    return {"_id": CATALOGUE_ID if kind == "catalogue" else f"{kind}:u{secrets.token_hex(6)}", **fields}


def python_takes(kind: str, doc: JsonObject) -> bool:
    try:
        MODELS[kind].model_validate(doc)
    except ValidationError:
        return False
    return True


GOOD: list[tuple[str, JsonObject]] = [
    ("recipient", {}),
    ("recipient", {"addresses": {"email": "a@example.org", "matrix": ["!a:b", {"id": "x"}], "pigeon": []}}),
    ("recipient", {"display_name": "Alice", "locale": "de-AT", "time_zone": "Europe/Vienna", "customers": ["acme"]}),
    ("recipient", {"display_name": None, "time_zone": None, "customers": None, "more": [1]}),
    ("preferences", {}),
    ("preferences", {"channels": {"email": False}, "groups": {"chats": False, "tasks": True}}),
    ("preferences", {"groups": {"chats": {"enabled": None, "channels": {"email": True}, "events": {"mention": False}}}}),
    ("preferences", {"groups": {"chats": {"title": 5, "events": {"mention": {"mandatory": "no matter here"}}}}}),
    ("preferences", {"quiet_hours": {"start": "22:00", "end": "07:30"}}),
    ("preferences", {"quiet_hours": None, "updated_at": "2026-11-21T08:27:00Z"}),
    ("catalogue", {}),
    ("catalogue", {"channels": {"email": True}, "groups": {"security": {"title": "Security", "events": {
        "login": {"title": "New login", "mandatory": True, "channels": {"sphinx": False}}, "logout": True}}}}),
]  # fmt: skip

BAD: list[tuple[str, JsonObject, str]] = [
    ("recipient", {"addresses": []}, "addresses: must be an object, not a list"),
    ("recipient", {"addresses": {"email": 5}}, "addresses.email: must be a target or a list of targets, not a number"),
    ("recipient", {"addresses": {"email": ["a", None]}}, "addresses.email[1]: must be a target"),
    ("recipient", {"display_name": 5}, "display_name: must be a text, not a number"),
    ("recipient", {"locale": "x" * 201}, "locale: must be a text of at most 200 characters"),
    ("recipient", {"time_zone": 1}, "time_zone: must be a text, not a number"),
    ("recipient", {"customers": "acme"}, "customers: must be a list, not a text"),
    ("recipient", {"customers": ["acme", ""]}, "customers[1]: must be the id of a customer"),
    ("preferences", {"channels": {"email": "no"}}, "channels.email: must be true or false, not a text"),
    ("preferences", {"channels": None}, "channels: must be an object, not null"),
    ("preferences", {"groups": {"chats": 0}}, "groups.chats: must be true, false or an object, not a number"),
    ("preferences", {"groups": {"chats": {"enabled": 1}}}, "groups.chats.enabled: must be true or false, not a number"),
    ("preferences", {"groups": {"c": {"events": {"e": "x"}}}}, "groups.c.events.e: must be true, false or an object"),
    ("preferences", {"quiet_hours": "22-7"}, "quiet_hours: must be an object with start and end, not a text"),
    ("preferences", {"quiet_hours": {"start": "22:00"}}, "quiet_hours.end: must be a time of day such as 22:30"),
    ("preferences", {"quiet_hours": {"start": "24:00", "end": "07:00"}}, "quiet_hours.start: must be a time of day"),
    ("preferences", {"quiet_hours": {"start": "22:00", "end": "22:00"}}, "quiet_hours: must end at another time"),
    ("catalogue", {"groups": {"a": {"title": 5}}}, "groups.a.title: must be a text, not a number"),
    ("catalogue", {"groups": {"a": {"events": {"e": {"mandatory": 1}}}}}, "groups.a.events.e.mandatory: must be true or"),
    ("catalogue", {"channels": ["email"]}, "channels: must be an object, not a list"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields"), GOOD, ids=str)
def test_a_good_one_is_taken(guarded: Guarded, kind: str, fields: JsonObject) -> None:
    doc = document(kind, fields)
    assert python_takes(kind, doc)
    rev = guarded.put(doc, "admin")
    assert guarded.put({"_id": doc["_id"], "_rev": rev, "_deleted": True}, "admin")


@pytest.mark.parametrize(("kind", "fields", "says"), BAD, ids=str)
def test_a_bad_one_is_refused_with_its_place(guarded: Guarded, kind: str, fields: JsonObject, says: str) -> None:
    doc = document(kind, fields)
    assert not python_takes(kind, doc)
    assert says in guarded.put(doc, "admin", expect_error=True)


@pytest.mark.parametrize("doc_id", ["recipient:", "recipient:@a", "recipient:a b", "preferences:", "preferences::acme"])
def test_its_id_names_a_user(guarded: Guarded, doc_id: str) -> None:
    doc: JsonObject = {"_id": doc_id}
    assert not python_takes(doc_id.partition(":")[0], doc)
    assert "_id: must be" in guarded.put(doc, "admin", expect_error=True)


SWITCHES = st.dictionaries(
    st.sampled_from(["email", "sms", ""]), st.booleans() | st.none() | st.integers(0, 1), max_size=2
)
RULES = (
    st.booleans()
    | st.none()
    | st.fixed_dictionaries(
        {},
        optional={
            "enabled": st.booleans() | st.none() | st.just("x"),
            "channels": SWITCHES,
            "mandatory": st.booleans() | st.just(1),
        },
    )
)
GROUPS = st.dictionaries(
    st.sampled_from(["chats", "tasks"]),
    RULES
    | st.fixed_dictionaries({"events": st.dictionaries(st.sampled_from(["a", "b"]), RULES, max_size=2) | st.just(1)}),
    max_size=2,
)
TARGETS = st.sampled_from(["a", 5, None, {"a": 1}])
FIELDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "recipient": st.fixed_dictionaries({}, optional={
        "addresses": st.dictionaries(st.sampled_from(["email", "x"]), TARGETS | st.lists(TARGETS, max_size=2), max_size=2),
        "display_name": st.sampled_from(["x", None, 5]),
        "customers": st.none() | st.lists(st.sampled_from(["acme", "", 5]), max_size=2),
    }),
    "preferences": st.fixed_dictionaries({}, optional={
        "channels": SWITCHES,
        "groups": GROUPS,
        "quiet_hours": st.none() | st.fixed_dictionaries(
            {"start": st.sampled_from(["22:00", "9:00", None])}, optional={"end": st.sampled_from(["22:00", "07:30", 5])}
        ),
    }),
    "catalogue": st.fixed_dictionaries({}, optional={"channels": SWITCHES, "groups": GROUPS}),
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_each_gets_the_verdict_of_the_routers_own_models(guarded: Guarded, kind: str, data: st.DataObject) -> None:
    doc = document(kind, data.draw(FIELDS[kind]))
    takes = python_takes(kind, doc)
    said = guarded.put(doc, "admin", expect_error=not takes)
    if takes:
        guarded.put({"_id": doc["_id"], "_rev": said, "_deleted": True}, "admin")
