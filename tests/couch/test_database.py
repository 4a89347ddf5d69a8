"""Documents, bulk reads and writes, local documents and views, seen from both sides of a real server."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from router.couch.database import BulkResult, Database
from router.couch.errors import (
    Conflict,
    DatabaseMissing,
    LoginRefused,
    Refused,
    Unreachable,
    ViewMissing,
)
from router.couch.requests import BULK_DOCUMENTS
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.servers.couchdb import CouchServer, RestartableCouchDB

ODD_IDS = [
    "order-42",
    "a/b",
    "/",
    "a+b",
    "a#b",
    "a b",
    "a%2Fb",
    "a?rev=1&b=2",
    "a:b@c;d,e=f",
    'say "hi"',
    "back\\slash",
    "ü€😀",
    "e\u0301",
    "..",
    ".",
    "...",
    "delivery:x/y:matrix:00",
]


@pytest.fixture
async def http(couchdb_server: CouchServer) -> AsyncIterator[httpx.AsyncClient]:
    """The other side: plain HTTP as the admin."""
    async with couchdb_server.async_http() as client:
        yield client


@pytest.mark.parametrize("doc_id", ODD_IDS)
async def test_any_id_can_be_written_and_read(
    database: Database, couchdb_settings: CouchDBSettings, http: httpx.AsyncClient, doc_id: str
) -> None:
    rev = await database.put({"_id": doc_id, "text": "one"})
    assert await database.get(doc_id) == {"_id": doc_id, "_rev": rev, "text": "one"}
    assert await database.get_many([doc_id]) == {doc_id: {"_id": doc_id, "_rev": rev, "text": "one"}}
    answer = await http.post(f"/{couchdb_settings.database}/_all_docs", json={"keys": [doc_id]})
    assert [row["value"]["rev"] for row in answer.json()["rows"]] == [rev]


async def test_a_missing_and_a_deleted_document_read_as_none(database: Database) -> None:
    rev = await database.put({"_id": "gone"})
    await database.put({"_id": "gone", "_rev": rev, "_deleted": True})
    assert await database.get("gone") is None
    assert await database.get("never") is None
    assert await database.get_many(["gone", "never"]) == {}


async def test_writing_over_an_unknown_revision_is_a_conflict(database: Database) -> None:
    first = await database.put({"_id": "doc", "n": 1})
    second = await database.put({"_id": "doc", "n": 2, "_rev": first})
    stale_ones: list[JsonObject] = [{"_id": "doc", "n": 3}, {"_id": "doc", "n": 3, "_rev": first}]
    for stale in stale_ones:
        with pytest.raises(Conflict, match=r"another revision of /test-.*/doc"):
            await database.put(stale)
    assert await database.get("doc") == {"_id": "doc", "_rev": second, "n": 2}


async def test_a_malformed_document_is_refused_with_the_servers_reason(database: Database) -> None:
    with pytest.raises(Refused, match="Bad special document member: _odd"):
        await database.put({"_id": "doc", "_odd": 1})


async def test_a_document_without_id_is_the_callers_mistake(database: Database) -> None:
    with pytest.raises(ValueError, match="without an _id"):
        await database.put({"text": "x"})


async def test_text_that_trips_others_comes_back_as_it_was(database: Database) -> None:
    text = 'line\u2028para\u2029next\u0085nul\u0000tab\t quote" 😀'
    await database.put({"_id": "odd", "text": text, "list": [1, 1.5, True, None, {"a": []}]})
    found = await database.get("odd")
    assert found is not None
    assert found["text"] == text
    assert found["list"] == [1, 1.5, True, None, {"a": []}]


async def test_half_a_surrogate_pair_stops_nobody(
    database: Database, couchdb_settings: CouchDBSettings, http: httpx.AsyncClient
) -> None:
    body = b'{"_id": "half", "text": "a\\ud800b"}'
    headers = {"Content-Type": "application/json"}
    written = await http.put(f"/{couchdb_settings.database}/half", content=body, headers=headers)
    if written.status_code == 201:  # PouchDB takes it
        found = await database.get_many(["half"])
        assert found["half"]["text"] == "a\ufffdb"
    else:  # CouchDB does not, and says so
        with pytest.raises(Refused, match="JSON"):
            await database.put({"_id": "half", "text": "a\ud800b"})


async def test_get_many_reads_more_than_one_request_holds(database: Database) -> None:
    ids = [f"doc-{n:04}" for n in range(BULK_DOCUMENTS + 20)]
    results = await database.bulk([{"_id": doc_id} for doc_id in ids])
    assert set(results) == set(ids)
    assert all(result.rev and result.error is None for result in results.values())
    found = await database.get_many([*ids, *ids, "missing"])
    assert list(found) == ids


async def test_bulk_tells_each_documents_fate_by_id(database: Database) -> None:
    rev = await database.put({"_id": "there"})
    await database.put({"_id": "there", "_rev": rev})
    results = await database.bulk([{"_id": "new"}, {"_id": "there", "_rev": rev}, {"_id": "other/new"}])
    assert (results["there"].rev, results["there"].error) == (None, "conflict")
    for doc_id in ("new", "other/new"):
        assert results[doc_id].error is None
        found = await database.get(doc_id)
        assert found is not None
        assert found["_rev"] == results[doc_id].rev


async def test_one_malformed_document_does_not_keep_the_others_of_its_batch_out(database: Database) -> None:
    docs: list[JsonObject] = [{"_id": f"doc-{n}"} for n in range(9)]
    docs[4]["_odd"] = True
    results = await database.bulk(docs)
    assert results["doc-4"] == BulkResult(None, "bad_request", "Bad special document member: _odd")
    assert [doc_id for doc_id, result in results.items() if result.rev is None] == ["doc-4"]
    assert len(await database.get_many(results)) == 8


async def test_a_document_too_large_does_not_keep_the_others_out(
    database: Database, couchdb_server: CouchServer
) -> None:
    results = await database.bulk([{"_id": "a"}, {"_id": "big", "text": "x" * 9_000_000}, {"_id": "b"}])
    assert results["a"].rev
    assert results["b"].rev
    if couchdb_server.kind == "couchdb":
        assert (results["big"].rev, results["big"].error) == (None, "too_large")
    else:  # PouchDB Server takes up to 4 GiB
        assert results["big"].rev


async def test_bulk_wants_each_id_once(database: Database) -> None:
    with pytest.raises(ValueError, match="same _id"):
        await database.bulk([{"_id": "a"}, {"_id": "a"}])
    assert await database.bulk([]) == {}


async def test_ids_between_pages_in_order(database: Database) -> None:
    docs: list[JsonObject] = [{"_id": f"delivery:{n}", "n": n} for n in range(5)]
    await database.bulk([*docs, {"_id": "e"}, {"_id": "a"}])
    found = await database.ids_between("delivery:", "delivery:\ufff0")
    assert [doc["n"] for doc in found] == [0, 1, 2, 3, 4]
    page = await database.ids_between("delivery:", "delivery:\ufff0", 2)
    assert [doc["n"] for doc in page] == [0, 1]
    page = await database.ids_between(f"{page[-1]['_id']}\0", "delivery:\ufff0", 2)
    assert [doc["n"] for doc in page] == [2, 3]
    assert [doc["_id"] for doc in await database.ids_between("delivery:3", "delivery:4")] == [
        "delivery:3",
        "delivery:4",
    ]
    stubs = await database.ids_between("delivery:0", "delivery:0", include_docs=False)
    assert stubs == [{"_id": "delivery:0", "_rev": found[0]["_rev"]}]


async def test_leaves_are_all_revisions_that_nothing_was_written_over(
    database: Database, couchdb_settings: CouchDBSettings, http: httpx.AsyncClient
) -> None:
    replicated: list[JsonObject] = [
        {"_id": "two", "_rev": "2-bb", "_revisions": {"start": 2, "ids": ["bb", "aa"]}, "n": 1},
        {"_id": "two", "_rev": "2-cc", "_revisions": {"start": 2, "ids": ["cc", "aa"]}, "n": 2},
        {"_id": "two", "_rev": "2-dd", "_revisions": {"start": 2, "ids": ["dd", "aa"]}, "_deleted": True},
        {"_id": "three/é", "_rev": "1-a", "n": 3},
        {"_id": "three/é", "_rev": "1-c", "n": 4},
        {"_id": "three/é", "_rev": "1-b", "n": 5},
        {"_id": "one", "_rev": "1-a", "n": 6},
        {"_id": "gone", "_rev": "1-a", "_deleted": True},
    ]
    body = {"new_edits": False, "docs": replicated}
    (await http.post(f"/{couchdb_settings.database}/_bulk_docs", json=body)).raise_for_status()
    found = await database.leaves(["one", "two", "three/é", "gone", "never", "two"])
    assert found == {
        "one": [{"_id": "one", "_rev": "1-a", "n": 6}],
        "two": [{"_id": "two", "_rev": "2-cc", "n": 2}, {"_id": "two", "_rev": "2-bb", "n": 1}],
        "three/é": [
            {"_id": "three/é", "_rev": "1-c", "n": 4},
            {"_id": "three/é", "_rev": "1-a", "n": 3},
            {"_id": "three/é", "_rev": "1-b", "n": 5},
        ],
    }
    assert await database.leaves([]) == {}


async def test_local_documents_are_written_over(database: Database, couchdb_settings: CouchDBSettings) -> None:
    assert await database.get_local("checkpoint/a b") is None
    await database.put_local("checkpoint/a b", {"seq": "1-x"})
    await database.put_local("checkpoint/a b", {"seq": "2-y", "_rev": "0-99"})
    found = await database.get_local("checkpoint/a b")
    assert found is not None
    assert found["seq"] == "2-y"
    async with Database(couchdb_settings) as other:
        await other.put_local("checkpoint/a b", {"seq": "3-z"})
    await database.put_local("checkpoint/a b", {"seq": "4-w"})
    found = await database.get_local("checkpoint/a b")
    assert found is not None
    assert found["seq"] == "4-w"
    assert await database.ids_between("", "\ufff0") == []


async def test_views_by_range_key_and_page(database: Database) -> None:
    await database.put(
        {"_id": "_design/test", "views": {"by_n": {"map": "function (doc) { emit([doc.kind, doc.n], doc.n * 2); }"}}}
    )
    await database.bulk([{"_id": f"d{n}", "kind": "odd" if n % 2 else "even", "n": n} for n in range(6)])
    rows = await database.view("test", "by_n")
    assert [(row.id, row.key, row.value, row.document) for row in rows][:2] == [
        ("d0", ["even", 0], 0, None),
        ("d2", ["even", 2], 4, None),
    ]
    rows = await database.view("test", "by_n", start_key=["odd", 2], end_key=["odd", 5], include_docs=True)
    assert [row.document and row.document["n"] for row in rows] == [3, 5]
    rows = await database.view("test", "by_n", start_key=["odd"], end_key=["odd", {}], limit=1)
    assert [row.id for row in rows] == ["d1"]
    rows = await database.view("test", "by_n", keys=[["odd", 5], ["even", 0], ["odd", 99]])
    assert [row.id for row in rows] == ["d5", "d0"]


async def test_how_many_changes_lie_behind_a_seq(database: Database, couchdb_server: CouchServer) -> None:
    assert await database.changes_behind(0) == 0
    await database.bulk([{"_id": f"d{n}"} for n in range(7)])
    assert await database.changes_behind(0) == 7
    seq = (await database.info())["update_seq"]
    assert await database.changes_behind(seq) == 0
    rev = await database.put({"_id": "late"})
    assert await database.changes_behind(seq) == 1
    await database.put({"_id": "late", "_rev": rev})
    # PouchDB counts both writes: it can only subtract.
    assert await database.changes_behind(seq) == (1 if couchdb_server.kind == "couchdb" else 2)
    assert await database.changes_behind(None) is None
    if couchdb_server.kind == "couchdb":
        with pytest.raises(Refused, match="Malformed sequence"):
            await database.changes_behind("nonsense")
    else:  # PouchDB Server takes any text for a seq
        assert await database.changes_behind("nonsense") is None
        assert await database.changes_behind(99) == 0


async def test_a_view_that_is_not_there(database: Database) -> None:
    with pytest.raises(ViewMissing, match=r"lacks the index .*_design/none/_view/v: run `router setup`"):
        await database.view("none", "v")
    await database.put({"_id": "_design/some", "views": {"w": {"map": "function (doc) { emit(1); }"}}})
    with pytest.raises(ViewMissing):
        await database.view("some", "v")


async def test_a_missing_database_is_told_from_a_missing_document(couchdb_server: CouchServer) -> None:
    async with Database(couchdb_server.settings("test-never-made")) as database:
        for call in (database.info(), database.get("x"), database.put({"_id": "x"}), database.identity()):
            with pytest.raises(DatabaseMissing, match="no database 'test-never-made'"):
                await call
        with pytest.raises(DatabaseMissing):
            await database.view("some", "v")
        with pytest.raises(DatabaseMissing):
            await database.bulk([{"_id": "x"}])
        with pytest.raises(DatabaseMissing):
            await database.get_many(["x"])


async def test_a_database_is_made_once_and_its_identity_changes_when_made_again(
    database: Database, couchdb_settings: CouchDBSettings, couchdb_server: CouchServer, http: httpx.AsyncClient
) -> None:
    assert await database.create_database() is False
    first = await database.identity()
    assert await database.identity() == first
    (await http.delete(f"/{couchdb_settings.database}")).raise_for_status()
    if couchdb_server.kind == "couchdb":
        await asyncio.sleep(1.1)  # CouchDB's instance_start_time is in whole seconds
    assert await database.create_database() is True
    assert await database.identity() != first


async def test_a_database_name_with_a_slash_and_a_plus(couchdb_server: CouchServer, http: httpx.AsyncClient) -> None:
    name = "test/slash+plus"
    async with Database(couchdb_server.settings(name)) as database:
        try:
            assert await database.create_database() is True
            assert await database.create_database() is False
            rev = await database.put({"_id": "a/b"})
            assert await database.get("a/b") == {"_id": "a/b", "_rev": rev}
            assert (await database.info())["doc_count"] == 1
        finally:
            (await http.delete(f"/{quote(name, safe='')}")).raise_for_status()


async def test_security_is_read_and_written(database: Database) -> None:
    await database.put_security({"admins": {"names": ["x"], "roles": []}, "members": {"names": [], "roles": ["y"]}})
    security = await database.get_security()
    assert security["admins"] == {"names": ["x"], "roles": []}
    assert security["members"] == {"names": [], "roles": ["y"]}


async def test_whom_the_server_takes_us_for(database: Database, couchdb_server: CouchServer) -> None:
    user = await database.user()
    assert user.name == couchdb_server.admin
    assert user.is_server_admin
    assert "version" in await database.server_info()


async def test_a_wrong_password_is_told_without_showing_it(couchdb_server: CouchServer) -> None:
    # A name of its own: CouchDB locks an account out after five wrong passwords, and this may be somebody's server.
    name = f"test-{secrets.token_hex(4)}"
    settings = couchdb_server.settings("test-any", name, "not-the-password")
    async with Database(settings) as database:
        for call in (database.user(), database.get("x"), database.create_database()):
            with pytest.raises(LoginRefused, match=f"refuses the login of '{name}'") as caught:
                await call
            assert "not-the-password" not in str(caught.value)
            assert "ROUTER_COUCHDB__PASSWORD" in str(caught.value)


async def test_no_login_at_all(database: Database, couchdb_settings: CouchDBSettings) -> None:
    settings = couchdb_settings.model_copy(update={"username": None, "password": None})
    async with Database(settings) as nobody:
        with pytest.raises(LoginRefused, match="wants a login"):
            await nobody.get("x")
        async with nobody.sibling("test-not-to-be-made") as other:
            with pytest.raises(LoginRefused, match="set ROUTER_COUCHDB__USERNAME"):
                await other.create_database()


async def test_credentials_inside_the_address_work_and_are_never_shown(
    couchdb_server: CouchServer, couchdb_settings: CouchDBSettings
) -> None:
    password = quote(couchdb_server.password, safe="")
    url = couchdb_server.url.replace("http://", f"http://{couchdb_server.admin}:{password}@") + "/"
    settings = CouchDBSettings(url=url, database=couchdb_settings.database)
    async with Database(settings) as database:
        assert (await database.user()).is_server_admin
        async with database.sibling("test-never-made") as other:
            with pytest.raises(DatabaseMissing) as caught:
                await other.info()
        assert couchdb_server.password not in str(caught.value)
        assert couchdb_server.password not in repr(database.session.login)


async def test_nothing_works_before_open_and_after_close(couchdb_settings: CouchDBSettings) -> None:
    database = Database(couchdb_settings)
    with pytest.raises(RuntimeError, match="not open"):
        await database.info()
    async with database:
        await database.info()
    await database.close()
    with pytest.raises(RuntimeError, match="not open"):
        await database.info()


async def test_a_server_killed_and_started_again_keeps_documents_and_identity(
    restartable_couchdb: RestartableCouchDB,
) -> None:
    async with Database(restartable_couchdb.settings) as database:
        identity = await database.identity()
        revs = {f"doc-{n}": await database.put({"_id": f"doc-{n}"}) for n in range(20)}
        await database.put_local("checkpoint", {"seq": 20})
        restartable_couchdb.kill()
        with pytest.raises(Unreachable, match="no connection"):
            await database.get("doc-0")
        restartable_couchdb.start()
        assert {doc_id: doc["_rev"] for doc_id, doc in (await database.get_many(revs)).items()} == revs
        local = await database.get_local("checkpoint")
        assert local is not None
        assert local["seq"] == 20
        assert await database.identity() == identity
