"""What a client is told when CouchDB is not there or not set up, and what damaged documents do: nothing to the others."""

from collections.abc import Awaitable, Callable

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from router.couch.database import Database
from router.couch.setup import setup
from router.documents.json_types import JsonObject
from router.inbox.caller import Caller
from router.inbox.errors import Code, InboxError
from router.inbox.service import InboxService
from router.settings import CouchDBSettings
from tests.couch.guarded import MAPPING_ID, Guarded
from tests.inbox.making import START, made, written

ALICE = Caller("alice")
ITS_ID = made("alice", 1).id

Ask = Callable[[InboxService], Awaitable[object]]
READS: list[tuple[Ask, Code]] = [
    (lambda inbox: inbox.page(ALICE), Code.FAILED_TO_FETCH_NOTIFICATIONS),
    (lambda inbox: inbox.page(Caller("alice", frozenset({"acme"}))), Code.FAILED_TO_FETCH_NOTIFICATIONS),
    (lambda inbox: inbox.unread_count(ALICE), Code.FAILED_TO_FETCH_NOTIFICATIONS),
    (lambda inbox: inbox.mark_all_read(ALICE), Code.FAILED_TO_MARK_AS_READ),
]
SINGLES: list[tuple[Ask, Code]] = [
    (lambda inbox: inbox.get(ALICE, ITS_ID), Code.FAILED_TO_FETCH_NOTIFICATIONS),
    (lambda inbox: inbox.mark(ALICE, ITS_ID), Code.FAILED_TO_MARK_AS_READ),
    (lambda inbox: inbox.mark_many(ALICE, [ITS_ID]), Code.FAILED_TO_MARK_AS_READ),
    (lambda inbox: inbox.delete(ALICE, ITS_ID), Code.FAILED_TO_DELETE),
    (lambda inbox: inbox.delete_many(ALICE, [ITS_ID]), Code.FAILED_TO_DELETE),
]


@pytest.fixture
def unused_settings(couchdb_settings: CouchDBSettings, unused_port: int) -> CouchDBSettings:
    return couchdb_settings.model_copy(
        update={"url": f"http://127.0.0.1:{unused_port}", "password": SecretStr("top-secret")}
    )


@pytest.mark.parametrize(("ask", "code"), READS + SINGLES)
async def test_no_couchdb(unused_settings: CouchDBSettings, ask: Ask, code: Code) -> None:
    async with Database(unused_settings) as database:
        with capture_logs() as logged, pytest.raises(InboxError, match="just now") as caught:
            await ask(InboxService(database))
    assert caught.value.code is code
    # The client is not told where the database is; whoever reads the log is.
    assert "127.0.0.1" not in str(caught.value)
    (line,) = logged
    assert "cannot be reached (no connection)" in line["reason"]
    assert "top-secret" not in str(line)


@pytest.mark.parametrize(("ask", "code"), READS)
async def test_no_index(database: Database, ask: Ask, code: Code) -> None:
    with capture_logs() as logged, pytest.raises(InboxError) as caught:
        await ask(InboxService(database))
    assert caught.value.code is code
    assert "run `router setup`" in logged[0]["reason"]


async def test_a_user_of_couchdb_who_may_not_write(guarded: Guarded) -> None:
    async with Database(guarded.settings("router")) as ours, Database(guarded.settings("app")) as theirs:
        (its_id,) = await written(ours, [made("alice", 1)])
        with pytest.raises(InboxError) as caught:
            await InboxService(theirs).mark(ALICE, its_id)
        assert caught.value.code is Code.FAILED_TO_MARK_AS_READ
        assert (await InboxService(ours).mark(ALICE, its_id)).read


DAMAGES: list[JsonObject] = [
    {"read": "yes"},
    {"title": 5},
    {"created_at": "2026-02-30T00:00:00Z"},
    {"created_at": "soon"},
    {"user": "bob"},
    {"link_url": "javascript:alert(1)"},
    {"link_url": "https://[x"},
    {"customer_id": ["acme"]},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
async def test_a_damaged_one_stops_nobody(database: Database, damage: JsonObject) -> None:
    await setup(database, MAPPING_ID)
    inbox = InboxService(database)
    good, bad = made("alice", 1), made("alice", 2)
    await database.bulk([good.to_document(), {**bad.to_document(), **damage}])
    assert [each.id for each in (await inbox.page(ALICE)).notifications] == [good.id]
    with capture_logs() as logged, pytest.raises(InboxError) as caught:
        await inbox.mark(ALICE, bad.id)
    assert caught.value.code is Code.NOT_FOUND
    assert logged[0]["document_id"] == bad.document_id
    result = await inbox.mark_many(ALICE, [bad.id, good.id])
    assert (result.changed, result.not_found) == ((good.id,), (bad.id,))
    assert await inbox.mark_all_read(ALICE) == 0
    assert (await inbox.page(Caller("bob"))).notifications == ()


async def test_ids_that_somebody_made_up(database: Database) -> None:
    await setup(database, MAPPING_ID)
    good = made("alice", 1)
    odd: list[JsonObject] = [
        {**good.to_document(), "_id": f"notification:alice:{end}", "created_at": START.isoformat()}
        for end in ("", "x", "\ufff0", good.id.upper(), f"{good.id}:x", "é")
    ]
    await database.bulk([good.to_document(), *odd, {**good.to_document(), "_id": f"notification:{good.id}"}])
    inbox = InboxService(database)
    page = await inbox.page(ALICE)
    assert ([each.id for each in page.notifications], page.total) == ([good.id], 1)
    assert await inbox.mark_all_read(ALICE) == 1
    assert await inbox.unread_count(ALICE) == 0
