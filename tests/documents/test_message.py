"""What is a message and what is not, and the sentence that says why."""

import re
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from router.documents.json_types import JsonObject, JsonValue
from router.documents.message import (
    MAX_EVENT_CHARS,
    MAX_GROUPS,
    MessageDocument,
    check_group_name,
    check_message_id,
    is_message,
)
from router.documents.problems import problems_of
from tests.routing.arbitrary import tower as tower_of

NO_NAME = "must be the name of a group, which starts with #, or of a user, which starts with @, not"
NO_TIME = "must be a time with a time zone, such as 2026-11-21T08:27:00Z"


def message(**content: JsonValue) -> JsonObject:
    return {"_id": "m1", "content": {"to": "#a", "body": "x", **content}}


def problems_with(document: JsonObject) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        MessageDocument.model_validate(document)
    return [str(problem) for problem in problems_of(caught.value)]


@pytest.mark.parametrize(
    "content",
    [
        {"to": "#a", "body": "x"},
        {"to": "#a", "subject": "x"},
        {"to": "#a", "body": None, "subject": "x"},
        {"to": "#a", "body": " \n", "subject": "x"},
        {"to": ["#a"], "body": "x"},
        {"to": [f"#{n}" for n in range(MAX_GROUPS)], "body": "x"},
        {"to": "#größe-✓", "body": "x"},
        {"to": "#" + "😀" * 199, "body": "x"},
        {"to": "#a", "body": "a\u2028b\u0085c\x00"},
        {"to": "#a", "body": "x", "format": "text", "priority": "critical", "event": "e" * MAX_EVENT_CHARS},
        {"to": "#a", "body": "x", "subject": None, "link": None, "data": None, "created_at": None, "event": None},
        {"to": "#a", "body": "x", "link": {"url": "HTTP://u:p@[::1]:80/?q#f", "text": None, "more": 1}},
        {"to": "#a", "body": "x", "data": {"a": [1, 2.5, None, {"b": True}]}},
        {"to": "#a", "body": "x", "expires_at": "2026-11-21 08:27:00.123456-0500"},
    ],
    ids=lambda content: str(content)[:60],
)
def test_a_good_message_is_read(content: JsonObject) -> None:
    assert MessageDocument.model_validate({"_id": "m1", "content": content}).id == "m1"


