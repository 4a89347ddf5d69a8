"""`router setup` from outside: what it makes, that it can run again, and what it says to a user who may not."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from pydantic import SecretStr

from router.couch.database import Database
from router.couch.design import DESIGN_ID, INBOX_ID, REPORTS_ID, ROLES, design_documents
from router.couch.errors import Unreachable
from router.couch.setup import NewUser, SetupError, SetupReport, make_users, setup
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.couch.guarded import MAPPING_ID, PASSWORD, Guarded, Who, guarded_database
from tests.servers.couchdb import CouchServer


@pytest.fixture(scope="module")
def guarded(couchdb_server: CouchServer) -> Iterator[Guarded]:
    with guarded_database(couchdb_server) as guarded:
        yield guarded


@pytest.fixture
async def http(couchdb_server: CouchServer) -> AsyncIterator[httpx.AsyncClient]:
    async with couchdb_server.async_http() as client:
        yield client


async def test_it_makes_the_database_and_the_design_documents(
    database: Database, couchdb_settings: CouchDBSettings, http: httpx.AsyncClient
) -> None:
    (await http.delete(f"/{couchdb_settings.database}")).raise_for_status()
    assert await setup(database, MAPPING_ID) == SetupReport(True, (DESIGN_ID, INBOX_ID, REPORTS_ID), ())
    for wanted in design_documents(MAPPING_ID):
        design_id = str(wanted["_id"])
        found = (await http.get(f"/{couchdb_settings.database}/{design_id}")).json()
        assert found.pop("_rev").startswith("1-")
        assert found == wanted


async def test_again_it_changes_nothing(database: Database) -> None:
    await setup(database, MAPPING_ID)
    before = await database.get(DESIGN_ID)
    assert await setup(database, MAPPING_ID) == SetupReport(False, (), ())
    assert await database.get(DESIGN_ID) == before


@pytest.mark.parametrize("design_id", [DESIGN_ID, INBOX_ID, REPORTS_ID])
async def test_an_older_design_document_is_replaced(database: Database, design_id: str) -> None:
    await setup(database, MAPPING_ID)
    present = await database.get(design_id)
    assert present is not None
    await database.put({"_id": design_id, "_rev": present["_rev"], "views": {}, "content_hash": "old"})
    assert (await setup(database, MAPPING_ID)).written == (design_id,)
    found = await database.get(design_id)
    assert found is not None
    assert found["content_hash"] == present["content_hash"]
    assert (await setup(database, "another")).written == (DESIGN_ID,)


async def test_several_at_once_agree(database: Database) -> None:
    reports = await asyncio.gather(*(setup(database, MAPPING_ID) for _ in range(5)))
    assert sorted(design_id for report in reports for design_id in report.written) == [DESIGN_ID, INBOX_ID, REPORTS_ID]


async def test_the_router_itself_may_run_it_where_all_is_there(guarded: Guarded) -> None:
    async with Database(guarded.settings("router")) as database:
        assert await setup(database, MAPPING_ID) == SetupReport(False, (), ())


async def test_a_user_without_the_role_is_warned(guarded: Guarded) -> None:
    async with Database(guarded.settings("app")) as database:
        (warning,) = (await setup(database, MAPPING_ID)).warnings
    assert warning == (
        f"User {guarded.users['app']!r} lacks the role notification-router, so CouchDB will refuse its delivery "
        "documents: make such a user with `router setup`"
    )


async def test_the_router_is_told_when_the_database_is_missing(guarded: Guarded) -> None:
    async with Database(guarded.settings("router")).sibling("test-never-made") as database:
        with pytest.raises(SetupError) as caught:
            await setup(database, MAPPING_ID)
    assert str(caught.value) == (
        f"CouchDB has no database 'test-never-made', and user {guarded.users['router']!r} may not make it: "
        "run `router setup` with the name and password of a server admin in "
        "ROUTER_COUCHDB__USERNAME and ROUTER_COUCHDB__PASSWORD"
    )
    assert PASSWORD not in str(caught.value)


async def test_nobody_is_told_when_the_database_is_missing(couchdb_server: CouchServer) -> None:
    async with Database(CouchDBSettings(url=couchdb_server.url, database="test-never-made")) as database:
        with pytest.raises(SetupError, match="without a login nobody may make it: run `router setup`"):
            await setup(database, MAPPING_ID)


async def test_the_router_is_told_when_the_design_document_is_missing_or_another(guarded: Guarded) -> None:
    async with (
        Database(guarded.settings("router")) as router,
        Database(guarded.settings("server admin")) as admin,
    ):
        with pytest.raises(SetupError, match="has another version of _design/router, and user 'router-"):
            await setup(router, "another")
        present = await admin.get(DESIGN_ID)
        assert present is not None
        await admin.put({"_id": DESIGN_ID, "_rev": present["_rev"], "_deleted": True})
        with pytest.raises(SetupError, match="lacks _design/router, and user 'router-"):
            await setup(router, MAPPING_ID)
        await setup(admin, MAPPING_ID)
        await setup(router, MAPPING_ID)


async def test_no_couchdb_is_no_matter_of_setup(unused_port: int) -> None:
    async with Database(CouchDBSettings(url=f"http://127.0.0.1:{unused_port}")) as database:
        with pytest.raises(Unreachable):
            await setup(database, MAPPING_ID)


async def test_users_are_made_and_can_log_in(guarded: Guarded) -> None:
    roles: dict[Who, str] = {"app": ROLES.app, "admin": ROLES.admin, "router": ROLES.router}
    for who, role in roles.items():
        async with Database(guarded.settings(who)) as database:
            user = await database.user()
            assert (user.name, user.roles) == (guarded.users[who], (role,))
            assert not user.is_server_admin
            assert (await database.info())["doc_count"]


async def test_users_that_are_there_keep_their_roles_and_get_the_new_password(
    guarded: Guarded, http: httpx.AsyncClient
) -> None:
    name = guarded.users["outsider"]
    path = f"/_users/org.couchdb.user:{name}"
    before = (await http.get(path)).json()
    (await http.put(path, json={**before, "roles": ["auditor"]})).raise_for_status()
    async with Database(guarded.settings("server admin")) as admin:
        report = await make_users(admin, [NewUser(name, SecretStr("another-one"), (ROLES.app, "auditor"))])
        assert (report.created, report.updated, report.security_changed) == ((), (name,), False)
    async with Database(guarded.server.settings(guarded.name, name, "another-one")) as database:
        assert sorted((await database.user()).roles) == sorted(["auditor", ROLES.app])
    after = (await http.get(path)).json()
    assert "another-one" not in str(after)
    async with Database(guarded.settings("server admin")) as admin:
        await make_users(admin, [NewUser(name, SecretStr(PASSWORD), ())])
    after = (await http.get(path)).json()
    (await http.put(path, json={**after, "roles": []})).raise_for_status()


async def test_a_password_only_for_new_users_leaves_those_that_are_there_their_own(
    guarded: Guarded, http: httpx.AsyncClient
) -> None:
    there, new = guarded.users["outsider"], f"{guarded.users['outsider']}-new"
    made_up = [NewUser(name, SecretStr("made-up"), ("auditor",), only_if_new=True) for name in (there, new)]
    async with Database(guarded.settings("server admin")) as admin:
        report = await make_users(admin, made_up)
        assert (report.created, report.updated) == ((new,), (there,))
        # Again, when the roles are there already.
        assert (await make_users(admin, made_up)).created == ()
    for name, password in ((there, PASSWORD), (new, "made-up")):
        async with Database(guarded.server.settings(guarded.name, name, password)) as database:
            assert (await database.user()).roles == ("auditor",)
    path = f"/_users/org.couchdb.user:{there}"
    (await http.put(path, json={**(await http.get(path)).json(), "roles": []})).raise_for_status()
    path = f"/_users/org.couchdb.user:{new}"
    (await http.delete(path, params={"rev": (await http.get(path)).json()["_rev"]})).raise_for_status()


async def test_security_is_added_to_and_nothing_is_taken_away(database: Database) -> None:
    present: JsonObject = {
        "admins": {"names": ["jan"], "roles": ["_admin", "ops"]},
        "members": {"names": ["bob"], "roles": ["auditor", ROLES.app]},
        "cloudant": {"kept": True},
    }
    await database.put_security(present)
    assert (await make_users(database, [])).security_changed
    found = await database.get_security()
    assert found["admins"] == present["admins"]
    assert found["members"] == {"names": ["bob"], "roles": ["auditor", ROLES.app, ROLES.admin, ROLES.router]}
    assert found["cloudant"] == {"kept": True}
    assert not (await make_users(database, [])).security_changed


async def test_making_users_needs_a_server_admin(guarded: Guarded) -> None:
    async with Database(guarded.settings("app")) as database:
        with pytest.raises(SetupError, match=r"takes a server admin, and user 'app-.*' may not do it") as caught:
            await make_users(database, [NewUser("eve", SecretStr("x-secret"), (ROLES.router,))])
    assert "x-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a:b"])
async def test_a_user_name_that_couchdb_cannot_log_in(database: Database, name: str) -> None:
    with pytest.raises(ValueError, match="without a colon"):
        await make_users(database, [NewUser(name, SecretStr("x"), ())])
