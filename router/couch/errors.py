"""What can go wrong with CouchDB, each kind with one sentence for people, and the table that tells the kinds apart."""

from collections.abc import Callable
from dataclasses import dataclass

MAX_REASON_CHARS = 300
LOCKED_OUT = "Account is temporarily locked"
"""How the reason begins that CouchDB 3.4 gives with 403, even to the right password, after five wrong ones."""
DATABASE_MISSING = ("Database does not exist.", "no_db_file")
"""The reasons that CouchDB and PouchDB give with 404 when it is the whole database that is missing."""


class CouchError(Exception):
    """Something went wrong with CouchDB. The text is one sentence: what, where, and what to do. It holds no secret."""

    def __init__(self, text: str, *, status: int | None = None, reason: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        """The HTTP status of the answer; None when there was no answer."""
        self.reason = reason
        """What the server gave as the reason, shortened; None when it gave none."""


class BadAddress(CouchError):
    """`ROUTER_COUCHDB__URL` is no address of a server."""


class Unreachable(CouchError):
    """No answer: no connection, an unknown host, TLS trouble, a timeout. The request may or may not have been done."""


class LoginRefused(CouchError):
    """The server wants a login, or another one (401)."""


class Forbidden(CouchError):
    """The login is good, but that user may not do this (403)."""


class DatabaseMissing(CouchError):
    """The server has no such database (404)."""


class ViewMissing(CouchError):
    """The database has no such view (404): its design document is not installed, or is an old one."""


class Conflict(CouchError):
    """The document has another revision than the one written over (409)."""


class Refused(CouchError):
    """Refused for what it says: by a validation function (403), as malformed (400) or as too large (413)."""


class ServerFault(CouchError):
    """The server failed (5xx), or what answered does not speak as CouchDB does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no success, and the request that it answers."""

    server: str
    """The server's address, without credentials."""
    user: str | None
    """Whom the request was made as."""
    method: str
    path: str
    """The path as a person would write it, `/notifications/order-42`."""
    database: str
    """The database that the request was about: the first part of the path."""
    status: int
    reason: str | None = None
    """`reason` of CouchDB's JSON body; None when the body was none of CouchDB's."""

    @property
    def request(self) -> str:
        """The request in two words, `PUT /notifications/order-42`."""
        return f"{self.method} {self.path}"

    @property
    def said(self) -> str:
        """The server's reason in brackets, with a space before; empty when it gave none."""
        return f" ({self.reason})" if self.reason else ""


def _login_refused(answer: Answer) -> tuple[type[CouchError], str]:
    # PouchDB says 401 to a user it knows who lacks a role (CouchDB 403); the reason tells that from a bad password.
    if answer.user is not None and (answer.reason or "").startswith("You are not"):
        return _forbidden(answer)
    if answer.user is None:
        return LoginRefused, (
            f"CouchDB at {answer.server} wants a login for {answer.request}{answer.said}: "
            "set ROUTER_COUCHDB__USERNAME and ROUTER_COUCHDB__PASSWORD"
        )
    return LoginRefused, (
        f"CouchDB at {answer.server} refuses the login of {answer.user!r}{answer.said}: "
        "check ROUTER_COUCHDB__USERNAME and ROUTER_COUCHDB__PASSWORD"
    )


def _forbidden(answer: Answer) -> tuple[type[CouchError], str]:
    if (answer.reason or "").startswith(LOCKED_OUT):
        return _login_refused(answer)
    # A validation function speaks with 403 as well. CouchDB's own refusals, and the role checks of our own validation
    # function, begin with "You are not"; all else is about what the document says.
    if answer.method in ("PUT", "POST") and not (answer.reason or "You are not").startswith("You are not"):
        return _refused(answer)
    lets = "lets nobody without a login" if answer.user is None else f"does not let {answer.user!r}"
    return Forbidden, (
        f"CouchDB at {answer.server} {lets} do {answer.request}{answer.said}: "
        "give that user the role it needs with `router setup`, or set ROUTER_COUCHDB__USERNAME to another one"
    )


def _not_found(answer: Answer) -> tuple[type[CouchError], str]:
    if "/_view/" in answer.path and answer.reason not in (None, *DATABASE_MISSING):
        return ViewMissing, (
            f"Database {answer.database!r} of CouchDB at {answer.server} lacks the index {answer.path}: "
            "run `router setup`"
        )
    return DatabaseMissing, (
        f"CouchDB at {answer.server} has no database {answer.database!r}{answer.said}: "
        "run `router setup`, or check ROUTER_COUCHDB__URL and ROUTER_COUCHDB__DATABASE"
    )


def _conflict(answer: Answer) -> tuple[type[CouchError], str]:
    return Conflict, (
        f"CouchDB at {answer.server} has another revision of {answer.path}: read the document again and write over that"
    )


def _refused(answer: Answer) -> tuple[type[CouchError], str]:
    return Refused, f"CouchDB at {answer.server} refuses {answer.request}: {answer.reason or f'status {answer.status}'}"


def _server_fault(answer: Answer) -> tuple[type[CouchError], str]:
    return ServerFault, (
        f"CouchDB at {answer.server} failed at {answer.request} with status {answer.status}{answer.said}: "
        "see the server's log"
    )


def _not_couchdb(answer: Answer) -> tuple[type[CouchError], str]:
    return ServerFault, (
        f"What answers at {answer.server} does not speak as CouchDB does "
        f"(status {answer.status} for {answer.request}): check ROUTER_COUCHDB__URL"
    )


BY_STATUS: dict[int, Callable[[Answer], tuple[type[CouchError], str]]] = {
    400: _refused,
    401: _login_refused,
    403: _forbidden,
    404: _not_found,
    409: _conflict,
    412: _refused,
    413: _refused,
    415: _refused,
    417: _refused,
    429: _server_fault,
}
"""Status to error, after https://docs.couchdb.org/en/stable/api/basics.html#http-status-codes. From 500 on: faults."""


def error_of(answer: Answer) -> CouchError:
    """The error that `answer` stands for."""
    kind = BY_STATUS.get(answer.status, _server_fault if answer.status >= 500 else _not_couchdb)
    error, text = kind(answer)
    return error(text, status=answer.status, reason=answer.reason)


def shortened(reason: object) -> str | None:
    """A server's `reason` as one line of at most `MAX_REASON_CHARS` characters; None when it is no text."""
    if not isinstance(reason, str):
        return None
    line = " ".join(reason.split())
    return line if len(line) <= MAX_REASON_CHARS else line[: MAX_REASON_CHARS - 1] + "…"