BAD: list[tuple[JsonObject, list[str]]] = [
    (message(to=5), [f"content.to: {NO_NAME} a number"]),
    (message(to=None), [f"content.to: {NO_NAME} null"]),
    (message(to=True), [f"content.to: {NO_NAME} true or false"]),
    (message(to={"#a": 1}), [f"content.to: {NO_NAME} an object"]),
    (message(to=""), [f"content.to: {NO_NAME} ''"]),
    (message(to="#"), ["content.to: must be the name of a group, which starts with #, not '#'"]),
    (message(to="admins"), [f"content.to: {NO_NAME} 'admins'"]),
    (message(to="@"), ["content.to: must be the name of a user, @ and an id without spaces, /, : and #, not '@'"]),
    (message(to="@a:b"), ["content.to: must be the name of a user, @ and an id without spaces, /, : and #, not '@a:b'"]),
    (message(to=["#a", "@_b"]), ["content.to[1]: must be the name of a user, @ and an id without spaces, /, : and #, not '@_b'"]),
    (message(to="@" + "x" * 201),
     [f"content.to: must be the name of a user, @ and an id without spaces, /, : and #, not '@{'x' * 59}…'"]),
    (message(type=5), ["content.type: must be a text, not a number"]),
    (message(customer_id="x" * 201), ["content.customer_id: must have at most 200 characters"]),
    (message(to="#a b"), ["content.to: must be the name of a group without spaces, not '#a b'"]),
    (message(to="#a\u200bb"), [r"content.to: must be the name of a group without spaces, not '#a\u200bb'"]),
    (message(to="#\ud800"), [r"content.to: must be the name of a group without spaces, not '#\ud800'"]),
    (message(to="#" + "x" * 200), ["content.to: must be the name of a group of at most 200 characters"]),
    (message(to="x" * 500), [f"content.to: {NO_NAME} '{'x' * 60}…'"]),
    (message(to=[]), ["content.to: must name at least one group or user"]),
    (message(to=["#a"] * (MAX_GROUPS + 1)), ["content.to: must name at most 1000 groups and users"]),
    (message(to=["#a", "b"]), [f"content.to[1]: {NO_NAME} 'b'"]),
    (message(to=["#a", 7, ["#b"]]), [f"content.to[1]: {NO_NAME} a number", f"content.to[2]: {NO_NAME} a list"]),
    ({"_id": "m1", "content": {"to": "#a"}}, ["content: needs a body or a subject"]),
    (message(body=" \t\n\u00a0", subject=""), ["content: needs a body or a subject"]),
    (message(body=5), ["content.body: must be a text, not a number"]),
    (message(body=["x"]), ["content.body: must be a text, not a list"]),
    (message(subject={"a": 1}), ["content.subject: must be a text, not an object"]),
    (message(event=False), ["content.event: must be a text, not true or false"]),
    (message(event="e" * (MAX_EVENT_CHARS + 1)), ["content.event: must have at most 200 characters"]),
    (message(format="HTML"), ["content.format: must be 'html' or 'text', not 'HTML'"]),
    (message(format=None), ["content.format: must be 'html' or 'text', not null"]),
    (message(priority=1), ["content.priority: must be 'low', 'normal' or 'critical', not a number"]),
    (message(link="https://example.org"), ["content.link: must be an object, not a text"]),
    (message(link={}), ["content.link.url: is missing"]),
    (message(link={"url": 1}), ["content.link.url: must be a text, not a number"]),
    (message(link={"url": "/orders"}), ["content.link.url: must be an absolute http or https address"]),
    (message(link={"url": "javascript:alert(1)"}), ["content.link.url: must be an absolute http or https address"]),
    (message(link={"url": "http://:80/x"}), ["content.link.url: must be an absolute http or https address"]),
    (message(link={"url": "http://[::1/x"}), ["content.link.url: must be an address such as https://example.org/orders/42"]),
    (message(link={"url": "http://a b"}), ["content.link.url: must be an address without spaces"]),
    (message(link={"url": "http://a", "text": 5}), ["content.link.text: must be a text, not a number"]),
    (message(data=[1]), ["content.data: must be an object, not a list"]),
    (message(created_at="yesterday"), [f"content.created_at: {NO_TIME}, not 'yesterday'"]),
    (message(created_at="2026-11-21T08:27:00"), [f"content.created_at: {NO_TIME}, not '2026-11-21T08:27:00'"]),
    (message(created_at="2026-11-21"), [f"content.created_at: {NO_TIME}, not '2026-11-21'"]),
    (message(created_at="2026-02-29T00:00:00Z"), [f"content.created_at: {NO_TIME}, not '2026-02-29T00:00:00Z'"]),
    (message(expires_at="2026"), [f"content.expires_at: {NO_TIME}, not '2026'"]),
    (message(expires_at=1795000000), [f"content.expires_at: {NO_TIME}, not a number"]),
    (message(expires_at="0001-01-01T00:00:00+23:00"), [f"content.expires_at: {NO_TIME}, between the years 1 and 9999 in UTC"]),
    (message(body=1, subject=2, link={"url": 3}),
     ["content.subject: must be a text, not a number", "content.body: must be a text, not a number",
      "content.link.url: must be a text, not a number"]),
    ({"_id": "m1"}, ["content: is missing"]),
    ({"_id": "m1", "content": None}, ["content: must be an object, not null"]),
    ({"content": {"to": "#a", "body": "x"}}, ["_id: is missing"]),
    ({"_id": 5, "content": {"to": "#a", "body": "x"}}, ["_id: must be a text, not a number"]),
    (message(**{"\ud800": 1}), ["content: holds half of a surrogate pair, which is no character"]),
]  # fmt: skip


@pytest.mark.parametrize(("document", "says"), BAD, ids=[says[0][:80] for _, says in BAD])
def test_a_bad_message_is_refused_with_one_sentence_a_place(document: JsonObject, says: list[str]) -> None:
    assert problems_with(document) == says


def test_what_is_nested_too_deep_is_said_without_all_its_floors() -> None:
    tower = tower_of(900)
    too_deep = ["the document: is nested more than 100 levels deep"]
    assert problems_with(message(data={"b": tower})) == too_deep
    assert problems_with(message(created_at=tower)) == too_deep
    assert problems_with({**message(), "beside": [tower]}) == too_deep


