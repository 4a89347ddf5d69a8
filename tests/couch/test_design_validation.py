"""What CouchDB refuses at write time, and what it says: mapping and message documents, well-formed and not."""

import secrets
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from router.documents.json_types import JsonObject, JsonValue
from router.documents.mapping import MappingDocument
from router.documents.message import MessageDocument, is_message
from tests.couch.guarded import MAPPING_ID, Guarded, guarded_database
from tests.routing.arbitrary import tower
from tests.servers.couchdb import CouchServer


@pytest.fixture(scope="module")
def guarded(couchdb_server: CouchServer) -> Iterator[Guarded]:
    with guarded_database(couchdb_server) as guarded:
        yield guarded


def some_id() -> str:
    return f"doc-{secrets.token_hex(6)}"


def python_takes(doc: JsonObject) -> bool:
    """Whether the router's own models take `doc`."""
    try:
        if doc["_id"] == MAPPING_ID:
            MappingDocument.model_validate(doc)
        elif is_message(doc):
            MessageDocument.model_validate(doc)
    except ValidationError:
        return False
    return True


GOOD_CONTENTS: list[JsonObject] = [
    {"to": "#admins", "body": "x"},
    {"to": ["#admins", "#users"], "subject": "x"},
    {"to": ["#a", "#a"], "body": "<b>x</b>", "format": "html"},
    {"to": "#a", "body": "x", "format": "text", "priority": "critical", "event": "order_failed"},
    {"to": "#a", "body": "x", "link": {"url": "https://example.org/x?y#z"}},
    {"to": "#a", "body": "x", "link": {"url": "HTTP://u:p@[::1]:80/", "text": "Open", "more": 1}},
    {"to": "#a", "body": "x", "link": {"url": "http://bücher.example", "text": None}},
    {"to": "#a", "body": "x", "link": None, "data": None, "event": None, "created_at": None, "expires_at": None},
    {"to": "#a", "body": "x", "data": {"a": [1, {"b": None}]}},
    {"to": "#a", "body": "x", "created_at": "2026-11-21T08:27:00Z", "expires_at": "2026-11-21T08:27:00.123+01:00"},
    {"to": "#a", "body": "x", "created_at": "2024-02-29 08:27:00.123456-0500"},
    {"to": "#a", "body": None, "subject": "x"},
    {"to": "#a", "body": "  ", "subject": "x"},
    {"to": "#a", "body": "x", "unknown": ["kept", "and", "ignored"]},
    {"to": "#" + "😀" * 199, "body": "x"},
    {"to": "#größe-✓", "body": "x"},
    {"to": "@alice", "body": "x"},
    {
        "to": ["@alice", "#a", "@größe|1"],
        "body": "x",
        "type": "chats",
        "customer_id": "acme",
        "rec_type": "order",
        "rec_id": "7",
    },
    {"to": "@" + "😀" * 200, "body": "x", "type": None},
]


@pytest.mark.parametrize("content", GOOD_CONTENTS, ids=str)
def test_a_good_message_is_taken(guarded: Guarded, content: JsonObject) -> None:
    doc: JsonObject = {"_id": some_id(), "content": content, "beside": "kept"}
    assert python_takes(doc)
    assert guarded.put(doc).startswith("1-")


NO_NAME = "must be the name of a group, which starts with #, or of a user, which starts with @, not"

