"""Notification documents, as the router writes them and as somebody left them."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from structlog.testing import capture_logs

from router.documents.audit import MAX_IDS, AuditEntry
from router.documents.delivery import delivery_uuid
from router.documents.json_types import JsonObject, JsonValue
from router.documents.notification import (
    Notification,
    check_notification_id,
    notification_document_id,
    notification_id,
    read_notification,
)

MOMENT = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)
ITS_ID = notification_id(MOMENT, delivery_uuid("delivery:m:inapp:00"))
GOOD: JsonObject = {
    "_id": f"notification:alice:{ITS_ID}",
    "_rev": "1-a",
    "user": "alice",
    "type": "chats",
    "event": "chat_message",
    "title": "New message",
    "content": "<b>Hello</b>",
    "format": "html",
    "link_url": "https://example.org/chats/1",
    "link_text": "Open",
    "read": False,
    "read_at": None,
    "created_at": "2026-11-21T08:27:00.000Z",
    "customer_id": "acme",
    "rec_type": "chat",
    "rec_id": "1",
    "message_id": "m",
    "deleted_at": None,
}


def test_a_good_one_is_read_as_it_is() -> None:
    notification = read_notification(GOOD)
    assert notification is not None
    assert notification.to_document() == GOOD
    assert (notification.id, notification.document_id) == (ITS_ID, GOOD["_id"])


def test_keys_of_a_later_router_are_kept() -> None:
    notification = read_notification({**GOOD, "colour": {"of": ["its", "icon"]}})
    assert notification is not None
    changed = notification.model_copy(update={"read": True, "read_at": MOMENT})
    assert changed.to_document() == {
        **GOOD,
        "colour": {"of": ["its", "icon"]},
        "read": True,
        "read_at": "2026-11-21T08:27:00.000Z",
    }


def test_the_least_that_makes_one() -> None:
    notification = Notification(
        document_id=notification_document_id("bob", ITS_ID), user="bob", title="x", created_at=MOMENT
    )
    assert "_rev" not in notification.to_document()
    assert not notification.read


def test_a_retry_makes_the_same_document() -> None:
    uuid = delivery_uuid("delivery:m:inapp:00")
    assert notification_id(MOMENT, uuid) == ITS_ID
    assert notification_id(MOMENT, delivery_uuid("delivery:m:inapp:01")) != ITS_ID
    assert UUID(ITS_ID).version == 7


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"user": "bob"}, "its `_id` must be `notification:`, its user, `:`, and more"),
        ({"user": "alice:x"}, "user: must be the id of a user without spaces, / : and #"),
        ({"_id": "notification:alice:x"}, "its `_id` must end in a UUID of version 7"),
        ({"_id": f"alice:{ITS_ID}"}, "its `_id` must be"),
        ({"read": "yes"}, "read: must be true or false"),
        ({"read": None}, "read: "),
        ({"read_at": "soon"}, "read_at: must be a time"),
        ({"created_at": None}, "created_at: must be a time"),
        ({"title": None}, "title: must be a text, not null"),
        ({"content": {"a": 1}}, "content: must be a text, not an object"),
        ({"format": "markdown"}, "format: must be 'html' or 'text'"),
        ({"link_url": "javascript:alert(1)"}, "link_url: must be an absolute http or https address"),
        ({"link_url": "/chats/1"}, "link_url: must be an absolute http or https address"),
        ({"customer_id": 7}, "customer_id: must be a text, not a number"),
        ({"deleted_at": True}, "deleted_at: must be a time"),
    ],
)
def test_a_damaged_one_is_none_and_said_in_the_log(changes: JsonObject, problem: str) -> None:
    with capture_logs() as logged:
        assert read_notification({**GOOD, **changes}) is None
    (line,) = logged
    assert line["log_level"] == "warning"
    assert line["document_id"] == {**GOOD, **changes}["_id"]
    assert problem in line["problems"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "extra"]), JSON, max_size=8))
def test_nothing_is_raised_and_what_is_read_can_be_written(changes: dict[str, JsonValue]) -> None:
    notification = read_notification({**GOOD, **changes})
    if notification is not None:
        assert read_notification(notification.to_document()) == notification


@pytest.mark.parametrize("value", [ITS_ID, ITS_ID.upper()])
def test_an_id_whatever_its_case(value: str) -> None:
    assert check_notification_id(value) == ITS_ID


@pytest.mark.parametrize(
    "value", ["", "x", None, 7, [ITS_ID], f"alice:{ITS_ID}", ITS_ID + "x", "\u212a" + ITS_ID[1:], "../x"]
)
def test_no_id(value: object) -> None:
    with pytest.raises(ValueError, match="must be the id of a notification, such as "):
        check_notification_id(value)


def test_an_audit_document_is_bounded() -> None:
    document: JsonObject = {
        "_id": "audit:x",
        "type": "audit",
        "at": "2026-11-21T08:27:00.000Z",
        "user": "alice",
        "roles": ["user"],
        "action": "delete",
        "ids": ["x"] * MAX_IDS,
    }
    assert AuditEntry.model_validate(document).to_document() == document
    with pytest.raises(ValidationError):
        AuditEntry.model_validate({**document, "ids": ["x"] * (MAX_IDS + 1)})
