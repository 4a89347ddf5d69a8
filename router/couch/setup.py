"""`router setup`: the database, its design documents, users and who may do what. Harmless to run again."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from router.couch.answers import User, object_of
from router.couch.database import Database
from router.couch.design import CATALOGUE_ID, ROLES, Roles, design_documents
from router.couch.errors import Conflict, CouchError, DatabaseMissing, Forbidden, LoginRefused
from router.documents.json_types import JsonObject, JsonValue

WRITE_ATTEMPTS = 5
"""Times that something is written again when somebody else wrote it meanwhile."""

_AS_ADMIN = (
    "run `router setup` with the name and password of a server admin in "
    "ROUTER_COUCHDB__USERNAME and ROUTER_COUCHDB__PASSWORD"
)


class SetupError(CouchError):
    """Something is missing that this user may not make; the text says what an admin has to do."""


@dataclass(frozen=True, slots=True)
class SetupReport:
    """What `setup` did and found."""

    created_database: bool
    written: tuple[str, ...]
    """The design documents that were not there, or not as they should be."""
    warnings: tuple[str, ...]
    """What an admin should mend, a sentence each."""


@dataclass(frozen=True, slots=True)
class NewUser:
    """A CouchDB user to be made."""

    name: str
    password: SecretStr
    roles: tuple[str, ...]
    only_if_new: bool = False
    """Whether the password is for a user to be made; one that is there keeps its own then."""


@dataclass(frozen=True, slots=True)
class UsersReport:
    """What `make_users` did."""

    created: tuple[str, ...]
    updated: tuple[str, ...]
    """Users that were there: they have the roles beside those they had, and the new password unless it is `only_if_new`."""
    security_changed: bool


async def setup(
    database: Database, mapping_id: str, catalogue_id: str = CATALOGUE_ID, roles: Roles = ROLES
) -> SetupReport:
    """Make the database if it is missing, and write each design document that is not there as it should be.

    A user who may do neither is no trouble as long as nothing is to be done. Raises SetupError when something is, and any
    other CouchError.
    """
    created = False
    try:
        await database.info()
    except DatabaseMissing:
        try:
            created = await database.create_database()
        except (Forbidden, LoginRefused) as error:
            raise SetupError(
                f"CouchDB has no database {database.name!r}, and {_who(database)} make it: {_AS_ADMIN}",
                status=error.status,
                reason=error.reason,
            ) from error
    wanted = {str(document["_id"]): document for document in design_documents(mapping_id, catalogue_id, roles)}
    present = await database.get_many(wanted)
    written = [design_id for design_id in wanted if await _install(database, wanted[design_id], present.get(design_id))]
    return SetupReport(
        created, tuple(written), tuple(_warnings(await database.user(), await database.get_security(), roles))
    )


async def _install(database: Database, wanted: JsonObject, present: JsonObject | None) -> bool:
    """Write the design document `wanted` unless it is `present` already; whether it had to be written."""
    design_id = str(wanted["_id"])
    attempts = 0
    while True:
        attempts += 1
        if present is not None and {name: value for name, value in present.items() if name != "_rev"} == wanted:
            return False
        try:
            await database.put(wanted if present is None else {**wanted, "_rev": present["_rev"]})
        except Conflict:
            if attempts == WRITE_ATTEMPTS:
                raise
            present = await database.get(design_id)
        except (Forbidden, LoginRefused) as error:
            state = "lacks" if present is None else "has another version of"
            raise SetupError(
                f"Database {database.name!r} {state} {design_id}, and {_who(database)} write it: {_AS_ADMIN}",
                status=error.status,
                reason=error.reason,
            ) from error
        else:
            return True


def _warnings(user: User, security: JsonObject, roles: Roles) -> list[str]:
    members, admins = _names_and_roles(security, "members"), _names_and_roles(security, "admins")
    if not members and not admins:
        return [
            "Everybody who reaches CouchDB may write delivery documents, since the database has no members: "
            "make users with `router setup`"
        ]
    if not user.is_server_admin and roles.router not in user.roles:
        return [
            f"User {user.name!r} lacks the role {roles.router}, so CouchDB will refuse its delivery documents: "
            "make such a user with `router setup`"
        ]
    return []


def _names_and_roles(security: JsonObject, section: str) -> list[JsonValue]:
    names_and_roles: list[JsonValue] = []
    for key in ("names", "roles"):
        values = object_of(security.get(section)).get(key)
        names_and_roles += values if isinstance(values, list) else []
    return names_and_roles


async def make_users(database: Database, users: Sequence[NewUser], roles: Roles = ROLES) -> UsersReport:
    """Make users, or give those that are there the roles and maybe the password, and let the three roles into the database.

    Nothing that is there is taken away: users keep their other roles, the database its admins and its other members.
    Raises SetupError when we are no server admin, DatabaseMissing, and ValueError for a name that nobody could log in with.
    """
    for user in users:
        if not user.name or ":" in user.name:
            raise ValueError(f"a CouchDB user's name must be a text without a colon, not {user.name!r}")
    if not (await database.user()).is_server_admin:
        raise SetupError(f"To make CouchDB users takes a server admin, and {_who(database)} do it: {_AS_ADMIN}")
    created: list[str] = []
    updated: list[str] = []
    async with database.sibling("_users") as people:
        for user in users:
            (created if await _make_user(people, user) else updated).append(user.name)
    return UsersReport(tuple(created), tuple(updated), await _let_in(database, roles))


async def _make_user(people: Database, user: NewUser) -> bool:
    """Make one user; False when it was there and was changed."""
    user_id = f"org.couchdb.user:{user.name}"
    attempts = 0
    while True:
        attempts += 1
        try:
            present = await people.get(user_id)
        except DatabaseMissing:
            # A CouchDB whose cluster setup was left out.
            await people.create_database()
            present = None
        before = (present or {}).get("roles")
        document: JsonObject = {
            **(present or {}),
            "_id": user_id,
            "type": "user",
            "name": user.name,
            "roles": _merged(before, user.roles),
        }
        if present is None or not user.only_if_new:
            document["password"] = user.password.get_secret_value()
        if document == present:
            return False
        try:
            await people.put(document)
        except Conflict:
            if attempts == WRITE_ATTEMPTS:
                raise
        else:
            return present is None


async def _let_in(database: Database, roles: Roles) -> bool:
    """See that the three roles are members of the database; whether that had to be written."""
    security = await database.get_security()
    members = object_of(security.get("members"))
    merged = _merged(members.get("roles"), roles.all)
    if merged == members.get("roles"):
        return False
    await database.put_security({**security, "members": {**members, "roles": merged}})
    return True


def _merged(present: JsonValue, more: Sequence[str]) -> list[JsonValue]:
    there: list[JsonValue] = list(present) if isinstance(present, list) else []
    return there + [item for item in dict.fromkeys(more) if item not in there]


def _who(database: Database) -> str:
    user = database.session.login.user
    return "without a login nobody may" if user is None else f"user {user!r} may not"