BAD_CONTENTS: list[tuple[JsonObject, str]] = [
    ({"to": 5, "body": "x"}, f"content.to: {NO_NAME} a number"),
    ({"to": None, "body": "x"}, f"content.to: {NO_NAME} null"),
    ({"to": {"#a": 1}, "body": "x"}, "content.to: must be the name of a group"),
    ({"to": True, "body": "x"}, "not true or false"),
    ({"to": "", "body": "x"}, f'content.to: {NO_NAME} ""'),
    ({"to": "admins", "body": "x"}, f'content.to: {NO_NAME} "admins"'),
    ({"to": "#", "body": "x"}, "content.to: must be the name of a group, which starts with #"),
    ({"to": "#a b", "body": "x"}, "content.to: must be the name of a group without spaces"),
    ({"to": "#a\u200bb", "body": "x"}, "content.to: must be the name of a group without spaces"),
    ({"to": "#a\nb", "body": "x"}, "content.to: must be the name of a group without spaces"),
    ({"to": "#" + "x" * 200, "body": "x"}, "content.to: must be the name of a group of at most 200 characters"),
    ({"to": [], "body": "x"}, "content.to: must name at least one group"),
    ({"to": ["#a", "b"], "body": "x"}, f'content.to[1]: {NO_NAME} "b"'),
    ({"to": ["#a", 7], "body": "x"}, f"content.to[1]: {NO_NAME} a number"),
    ({"to": ["#a", ["#b"]], "body": "x"}, f"content.to[1]: {NO_NAME} a list"),
    ({"to": "@", "body": "x"}, 'content.to: must be the name of a user, @ and an id without spaces, /, : and #, not "@"'),
    ({"to": "@_a", "body": "x"}, "content.to: must be the name of a user"),
    ({"to": "@@a", "body": "x"}, "content.to: must be the name of a user"),
    ({"to": "@a:b", "body": "x"}, "content.to: must be the name of a user"),
    ({"to": "@a/b", "body": "x"}, "content.to: must be the name of a user"),
    ({"to": "@a#b", "body": "x"}, "content.to: must be the name of a user"),
    ({"to": "@a\u200bb", "body": "x"}, "content.to: must be the name of a user"),
    ({"to": ["#a", "@" + "x" * 201], "body": "x"}, "content.to[1]: must be the name of a user"),
    ({"to": "#a", "body": "x", "type": 1}, "content.type: must be a text, not a number"),
    ({"to": "#a", "body": "x", "customer_id": "x" * 201}, "content.customer_id: must be a text of at most 200 characters"),
    ({"to": "#a", "body": "x", "rec_id": []}, "content.rec_id: must be a text, not a list"),
    ({"to": "#a"}, "content: needs a body or a subject"),
    ({"to": "#a", "body": " \t\n\u00a0", "subject": ""}, "content: needs a body or a subject"),
    ({"to": "#a", "body": None, "subject": None}, "content: needs a body or a subject"),
    ({"to": "#a", "body": 5}, "content.body: must be a text, not a number"),
    ({"to": "#a", "body": ["x"]}, "content.body: must be a text, not a list"),
    ({"to": "#a", "body": "x", "subject": {"a": 1}}, "content.subject: must be a text, not an object"),
    ({"to": "#a", "body": "x", "event": 1}, "content.event: must be a text, not a number"),
    ({"to": "#a", "body": "x", "format": "markdown"}, 'content.format: must be "html", "text", not "markdown"'),
    ({"to": "#a", "body": "x", "format": None}, 'content.format: must be "html", "text", not null'),
    ({"to": "#a", "body": "x", "priority": "urgent"}, 'content.priority: must be "low", "normal", "critical", not "urgent"'),
    ({"to": "#a", "body": "x", "priority": 1}, "content.priority: must be"),
    ({"to": "#a", "body": "x", "link": "https://example.org"}, "content.link: must be an object with url and text, not a text"),
    ({"to": "#a", "body": "x", "link": {}}, "content.link.url: is missing"),
    ({"to": "#a", "body": "x", "link": {"url": 1}}, "content.link.url: must be a text, not a number"),
    ({"to": "#a", "body": "x", "link": {"url": "/orders/42"}}, "content.link.url: must be an absolute http or https address"),
    ({"to": "#a", "body": "x", "link": {"url": "javascript:alert(1)"}}, "content.link.url: must be an absolute http or https"),
    ({"to": "#a", "body": "x", "link": {"url": "http://"}}, "content.link.url: must be an absolute http or https address"),
    ({"to": "#a", "body": "x", "link": {"url": "http://:80/x"}}, "content.link.url: must be an absolute http or https address"),
    ({"to": "#a", "body": "x", "link": {"url": "http://u@/x"}}, "content.link.url: must be an absolute http or https address"),
    ({"to": "#a", "body": "x", "link": {"url": "http://[::1/x"}}, "content.link.url: must be an absolute http or https address"),
    ({"to": "#a", "body": "x", "link": {"url": "http://a b"}}, "content.link.url: must be an address without spaces"),
    ({"to": "#a", "body": "x", "link": {"url": "http://a", "text": 5}}, "content.link.text: must be a text, not a number"),
    ({"to": "#a", "body": "x", "data": [1]}, "content.data: must be an object, not a list"),
    ({"to": "#a", "body": "x", "data": "1"}, "content.data: must be an object, not a text"),
    ({"to": "#a", "body": "x", "expires_at": "tomorrow"}, 'content.expires_at: must be a time with its time zone, as in 2026'),
    ({"to": "#a", "body": "x", "expires_at": "2026-11-21T08:27:00"}, "content.expires_at: must be a time with its time zone"),
    ({"to": "#a", "body": "x", "created_at": "2026-11-21"}, "content.created_at: must be a time with its time zone"),
    ({"to": "#a", "body": "x", "created_at": "2026-13-21T08:27:00Z"}, "content.created_at: must be a time"),
    ({"to": "#a", "body": "x", "created_at": "2026-02-29T08:27:00Z"}, "content.created_at: must be a time"),
    ({"to": "#a", "body": "x", "created_at": "2026-11-21T24:27:00Z"}, "content.created_at: must be a time"),
    ({"to": "#a", "body": "x", "created_at": True}, "content.created_at: must be a time"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "says"), BAD_CONTENTS, ids=str)
