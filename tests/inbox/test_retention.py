"""What is kept long enough is forgotten, and nothing else is."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from router.couch.database import Database
from router.documents.json_types import JsonObject
from router.documents.notification import Notification, notification_document_id, notification_id
from router.documents.time_ordered_id import time_ordered_id
from router.documents.timestamps import to_text
from router.inbox import retention
from router.inbox.caller import Caller
from router.inbox.retention import Forgotten, Retention
from router.inbox.service import InboxService
from router.settings import InAppSettings
from tests.couch.guarded import Guarded
from tests.inbox.making import documents, written
from tests.servers.couchdb import CouchServer

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = InAppSettings(retention_days=10, audit_retention_days=20)


def aged(user: str, age: timedelta, **fields: object) -> Notification:
    """A user's notification of that age."""
    moment = NOW - age
    its_id = notification_id(moment, uuid4())
    return Notification.model_validate(
        {"_id": notification_document_id(user, its_id), "user": user, "title": "x", "created_at": moment, **fields}
    )


def audit(age: timedelta) -> JsonObject:
    return {"_id": f"audit:{time_ordered_id(NOW - age, uuid4())}", "type": "audit", "at": to_text(NOW - age)}


def of(database: Database) -> Retention:
    return Retention(database, SETTINGS, lambda: NOW)


async def test_only_what_is_old_goes(inbox: InboxService, database: Database) -> None:
    day = timedelta(days=1)
    young = [aged(user, age) for user in ("alice", "bob") for age in (timedelta(0), 9 * day, 10 * day)]
    old = [aged("alice", 12 * day), aged("bob", 500 * day, read=True), aged("carl", 11 * day, deleted_at=NOW)]
    await written(database, young + old)
    entries = [audit(19 * day), audit(20 * day), audit(22 * day)]
    damaged: JsonObject = {"_id": "notification:alice:x", "created_at": "2020-01-01T00:00:00Z", "user": 5}
    message: JsonObject = {"_id": "m", "content": {"to": "#a", "body": "x", "created_at": "2020-01-01T00:00:00Z"}}
    await database.bulk([*entries, damaged, message])
    assert await of(database).run() == Forgotten(4, 1)
    assert [each["_id"] for each in await documents(database, "notification:")] == sorted(
        each.document_id for each in young
    )
    assert {each["_id"] for each in await documents(database, "audit:")} == {each["_id"] for each in entries[:2]}
    assert await database.get("m") is not None
    assert (await inbox.page(Caller("alice"))).total == 3
    assert await of(database).run() == Forgotten(0, 0)


async def test_page_by_page(inbox: InboxService, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE", 7)
    monkeypatch.setattr(retention, "PURGED_AT_ONCE", 3)
    await written(database, [aged(f"user-{number % 5}", timedelta(days=11 + number % 9)) for number in range(50)])
    assert await of(database).run() == Forgotten(50, 0)
    assert await documents(database, "notification:") == []


async def test_couchdb_keeps_no_tombstone_and_a_server_that_cannot_purge_does(
    inbox: InboxService, database: Database, couchdb_server: CouchServer
) -> None:
    old = [aged("alice", timedelta(days=30 + number)) for number in range(250)]
    await written(database, old)
    assert await of(database).run() == Forgotten(250, 0)
    info = await database.info()
    if couchdb_server.kind == "couchdb":
        assert info["doc_del_count"] == 0
    else:
        assert await database.get(old[0].document_id) is None
    # What came with the same id again would be written, not be a conflict with a deletion.
    assert (await database.bulk([old[0].to_document()]))[old[0].document_id].rev


async def test_the_routers_own_user_deletes_where_it_may_not_purge(guarded: Guarded) -> None:
    async with Database(guarded.settings("router")) as database:
        keeper = of(database)
        for count in (3, 2):
            await written(database, [aged("alice", timedelta(days=30)) for _ in range(count)])
            assert await keeper.run() == Forgotten(count, 0)
        assert await documents(database, "notification:") == []


async def test_what_may_not_be_deleted_holds_up_nothing_else(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE", 2)
    async with Database(guarded.settings("router")) as ours, Database(guarded.settings("app")) as theirs:
        await written(ours, [aged("alice", timedelta(days=30 + number)) for number in range(5)])
        assert await of(theirs).run() == Forgotten(0, 0)
        assert await of(ours).run() == Forgotten(5, 0)
