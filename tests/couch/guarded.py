"""A database that `router setup` has been at, and users of each kind, for the tests of what CouchDB lets whom write."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import httpx
from pydantic import SecretStr

from router.couch.database import Database
from router.couch.design import ROLES
from router.couch.setup import NewUser, make_users, setup
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.servers.couchdb import HEADERS, REQUEST_TIMEOUT_SECONDS, CouchServer

MAPPING_ID = "ccs.notifications"
PASSWORD = "correct-horse"

Who = Literal["server admin", "database admin", "app", "admin", "router", "outsider", "nobody"]


@dataclass(frozen=True, slots=True)
class Guarded:
    """The database, and how to write to it as somebody."""

    server: CouchServer
    name: str
    users: dict[Who, str]

    def settings(self, who: Who) -> CouchDBSettings:
        """Settings to log in as `who`."""
        if who == "nobody":
            return CouchDBSettings(url=self.server.url, database=self.name)
        if who == "server admin":
            return self.server.settings(self.name)
        return self.server.settings(self.name, self.users[who], PASSWORD)

    def put(self, doc: JsonObject, who: Who = "app", expect_error: bool = False) -> str:
        """Write `doc` by plain HTTP; the new revision, or CouchDB's reason when it is refused."""
        with httpx.Client(base_url=self.server.url, headers=HEADERS, timeout=REQUEST_TIMEOUT_SECONDS) as http:
            settings = self.settings(who)
            if settings.username is not None and settings.password is not None:
                http.auth = httpx.BasicAuth(settings.username, settings.password.get_secret_value())
            answer = http.post(f"/{self.name}", json=doc)
        if answer.status_code in (201, 202):
            assert not expect_error, f"{doc} was taken"
            return str(answer.json()["rev"])
        assert answer.status_code in (401, 403), answer.text
        return f"{answer.json()['reason']}"


@contextmanager
def guarded_database(server: CouchServer) -> Iterator[Guarded]:
    """Make such a database and users, and remove both in the end."""
    mark = secrets.token_hex(4)
    users: dict[Who, str] = {
        "app": f"app-{mark}",
        "admin": f"admin-{mark}",
        "router": f"router-{mark}",
        "database admin": f"owner-{mark}",
        "outsider": f"outsider-{mark}",
    }
    roles: dict[Who, tuple[str, ...]] = {"app": (ROLES.app,), "admin": (ROLES.admin,), "router": (ROLES.router,)}
    new = [NewUser(name, SecretStr(PASSWORD), roles.get(who, ())) for who, name in users.items()]

    async def prepare(name: str) -> None:
        async with Database(server.settings(name)) as database:
            await setup(database, MAPPING_ID)
            await make_users(database, new)
            security = await database.get_security()
            security["admins"] = {"names": [users["database admin"]], "roles": ["_admin"]}
            await database.put_security(security)

    with server.fresh_database() as name:
        try:
            asyncio.run(prepare(name))
            yield Guarded(server, name, users)
        finally:
            with server.http() as http:
                for user in users.values():
                    path = f"/_users/org.couchdb.user:{user}"
                    found = http.get(path)
                    if found.status_code == 200:
                        http.delete(path, params={"rev": found.json()["_rev"]}).raise_for_status()
