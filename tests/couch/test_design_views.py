"""The indexes of `_design/router`, and that the document changes only when it should."""

import pytest

from router.couch.database import Database
from router.couch.design import BY_MESSAGE, NAME, UNFINISHED, Roles, design_document
from router.couch.errors import Refused, ServerFault, ViewMissing
from router.couch.setup import setup
from router.documents.json_types import JsonObject, JsonValue

MAPPING_ID = "ccs.notifications"


def delivery(name: str, **fields: JsonValue) -> JsonObject:
    """A delivery document with what the indexes look at."""
    made: JsonObject = {
        "message_id": "m",
        "channel": "email",
        "status": "PENDING",
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    return {"_id": f"delivery:{name}", "type": "delivery", "next_attempt_at": None, **made, **fields}


DOCUMENTS: list[JsonObject] = [
    delivery("new"),
    delivery("later", next_attempt_at="2026-03-01T00:00:00.000Z"),
    delivery("soon", next_attempt_at="2026-02-01T00:00:00.000Z", message_id="m2"),
    delivery("key", channel="sphinx", status="WAITING_KEY_EXCHANGE", next_attempt_at="2026-02-02T00:00:00.000Z"),
    delivery("urgent", next_attempt_at="2026-04-01T00:00:00.000Z", priority="critical", attempts=[{}, {}]),
    delivery("odd", channel=None),
    delivery("lost", channel=None, status="UNROUTABLE", message_id="m3"),
    delivery("lost-before", channel=None, status="UNROUTABLE", created_at="2025-12-31T00:00:00.000Z"),
    *(
        delivery(status.lower(), status=status)
        for status in ("COMPLETE", "FAILED", "EXPIRED", "UNCERTAIN", "CANCELLED")
    ),
    # An app's own document of that type is not the router's: nobody can have it sent.
    {**delivery("forged"), "_id": "forged"},
    {"_id": "delivery:of-another-kind", "status": "PENDING"},
    {"_id": "m", "content": {"to": "#a", "body": "x"}},
]


@pytest.fixture
async def filled(database: Database) -> Database:
    """The test's database, with its indexes and the documents above."""
    await setup(database, MAPPING_ID)
    results = await database.bulk(DOCUMENTS)
    assert all(result.rev for result in results.values())
    return database


async def test_what_is_unfinished_in_the_order_it_is_due(filled: Database) -> None:
    rows = await filled.view(NAME, UNFINISHED)
    assert [(row.id.removeprefix("delivery:"), row.key, row.value) for row in rows] == [
        ("odd", ["lane", "", 1, "2026-01-01T00:00:00.000Z"], 0),
        ("urgent", ["lane", "email", 0, "2026-04-01T00:00:00.000Z"], 2),
        ("new", ["lane", "email", 1, "2026-01-01T00:00:00.000Z"], 0),
        ("soon", ["lane", "email", 1, "2026-02-01T00:00:00.000Z"], 0),
        ("later", ["lane", "email", 1, "2026-03-01T00:00:00.000Z"], 0),
        ("key", ["lane", "sphinx", 1, "2026-02-02T00:00:00.000Z"], 0),
        ("lost-before", ["unroutable", "2025-12-31T00:00:00.000Z", "delivery:lost-before"], None),
        ("lost", ["unroutable", "2026-01-01T00:00:00.000Z", "delivery:lost"], None),
    ]


async def test_one_lane_up_to_a_moment(filled: Database) -> None:
    rows = await filled.view(
        NAME,
        UNFINISHED,
        start_key=["lane", "email", 1],
        end_key=["lane", "email", 1, "2026-02-15T00:00:00.000Z"],
        limit=10,
        include_docs=True,
    )
    assert [row.document and row.document["_id"] for row in rows] == ["delivery:new", "delivery:soon"]


async def test_a_delivery_that_ends_leaves_the_index(filled: Database) -> None:
    doc = await filled.get("delivery:new")
    assert doc is not None
    await filled.put({**doc, "status": "COMPLETE"})
    rows = await filled.view(NAME, UNFINISHED, start_key=["lane", "email", 1], end_key=["lane", "email", 1, {}])
    assert [row.id for row in rows] == ["delivery:soon", "delivery:later"]


async def test_the_deliveries_of_a_message(filled: Database) -> None:
    rows = await filled.view(NAME, BY_MESSAGE, keys=["m2", "m3", "none"])
    assert [(row.key, row.id, row.value) for row in rows] == [
        ("m2", "delivery:soon", "PENDING"),
        ("m3", "delivery:lost", "UNROUTABLE"),
    ]
    rows = await filled.view(NAME, BY_MESSAGE, start_key="m", end_key="m")
    assert len(rows) == 11


def test_the_hash_names_the_content() -> None:
    document = design_document(MAPPING_ID)
    assert design_document(MAPPING_ID) == document
    assert design_document("another")["content_hash"] != document["content_hash"]
    assert design_document(MAPPING_ID, roles=Roles(router="x"))["content_hash"] != document["content_hash"]


@pytest.mark.parametrize(
    "mapping_id", ["it's", 'a"b', "</script>", "a\\", "x'); throw({forbidden: 'gotcha'}); ('", "ü/😀"]
)
async def test_any_mapping_id_is_only_ever_data(database: Database, mapping_id: str) -> None:
    await setup(database, mapping_id)
    await database.put({"_id": "free", "mapping": "not the mapping document"})
    await database.put({"_id": MAPPING_ID, "mapping": "not the mapping document either"})
    with pytest.raises(Refused, match="mapping: must be an object, not a text"):
        await database.put({"_id": mapping_id, "mapping": "x"})
    assert await database.put({"_id": mapping_id, "mapping": {"#a": {"email": "a@example.org"}}})


async def test_it_counts_what_is_left_by_lane(filled: Database) -> None:
    counts = await filled.view_counts(NAME, UNFINISHED, start_key=["lane"], end_key=["lane", {}], group_level=2)
    assert counts == [(["lane", ""], 1), (["lane", "email"], 4), (["lane", "sphinx"], 1)]
    counts = await filled.view_counts(
        NAME, UNFINISHED, start_key=["unroutable"], end_key=["unroutable", {}], group_level=1
    )
    assert counts == [(["unroutable"], 2)]


async def test_an_index_that_does_not_count_says_so(filled: Database) -> None:
    with pytest.raises((Refused, ServerFault)):
        await filled.view_counts(NAME, BY_MESSAGE, start_key=None, end_key={}, group_level=1)
    with pytest.raises(ViewMissing):
        await filled.view_counts(NAME, "none", start_key=None, end_key={}, group_level=1)
