"""Events on the wire, read back as a browser does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.documents.notification import Notification
from router.stream.events import Event, added, data_of, deleted, encode, heartbeat, marked, reset
from tests.stream.browser import Browser, Message

ID = "019d2f0c-5a3b-7c41-9e1f-3a5b7c9d1e2f"


@pytest.mark.parametrize(
    ("event", "wire"),
    [
        (added({"id": "x"}, "a.1.2-b"), b'id: a.1.2-b\ndata: {"id":"x"}\n\n'),
        (added({"id": "x"}), b'data: {"id":"x"}\n\n'),
        (marked("x", read=True, event_id="a"), b'event: read\nid: a\ndata: {"id":"x","read":true}\n\n'),
        (deleted("x", "a"), b'event: deleted\nid: a\ndata: {"id":"x"}\n\n'),
        (reset("a"), b"event: reset\nid: a\ndata: {}\n\n"),
        (heartbeat(), b": heartbeat\n\n"),
        (heartbeat("a"), b": heartbeat\nid: a\n\n"),
    ],
)
def test_each_kind_on_the_wire(event: Event, wire: bytes) -> None:
    assert encode(event) == wire


def test_a_heartbeat_is_no_message_but_moves_the_place() -> None:
    browser = Browser()
    assert browser.receive(encode(heartbeat("a.1.b"))) == []
    assert (browser.last_event_id, browser.comments) == ("a.1.b", 1)
    assert browser.receive(encode(heartbeat())) == []
    assert browser.last_event_id == "a.1.b"


def test_a_notification_has_the_fields_of_the_api_and_no_others() -> None:
    document = {
        "_id": f"notification:alice:{ID}",
        "user": "alice",
        "type": "chats",
        "event": "order_failed",
        "title": "Hi",
        "content": "<b>x</b>",
        "link_url": "https://example.org/",
        "link_text": "there",
        "created_at": "2026-11-21T08:27:00Z",
        "customer_id": "acme",
        "secret": "x",
    }
    assert data_of(Notification.model_validate(document)) == {
        "id": ID,
        "type": "chats",
        "event": "order_failed",
        "title": "Hi",
        "content": "<b>x</b>",
        "link_url": "https://example.org/",
        "link_text": "there",
        "read": False,
        "created_at": "2026-11-21T08:27:00.000Z",
    }


@given(st.text())
def test_whatever_the_text_it_is_one_message(text: str) -> None:
    (message,) = Browser().receive(encode(added({"title": text}, "a")))
    assert message.type == "message"
    assert json.loads(message.data) == {"title": text}


def test_half_a_surrogate_pair_is_sent_escaped() -> None:
    assert Browser().receive(encode(added({"title": "\ud83d"}))) == [Message("message", '{"title": "\\ud83d"}', "")]