@pytest.mark.parametrize("of_lists", [True, False])
def test_a_hundred_levels_are_the_most(of_lists: bool) -> None:
    # The document and `content` are two of them.
    MessageDocument.model_validate(message(more=tower_of(98, of_lists=of_lists)))
    assert problems_with(message(more=tower_of(99, of_lists=of_lists))) == [
        "the document: is nested more than 100 levels deep"
    ]


MAPPING_ID = "ccs.notifications"


@pytest.mark.parametrize(
    ("message_id", "says"),
    [
        ("", "the id of a message must not be empty"),
        ("_design/router", "the id of a message must not start with '_', as '_design/router' does: CouchDB keeps that"),
        ("_x", "the id of a message must not start with '_', as '_x' does: CouchDB keeps that"),
        ("delivery:m1", "the id of a message must not start with 'delivery:', as 'delivery:m1' does: the router keeps that"),
        ("notification:m1",
         "the id of a message must not start with 'notification:', as 'notification:m1' does: the router keeps that"),
        ("audit:m1", "the id of a message must not start with 'audit:', as 'audit:m1' does: the router keeps that"),
        ("router:mapping-status",
         "the id of a message must not start with 'router:', as 'router:mapping-status' does: the router keeps that"),
        (MAPPING_ID, "'ccs.notifications' is the mapping document, not a message"),
        ("m\udcff", r"the id of a message must be valid UTF-8, not 'm\udcff'"),
        ("\ud83d", r"the id of a message must be valid UTF-8, not '\ud83d'"),
    ],
)  # fmt: skip
def test_ids_that_no_message_can_have(message_id: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        check_message_id(message_id, MAPPING_ID)
    assert says.isprintable()


@pytest.mark.parametrize("message_id", ["m1", "order/42", "a b", "größe-😀", "deliveryx", "m:_x", ".", "x_", "router"])
def test_ids_that_a_message_can_have(message_id: str) -> None:
    assert check_message_id(message_id, MAPPING_ID) == message_id


def test_a_list_of_a_million_wrong_names_is_refused_at_once() -> None:
    assert problems_with(message(to=[5] * 1_000_000)) == ["content.to: must name at most 1000 groups and users"]


def test_unknown_keys_are_kept_and_everything_else_has_its_default() -> None:
    document = message(icon="🔥")
    document["made_by"] = ["the shop", {"since": 2009}]
    read = MessageDocument.model_validate(document)
    assert read.model_extra == {"made_by": ["the shop", {"since": 2009}]}
    assert read.content.model_extra == {"icon": "🔥"}
    assert (read.rev, read.content.format, read.content.priority) == (None, "html", "normal")
    assert (read.content.subject, read.content.link, read.content.data) == (None, None, None)


@pytest.mark.parametrize(
    ("to", "groups"),
    [
        ("#a", ("#a",)),
        (["#a"], ("#a",)),
        (["#b", "#a"], ("#b", "#a")),
        (["#b", "#a", "#b", "#b"], ("#b", "#a")),
        ("@alice", ("@alice",)),
        (["@alice", "#a", "@alice"], ("@alice", "#a")),
        ("@" + "x" * 200, ("@" + "x" * 200,)),
    ],
)
def test_to_is_read_as_names_each_once_in_the_order_written(to: JsonValue, groups: tuple[str, ...]) -> None:
    assert MessageDocument.model_validate(message(to=to)).content.names == groups


def test_times_are_brought_to_utc() -> None:
    content = MessageDocument.model_validate(message(created_at="2026-11-21T01:27:00.123456+02:00")).content
    assert content.created_at == datetime(2026, 11, 20, 23, 27, 0, 123456, tzinfo=UTC)
    assert content.created_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        ({"content": {"to": None}}, True),
        ({"content": {"to": "#a"}}, True),
        ({"content": {}}, False),
        ({"content": ["to"]}, False),
        ({"content": "to"}, False),
        ({}, False),
    ],
)
def test_what_is_meant_as_a_message(document: JsonObject, answer: bool) -> None:
    assert is_message(document) is answer


def test_a_group_name_is_given_back_as_it_is() -> None:
    assert check_group_name("#admins") == "#admins"
    with pytest.raises(ValueError, match="which starts with #, not null"):
        check_group_name(None)
