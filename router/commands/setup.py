"""`router setup`: prepares the database, and makes users if asked to."""

import secrets
import sys
from collections.abc import Sequence
from getpass import getpass

from pydantic import SecretStr

from router.commands.output import BadArgument, Exit, print_json, say
from router.couch.database import Database
from router.couch.design import CATALOGUE_ID, ROLES
from router.couch.setup import NewUser, UsersReport, make_users, setup

ROLE_OF = {"app": ROLES.app, "admin": ROLES.admin, "router": ROLES.router}
"""What may stand before the `=` of `--user`, and the CouchDB role that it means."""

GENERATED_BYTES = 18
"""Random bytes in a password that is made up."""


async def setup_command(
    database: Database,
    mapping_id: str,
    users: Sequence[str],
    *,
    catalogue_id: str = CATALOGUE_ID,
    password_stdin: bool = False,
    as_json: bool,
) -> Exit:
    """Prepare the database and make `users` (`role=name`). Raises BadArgument and any CouchError.

    With `password_stdin`, each user's password is a line of standard input, in the order of `users`. A user who is there
    and is given no password keeps the one it has.
    """
    wanted = [read_user(text) for text in users]
    given = read_passwords([name for _, name in wanted]) if password_stdin else {}
    report = await setup(database, mapping_id, catalogue_id)
    new: list[NewUser] = []
    made_up: dict[str, str] = {}
    for role, name in wanted:
        password = given.get(name) or _ask_password(name)
        if password is None:
            made_up[name] = secrets.token_urlsafe(GENERATED_BYTES)
        new.append(NewUser(name, SecretStr(password or made_up[name]), (ROLE_OF[role],), only_if_new=password is None))
    made = await make_users(database, new) if new else UsersReport((), (), security_changed=False)
    shown = {name: password for name, password in made_up.items() if name in made.created}
    kept = [name for name in made_up if name not in made.created]
    # A database that got members just now is no longer open to everybody.
    warnings = (await setup(database, mapping_id, catalogue_id)).warnings if new else report.warnings
    if as_json:
        print_json(
            {
                "created_database": report.created_database,
                "written": list(report.written),
                "users_created": list(made.created),
                "users_updated": list(made.updated),
                "passwords": dict(shown),
                "passwords_kept": list(kept),
                "warnings": list(warnings),
            }
        )
        return Exit.OK
    say(f"database {database.name}: {'created' if report.created_database else 'there'}")
    say(f"design documents: {', '.join(report.written) + ' written' if report.written else 'current'}")
    for name in dict.fromkeys((*made.created, *made.updated)):
        said = f", password {shown[name]} (shown this once)" if name in shown else ""
        said = ", kept its password" if name in kept else said
        say(f"user {name}: {'made' if name in made.created else 'there, has the role'}{said}")
    for warning in warnings:
        say(f"warning: {warning}")
    return Exit.OK


def read_user(text: str) -> tuple[str, str]:
    """`app=orders` as a role and a name. Raises BadArgument."""
    role, equals, name = text.partition("=")
    if role not in ROLE_OF or not equals or not name or ":" in name:
        raise BadArgument(f"--user wants app=NAME, admin=NAME or router=NAME, not {text!r}")
    return role, name


def read_passwords(names: Sequence[str]) -> dict[str, str]:
    """The password of each user, a line of standard input each. Raises BadArgument when a line is missing or empty."""
    passwords = {}
    for name in names:
        passwords[name] = sys.stdin.readline().rstrip("\r\n")
        if not passwords[name]:
            raise BadArgument(
                f"--password-stdin wants a line of standard input for each --user; none is left for {name}"
            )
    return passwords


def _ask_password(name: str) -> str | None:
    """The password that somebody types; None when nobody does."""
    if not sys.stdin.isatty():
        return None
    return getpass(f"Password for {name} (empty: keep the one it has, or for a new user make one up): ") or None