def test_a_bad_message_is_refused_with_its_place(guarded: Guarded, content: JsonObject, says: str) -> None:
    doc: JsonObject = {"_id": some_id(), "content": content}
    assert not python_takes(doc)
    assert says in guarded.put(doc, expect_error=True)


DEEP = [
    (98, False),
    (99, True),
    (200, True),
    (900, True),
]


@pytest.mark.parametrize(("floors", "too_deep"), DEEP)
@pytest.mark.parametrize("of_lists", [True, False])
def test_a_message_is_refused_that_is_nested_too_deep(
    guarded: Guarded, floors: int, too_deep: bool, of_lists: bool
) -> None:
    within: JsonObject = {"to": "#a", "body": "x", "more": tower(floors, of_lists=of_lists)}
    beside: JsonObject = {"content": {"to": "#a", "body": "x"}, "beside": [tower(floors, of_lists=of_lists)]}
    for fields in ({"content": within}, beside):
        doc: JsonObject = {"_id": some_id(), **fields}
        assert python_takes(doc) is not too_deep
        said = guarded.put(doc, expect_error=too_deep)
        assert not too_deep or said == "the document: is nested more than 100 levels deep"
    assert guarded.put({"_id": some_id(), "no": "message", "more": tower(floors)})


def test_all_that_is_wrong_is_said_at_once_up_to_a_point(guarded: Guarded) -> None:
    content: JsonObject = {"to": "x", "body": 1, "subject": 2, "event": 3, "format": 4, "priority": 5, "data": 6}
    reason = guarded.put({"_id": some_id(), "content": content}, expect_error=True)
    assert reason.count(";") == 5
    assert reason.startswith("content.to: must be")
    assert reason.endswith("; and 2 more")


@pytest.mark.parametrize(
    "doc",
    [
        {"anything": "else"},
        {"content": "a text"},
        {"content": None},
        {"content": ["to"]},
        {"content": {"body": "x"}},
        {"mapping": 5},
        {"type": "delivery", "status": "COMPLETE"},
    ],
    ids=str,
)
def test_documents_that_are_none_of_ours_are_left_alone(guarded: Guarded, doc: JsonObject) -> None:
    assert guarded.put({"_id": some_id(), **doc}).startswith("1-")


