"""What the demo makes of what arrived: as a person reads it, and which message it is."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.demo.arrival import Arrival
from router.demo.naming import NAMES_KEPT, PATIENCE_SECONDS, Naming
from router.demo.received import mail_arrival, matrix_arrivals, read_mrkdwn, slack_arrival
from router.demo.smtp_conversation import ReceivedMail
from router.documents.delivery import Delivery, Status
from router.documents.json_types import JsonObject
from router.rendering.mrkdwn import escape
from tests.demo.test_story import NOW

UUIDS = [UUID(int=number) for number in range(1, 4)]


def delivery(message_id: str, uuid: UUID = UUIDS[0], reference: str | None = None) -> Delivery:
    return Delivery(
        id=f"delivery:{message_id}:matrix:0123456789abcdef",
        message_id=message_id,
        channel="matrix",
        status=Status.COMPLETE,
        uuid=uuid,
        reference=reference,
        created_at=NOW,
        updated_at=NOW,
    )


@given(st.text())
def test_what_was_escaped_for_slack_is_read_as_it_was_written(text: str) -> None:
    assert read_mrkdwn(escape(text)) == text


@pytest.mark.parametrize(
    ("wire", "read"),
    [
        ("*Mary &amp; Sons*", "*Mary & Sons*"),
        ("&amp;lt;", "&lt;"),
        ("see <https://shop.example/?a=1&amp;b=2>", "see https://shop.example/?a=1&b=2"),
        ("<https://shop.example|a &lt; b>, <https://shop.example|c>", "a < b, c"),
    ],
)
def test_mrkdwn_is_read_as_a_person_does(wire: str, read: str) -> None:
    assert read_mrkdwn(wire) == read


def test_only_the_mrkdwn_of_a_slack_message_is_unescaped() -> None:
    blocks: list[JsonObject] = [
        {"type": "header", "text": {"type": "plain_text", "text": "How to write &amp;"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "Like &lt;this&gt;", "verbatim": True}},
    ]
    row: JsonObject = {
        "path": "/api/chat.postMessage",
        "body": {"channel": "C1", "text": "x &amp; y", "blocks": [*blocks]},
    }
    assert slack_arrival(row) == Arrival("slack", "C1", "How to write &amp;\nLike <this>")
    assert slack_arrival({"path": "/services/T/B/x", "body": {"text": "x &amp; y"}}).text == "x & y"


def test_a_mail_is_known_by_the_uuid_in_its_message_id() -> None:
    source = f"Message-ID: <{UUIDS[0]}@demo.example>\r\nSubject: Hello\r\n\r\nBody\r\n"
    mail = ReceivedMail("r@demo.example", "alice@demo.example", source.encode(), (), None, is_encrypted=False)
    assert mail_arrival(mail) == Arrival("email", "alice@demo.example", "Hello\n\nBody", str(UUIDS[0]))


def test_a_matrix_message_is_known_by_its_event_id() -> None:
    event: JsonObject = {"type": "m.room.message", "sender": "@r:h", "event_id": "$e", "content": {"body": "Hi"}}
    room: JsonObject = {"timeline": {"events": [event, {**event, "sender": "@alice:h"}]}}
    assert matrix_arrivals("@alice:h", room, "@alice:h") == [Arrival("matrix", "@alice:h", "Hi", "$e")]


def test_an_arrival_waits_for_its_document() -> None:
    naming = Naming()
    mail, event = Arrival("email", "a@b", "Hi", str(UUIDS[0])), Arrival("matrix", "!r", "Hi", "$e")
    slack = Arrival("slack", "C1", "Hi")
    assert naming.name([mail, event, slack], 10) == [(slack, None)]
    naming.learn(delivery("m1"))
    assert naming.name([], 10.5) == [(mail, "m1")]
    naming.learn(delivery("m2", UUIDS[1], "$e"))
    assert naming.name([], 11) == [(event, "m2")]
    assert naming.name([], 99) == []
    assert naming.name([event], 100) == [(event, "m2")]


def test_an_arrival_without_a_document_is_shown_in_the_end() -> None:
    naming = Naming()
    event = Arrival("matrix", "!r", "Hi", "$e")
    assert naming.name([event], 10) == []
    assert naming.name([], 10 + PATIENCE_SECONDS) == [(event, None)]
    assert naming.name([], 20) == []


def test_the_oldest_names_give_way() -> None:
    naming = Naming()
    for number in range(NAMES_KEPT + 1):
        naming.learn(delivery(f"m{number}", UUID(int=number)))
    first, last = (Arrival("email", "a@b", "Hi", str(UUID(int=number))) for number in (0, NAMES_KEPT))
    assert naming.name([first, last], 10) == [(last, f"m{NAMES_KEPT}")]
