"""The indexes of `_design/router_inbox`: what of a notification they hold, and that they go by the same rules as the reader."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.couch.database import Database
from router.couch.design import BY_DAY, DESIGN_ID, INBOX, INBOX_ID, INBOX_NAME, inbox_design_document
from router.couch.setup import setup
from router.documents.json_types import JsonObject, JsonValue
from router.documents.notification import read_notification
from router.documents.time_ordered_id import time_ordered_id
from tests.couch.guarded import MAPPING_ID, Guarded, guarded_database
from tests.servers.couchdb import CouchServer

MOMENT = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)
OLD, NEW = "019d0000-0000-7000-8000-000000000000", "019e0000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def guarded(couchdb_server: CouchServer) -> Iterator[Guarded]:
    with guarded_database(couchdb_server) as guarded:
        yield guarded


def notification(user: str, its_id: str, **fields: JsonValue) -> JsonObject:
    return {
        "_id": f"notification:{user}:{its_id}",
        "user": user,
        "title": "x",
        "created_at": "2026-11-21T08:27:00.000Z",
        **fields,
    }


async def test_each_stands_under_all_and_under_its_customer_with_its_status(database: Database) -> None:
    await setup(database, MAPPING_ID)
    await database.bulk(
        [
            notification("alice", OLD, customer_id="a/b", read=True),
            notification("alice", NEW),
            notification("é", NEW, deleted_at="2026-11-21T08:27:00.000Z"),
            {"_id": "m", "content": {"to": "#a", "body": "x"}},
        ]
    )
    rows = await database.view(INBOX_NAME, INBOX)
    assert [row.key for row in rows] == [
        ["alice", "all", None, OLD],
        ["alice", "all", None, NEW],
        ["alice", "all", False, NEW],
        ["alice", "all", "a%2Fb", OLD],
        ["alice", "read", None, OLD],
        ["alice", "read", "a%2Fb", OLD],
        ["alice", "unread", None, NEW],
        ["alice", "unread", False, NEW],
    ]
    bounds: list[tuple[JsonValue, JsonValue]] = [
        (["alice", "all", None, {}], ["alice", "all", None]),
        (["alice", "all", "a%2Fb", {}], ["alice", "all", "a%2Fb"]),
        (["bob", {}], ["bob"]),
    ]
    pages = await database.view_ranges(INBOX_NAME, INBOX, bounds, limit=1, descending=True)
    assert [[row.id for row in page] for page in pages] == [
        [f"notification:alice:{NEW}"],
        [f"notification:alice:{OLD}"],
        [],
    ]


async def test_by_day_whatever_became_of_it(database: Database) -> None:
    await setup(database, MAPPING_ID)
    first, second = (time_ordered_id(MOMENT.replace(day=day), uuid4()) for day in (20, 21))
    documents: list[JsonObject] = [
        notification("alice", first, created_at="2020-01-01T00:00:00Z"),
        notification("alice", second, deleted_at="2026-11-21T08:27:00.000Z"),
        {"_id": "notification:bob:damaged", "created_at": "2026-11-19T23:59:59.999Z"},
        {"_id": "notification:bob:beyond-repair", "created_at": 5},
        {"_id": f"audit:{first}", "type": "audit"},
    ]
    results = await database.bulk(documents)
    rows = await database.view(INBOX_NAME, BY_DAY)
    assert [(row.key, row.value) for row in rows] == [
        ([kind, day, doc["_id"]], results[str(doc["_id"])].rev)
        for kind, day, doc in (
            ("audit", "2026-11-20", documents[4]),
            ("notification", "2026-11-19", documents[2]),
            ("notification", "2026-11-20", documents[0]),
            ("notification", "2026-11-21", documents[1]),
        )
    ]


def test_the_indexes_are_brought_up_to_date_by_questions_alone() -> None:
    document = inbox_design_document()
    assert document["autoupdate"] is False
    assert document["_id"] == INBOX_ID != DESIGN_ID


TEXTS: st.SearchStrategy[JsonValue] = st.sampled_from(["", "x", "é\u0301😀", 'a"b'])
ODD: st.SearchStrategy[JsonValue] = st.sampled_from([None, True, 0, 1.5, [], ["x"], {}, {"a": 1}])
TIMES: st.SearchStrategy[JsonValue] = st.sampled_from(
    ["2026-11-21T08:27:00.123Z", "2026-11-21T08:27:00Z", "2026-13-21T08:27:00Z", "2026-11-21", "soon", "", "7"]
)
URLS: st.SearchStrategy[JsonValue] = st.sampled_from(
    ["https://a.org", "HTTP://a:80/b?c#d", "http://a b", "https://", "ftp://a.org", "javascript:alert(1)", "/a", ""]
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "user": st.sampled_from(["bob", "alice:x"]) | ODD,
        "type": TEXTS | ODD,
        "event": TEXTS | ODD,
        "title": TEXTS | ODD,
        "content": TEXTS | ODD,
        "format": st.sampled_from(["html", "text", "markdown"]) | ODD,
        "link_url": URLS | ODD,
        "link_text": TEXTS | ODD,
        "read": st.booleans() | ODD,
        "read_at": TIMES | ODD,
        "created_at": TIMES | ODD,
        "customer_id": TEXTS | ODD,
        "rec_type": TEXTS | ODD,
        "rec_id": TEXTS | ODD,
        "message_id": TEXTS | ODD,
        "deleted_at": TIMES | ODD,
        "more": ODD,
    },
)
# Two or three changes at most: of a document in which everything is wrong, nobody learns which rule caught it.
DAMAGES = FIELDS.map(lambda fields: dict(list(fields.items())[:2]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damages=st.lists(FIELDS | DAMAGES, min_size=20, max_size=80), its_id=st.sampled_from([OLD, NEW, OLD.upper(), "x"])
)
def test_the_index_holds_what_the_reader_reads(guarded: Guarded, damages: list[JsonObject], its_id: str) -> None:
    mark = secrets.token_hex(6)
    documents = []
    for number, damage in enumerate(damages):
        user = f"u{mark}-{number}"
        documents.append({**notification(user, OLD if number else its_id), **damage})
    with guarded.server.http() as http:
        answer = http.post(f"/{guarded.name}/_bulk_docs", json={"docs": documents})
        answer.raise_for_status()
        assert all("rev" in row for row in answer.json())
        answer = http.get(f"/{guarded.name}/_design/{INBOX_NAME}/_view/{INBOX}", params={"reduce": "false"})
        answer.raise_for_status()
    rows = [row for row in answer.json()["rows"] if row["key"][1:3] == ["all", None]]
    found = {row["id"] for row in rows if mark in row["id"]}
    for document in documents:
        notification_read = read_notification(document)
        is_seen = notification_read is not None and notification_read.deleted_at is None
        assert (document["_id"] in found) == is_seen, document