GOOD_MAPPINGS: list[JsonValue] = [
    {},
    {"#admins": {}},
    {"#admins": {"matrix": ["!room:example.org"], "email": "will@half-shot.uk"}},
    {"#admins": {"email": [{"address": "list@example.org", "name": "List"}, "a@b.org"], "unheard-of": []}},
    {"#all": {"groups": ["#admins", "#users"]}, "#some": {"groups": "#admins"}, "#none": {"groups": []}},
    {"#größe": {"sphinx": {"pubkey": "02ab", "hint": "x"}}},
    {"#team": {"users": ["alice", "@bob"]}, "#one": {"users": "carol"}, "#no": {"users": []}},
]


@pytest.mark.parametrize("mapping", GOOD_MAPPINGS, ids=str)
def test_a_good_mapping_is_taken(guarded: Guarded, mapping: JsonValue) -> None:
    doc: JsonObject = {"_id": MAPPING_ID, "mapping": mapping, "note": "kept"}
    assert python_takes(doc)
    rev = guarded.put(doc, "admin")
    assert rev.startswith(("1-", "3-", "5-", "7-", "9-", "11-", "13-"))
    assert guarded.put({"_id": MAPPING_ID, "_rev": rev, "_deleted": True}, "admin")


BAD_MAPPINGS: list[tuple[JsonObject, str]] = [
    ({}, "mapping: is missing"),
    ({"mapping": None}, "mapping: must be an object, not null"),
    ({"mapping": []}, "mapping: must be an object, not a list"),
    ({"mapping": "x"}, "mapping: must be an object, not a text"),
    ({"mapping": {"admins": {}}}, 'mapping.admins: must be the name of a group, which starts with #, not "admins"'),
    ({"mapping": {"#": {}}}, "mapping.#: must be the name of a group"),
    ({"mapping": {"#a b": {}}}, "mapping.#a b: must be the name of a group without spaces"),
    ({"mapping": {"#a": []}}, "mapping.#a: must be an object of channels and their targets, not a list"),
    ({"mapping": {"#a": None}}, "mapping.#a: must be an object of channels and their targets, not null"),
    ({"mapping": {"#a": "will@half-shot.uk"}}, "mapping.#a: must be an object of channels and their targets, not a text"),
    ({"mapping": {"#a": {"email": 5}}}, "mapping.#a.email: must be a target or a list of targets, not a number"),
    ({"mapping": {"#a": {"email": None}}}, "mapping.#a.email: must be a target or a list of targets, not null"),
    ({"mapping": {"#a": {"email": ["a@b.c", "d@e.f", 7]}}},
     "mapping.#a.email[2]: must be a target, which is a text or an object, not a number"),
    ({"mapping": {"#a": {"email": ["a@b.c", ["d@e.f"]]}}}, "mapping.#a.email[1]: must be a target"),
    ({"mapping": {"#a": {"groups": 1}}}, "mapping.#a.groups: must be the name of a group"),
    ({"mapping": {"#a": {"groups": None}}}, "mapping.#a.groups: must be the name of a group"),
    ({"mapping": {"#a": {"groups": "b"}}}, 'mapping.#a.groups: must be the name of a group, which starts with #, not "b"'),
    ({"mapping": {"#a": {"groups": ["#b", "c"]}}}, 'mapping.#a.groups[1]: must be the name of a group'),
    ({"mapping": {"#a": {"groups": ["#b", {}]}}}, "mapping.#a.groups[1]: must be the name of a group"),
    ({"mapping": {"#a": {"users": 5}}}, "mapping.#a.users: must be the id of a user"),
    ({"mapping": {"#a": {"users": ["b", "c d"]}}}, "mapping.#a.users[1]: must be the id of a user"),
    ({"mapping": {"#a": {"users": "@"}}}, "mapping.#a.users: must be the id of a user"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "says"), BAD_MAPPINGS, ids=str)
def test_a_bad_mapping_is_refused_with_its_place(guarded: Guarded, fields: JsonObject, says: str) -> None:
    doc: JsonObject = {"_id": MAPPING_ID, **fields}
    assert not python_takes(doc)
    assert says in guarded.put(doc, "admin", expect_error=True)


# The same verdict as the router's own models, for whatever documents hypothesis thinks of.

PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6)
GROUPS = st.sampled_from(["#a", "#b-c", "#", "", "a", "# a", "#a b", "@a", "@", "@a/b", "@_a"])
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    PLAIN,
    st.lists(PLAIN, max_size=2),
    st.dictionaries(PLAIN, PLAIN, max_size=2),
)
TIMES = st.sampled_from(
    [
        "2026-11-21T08:27:00Z",
        "2026-11-21T08:27:00.5-01:00",
        "2026-11-21T08:27:00",
        "2026-11-21",
        "2026-02-30T00:00:00Z",
        "x",
        "",
    ]
)
URLS = st.sampled_from(
    ["https://a.org", "http://a:80/b c", "http://:80", "HTTPS://A?b#c", "http://u@h", "ftp://a", "a", "", "http:///"]
)
LINKS = st.fixed_dictionaries({}, optional={"url": URLS | ODD, "text": PLAIN | ODD})
CONTENTS = st.fixed_dictionaries(
    {"to": GROUPS | st.lists(GROUPS | ODD, max_size=3) | ODD},
    optional={
        "subject": PLAIN | ODD,
        "body": PLAIN | ODD,
        "format": st.sampled_from(["html", "text"]) | ODD,
        "event": PLAIN | ODD,
        "type": PLAIN | ODD,
        "customer_id": PLAIN | ODD,
        "link": LINKS | ODD,
        "data": ODD,
        "priority": st.sampled_from(["low", "normal", "critical"]) | ODD,
        "created_at": TIMES | ODD,
        "expires_at": TIMES | ODD,
        "more": ODD | st.builds(tower, st.sampled_from([97, 98, 99, 300]), of_lists=st.booleans()),
    },
)
ENTRIES = st.dictionaries(
    st.sampled_from(["groups", "users", "email", "x"]), GROUPS | ODD | st.lists(GROUPS | ODD, max_size=3), max_size=3
)
MAPPINGS = st.dictionaries(GROUPS, ENTRIES | ODD, max_size=3)


def couchdb_takes(guarded: Guarded, docs: list[JsonObject]) -> list[bool]:
    """Whether CouchDB takes each of `docs`, which have ids of their own."""
    with guarded.server.http() as http:
        answer = http.post(f"/{guarded.name}/_bulk_docs", json={"docs": docs})
        answer.raise_for_status()
        rows = {row["id"]: row for row in answer.json()}
    verdicts = []
    for doc in docs:
        row = rows[str(doc["_id"])]
        assert "rev" in row or row["error"] == "forbidden", row
        verdicts.append("rev" in row)
    return verdicts


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(CONTENTS, min_size=5, max_size=25))
def test_messages_get_the_verdict_of_the_routers_own_models(guarded: Guarded, contents: list[JsonObject]) -> None:
    docs: list[JsonObject] = [{"_id": some_id(), "content": content} for content in contents]
    for doc, taken in zip(docs, couchdb_takes(guarded, docs), strict=True):
        assert taken == python_takes(doc), doc


WILD = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WILD_CONTENTS = st.fixed_dictionaries(
    {"to": st.builds("#{}".format, WILD), "body": WILD},
    optional={
        "link": st.fixed_dictionaries({"url": st.builds("http://{}".format, WILD)}),
        "created_at": WILD,
        "data": st.dictionaries(WILD, WILD),
    },
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(WILD_CONTENTS, min_size=5, max_size=25))
def test_no_message_is_refused_that_the_router_would_take(guarded: Guarded, contents: list[JsonObject]) -> None:
    docs: list[JsonObject] = [{"_id": some_id(), "content": content} for content in contents]
    for doc, taken in zip(docs, couchdb_takes(guarded, docs), strict=True):
        assert taken or not python_takes(doc), doc


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mapping=MAPPINGS | ODD)
def test_mappings_get_the_verdict_of_the_routers_own_models(guarded: Guarded, mapping: JsonValue) -> None:
    doc: JsonObject = {"_id": MAPPING_ID, "mapping": mapping}
    said = guarded.put(doc, "server admin")
    if python_takes(doc):
        guarded.put({"_id": MAPPING_ID, "_rev": said, "_deleted": True}, "server admin")
    else:
        assert said.startswith("mapping"), said
