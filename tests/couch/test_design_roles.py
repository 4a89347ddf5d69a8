"""Who may write what in a database that `router setup` has been at."""

import secrets
from collections.abc import Iterator

import pytest

from router.couch.database import Database
from router.couch.design import CATALOGUE_ID
from router.couch.errors import Forbidden, LoginRefused, Refused
from router.couch.setup import setup
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.couch.guarded import MAPPING_ID, Guarded, Who, guarded_database
from tests.servers.couchdb import CouchServer


@pytest.fixture(scope="module")
def guarded(couchdb_server: CouchServer) -> Iterator[Guarded]:
    with guarded_database(couchdb_server) as guarded:
        yield guarded


MESSAGE: JsonObject = {"content": {"to": "#a", "body": "x"}}
DELIVERY: JsonObject = {"type": "delivery", "message_id": "m", "status": "COMPLETE"}
EVERYBODY: tuple[Who, ...] = ("server admin", "database admin", "app", "admin", "router", "outsider", "nobody")
MAY: dict[str, tuple[Who, ...]] = {
    "message": ("server admin", "database admin", "app", "admin", "router"),
    "delivery": ("server admin", "router"),
    "notification": ("server admin", "router"),
    "audit": ("server admin", "router"),
    "status": ("server admin", "router"),
    "mapping": ("server admin", "database admin", "admin", "router"),
    "recipient": ("server admin", "database admin", "admin", "router"),
    "preferences": ("server admin", "database admin", "admin", "router"),
    "catalogue": ("server admin", "database admin", "admin", "router"),
    "design": ("server admin", "database admin"),
}


def document(kind: str) -> JsonObject:
    """A document of that kind with an id of its own where there may be more than one."""
    mark = secrets.token_hex(6)
    documents: dict[str, JsonObject] = {
        "message": {"_id": f"m-{mark}", **MESSAGE},
        "delivery": {"_id": f"delivery:m-{mark}:email:00", **DELIVERY},
        "notification": {"_id": f"notification:alice:{mark}", "user": "alice", "title": "x"},
        "audit": {"_id": f"audit:{mark}", "type": "audit"},
        "status": {"_id": f"router:{mark}", "type": "status"},
        "mapping": {"_id": MAPPING_ID, "mapping": {}},
        "recipient": {"_id": f"recipient:{mark}", "addresses": {}},
        "preferences": {"_id": f"preferences:{mark}:acme", "channels": {}},
        "catalogue": {"_id": CATALOGUE_ID, "groups": {}},
        "design": {"_id": f"_design/{mark}", "language": "javascript"},
    }
    return documents[kind]


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("kind", MAY)
async def test_who_may_write_change_and_delete_what(guarded: Guarded, kind: str, who: Who) -> None:
    doc = document(kind)
    async with Database(guarded.settings("server admin")) as admin, Database(guarded.settings(who)) as database:
        if who in MAY[kind]:
            doc["_rev"] = await database.put(doc)
            doc["_rev"] = await database.put({**doc, "changed": True})
            await database.put({"_id": doc["_id"], "_rev": doc["_rev"], "_deleted": True})
            return
        for made in (False, True):
            if made:
                doc["_rev"] = await admin.put(doc)
            attempts: list[JsonObject] = [{**doc, "changed": True}]
            if made:
                attempts.append({"_id": doc["_id"], "_rev": doc["_rev"], "_deleted": True})
            for attempt in attempts:
                with pytest.raises(LoginRefused if who == "nobody" else Forbidden, match="You are not"):
                    await database.put(attempt)
        assert (await admin.get(str(doc["_id"]))) == doc
        await admin.put({"_id": doc["_id"], "_rev": doc["_rev"], "_deleted": True})


async def test_a_forged_delivery_in_a_batch_is_refused_alone(guarded: Guarded) -> None:
    forged, message = document("delivery"), document("message")
    async with Database(guarded.settings("app")) as database:
        results = await database.bulk([forged, message, {"_id": "m-bad-in-batch", "content": {"to": 5}}])
    assert results[str(message["_id"])].rev
    assert (results[str(forged["_id"])].rev, results[str(forged["_id"])].error) == (None, "forbidden")
    assert "notification-router" in str(results[str(forged["_id"])].reason)
    assert "content.to: must be the name of a group" in str(results["m-bad-in-batch"].reason)


async def test_what_is_said_to_a_forger(guarded: Guarded) -> None:
    doc = document("delivery")
    async with Database(guarded.settings("admin")) as database:
        with pytest.raises(Forbidden) as caught:
            await database.put(doc)
    assert caught.value.reason == (
        f"You are not allowed to write {doc['_id']}: that is for the role notification-router and server admins"
    )


async def test_a_malformed_message_is_refused_and_not_forbidden(guarded: Guarded) -> None:
    async with Database(guarded.settings("app")) as database:
        with pytest.raises(Refused, match=r"content\.to: must be the name of a group"):
            await database.put({"_id": "m-malformed", "content": {"to": 5}})


async def test_a_malformed_document_that_was_there_before_may_be_deleted_and_mended(
    database: Database, couchdb_settings: CouchDBSettings
) -> None:
    revs = [await database.put({"_id": doc_id, "content": {"to": 5}}) for doc_id in ("a", "b")]
    await setup(database, MAPPING_ID)
    await database.put({"_id": "a", "_rev": revs[0], "_deleted": True})
    await database.put({"_id": "b", "_rev": revs[1], **MESSAGE})


async def test_in_a_database_open_to_all_all_may_write(database: Database, couchdb_settings: CouchDBSettings) -> None:
    report = await setup(database, MAPPING_ID)
    assert report.warnings == ()
    await database.put_security({})
    report = await setup(database, MAPPING_ID)
    assert "Everybody who reaches CouchDB may write delivery documents" in report.warnings[0]
    anonymous = couchdb_settings.model_copy(update={"username": None, "password": None})
    async with Database(anonymous) as nobody:
        for kind in ("message", "delivery", "status", "mapping"):
            assert await nobody.put(document(kind))
        with pytest.raises(Refused):
            await nobody.put({"_id": "bad", "content": {"to": 5}})
        with pytest.raises((Forbidden, LoginRefused)):
            await nobody.put({"_id": "_design/other"})
