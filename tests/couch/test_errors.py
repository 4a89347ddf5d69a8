"""Which answer is which error, a row for each, and what its sentence says."""

import pytest

from router.couch.errors import (
    MAX_REASON_CHARS,
    Answer,
    Conflict,
    CouchError,
    DatabaseMissing,
    Forbidden,
    LoginRefused,
    Refused,
    ServerFault,
    ViewMissing,
    error_of,
    shortened,
)

DOC = "/notifications/doc"
VIEW = "/notifications/_design/router/_view/unfinished"
NOT_DB_ADMIN = "You are not a db or server admin."
NO_MEMBER = "You are not allowed to access this db."
LOCKED = "Account is temporarily locked due to multiple authentication failures"
NO_LOGIN = "You are not authorized to access this db."
OWN_ROLE_CHECK = "You are not allowed to write delivery:x: that is for the role notification-router and server admins"


@pytest.mark.parametrize(
    ("status", "method", "path", "reason", "user", "error", "says"),
    [
        (
            400,
            "PUT",
            DOC,
            "Bad special document member: _x",
            "me",
            Refused,
            "refuses PUT /notifications/doc: Bad special",
        ),
        (400, "GET", "/Bad", "Name: 'Bad'. Only lowercase", "me", Refused, "Only lowercase"),
        (401, "GET", DOC, "Name or password is incorrect.", "me", LoginRefused, "refuses the login of 'me'"),
        (401, "GET", DOC, None, "me", LoginRefused, "check ROUTER_COUCHDB__USERNAME and ROUTER_COUCHDB__PASSWORD"),
        (401, "GET", DOC, NO_LOGIN, None, LoginRefused, "set ROUTER_COUCHDB__USERNAME and ROUTER_COUCHDB__PASSWORD"),
        (
            401,
            "PUT",
            "/notifications",
            "You are not a server admin.",
            "me",
            Forbidden,
            "does not let 'me' do PUT /notif",
        ),
        (401, "GET", DOC, NO_LOGIN, "me", Forbidden, "router setup"),
        (403, "PUT", DOC, LOCKED, "me", LoginRefused, "refuses the login of 'me' (Account is temporarily locked"),
        (403, "GET", DOC, NO_MEMBER, "me", Forbidden, NO_MEMBER),
        (403, "PUT", "/notifications/_design/x", NOT_DB_ADMIN, "me", Forbidden, NOT_DB_ADMIN),
        (403, "PUT", "/notifications/delivery:x", OWN_ROLE_CHECK, "me", Forbidden, "the role notification-router"),
        (403, "PUT", DOC, None, "me", Forbidden, "does not let 'me'"),
        (403, "GET", DOC, "mysterious", None, Forbidden, "lets nobody without a login do"),
        (403, "PUT", DOC, "content.to: is odd", "me", Refused, "refuses PUT /notifications/doc: content.to: is odd"),
        (403, "POST", DOC, "content.to: is odd", None, Refused, "content.to: is odd"),
        (
            404,
            "GET",
            "/notifications",
            "Database does not exist.",
            "me",
            DatabaseMissing,
            "no database 'notifications'",
        ),
        (404, "GET", "/notifications", "no_db_file", "me", DatabaseMissing, "check ROUTER_COUCHDB__URL"),
        (404, "GET", "/notifications", None, "me", DatabaseMissing, "ROUTER_COUCHDB__DATABASE"),
        (404, "GET", VIEW, "missing", "me", ViewMissing, "run `router setup`"),
        (404, "GET", VIEW, "missing_named_view", "me", ViewMissing, f"lacks the index {VIEW}"),
        (404, "GET", VIEW, "ddoc _design/x has no view named y", "me", ViewMissing, "lacks the index"),
        (404, "GET", VIEW, "Database does not exist.", "me", DatabaseMissing, "no database 'notifications'"),
        (405, "PUT", DOC, "Only GET allowed", "me", ServerFault, "check ROUTER_COUCHDB__URL"),
        (301, "GET", DOC, None, "me", ServerFault, "does not speak as CouchDB does (status 301"),
        (409, "PUT", DOC, "Document update conflict.", "me", Conflict, "another revision of /notifications/doc"),
        (412, "PUT", "/notifications", "The database could not be created", "me", Refused, "could not be created"),
        (413, "PUT", DOC, "doc", "me", Refused, "refuses PUT"),
        (413, "PUT", DOC, None, "me", Refused, "status 413"),
        (415, "POST", DOC, "Content-Type must be application/json", "me", Refused, "Content-Type"),
        (417, "POST", DOC, None, "me", Refused, "status 417"),
        (429, "GET", DOC, "slow down", "me", ServerFault, "status 429"),
        (500, "GET", DOC, "badmatch", "me", ServerFault, "failed at GET /notifications/doc with status 500 (badmatch)"),
        (502, "GET", DOC, None, "me", ServerFault, "see the server's log"),
        (503, "GET", DOC, "no quorum", None, ServerFault, "(no quorum)"),
    ],
)
def test_each_answer_has_its_error(
    status: int, method: str, path: str, reason: str | None, user: str | None, error: type[CouchError], says: str
) -> None:
    found = error_of(
        Answer(
            server="http://couch:5984",
            user=user,
            method=method,
            path=path,
            database=path.split("/")[1],
            status=status,
            reason=reason,
        )
    )
    assert type(found) is error
    assert says in str(found)
    assert "http://couch:5984" in str(found)
    assert "\n" not in str(found)
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (None, None),
        (5, None),
        ({"a": 1}, None),
        ("two\n lines\t", "two lines"),
        ("x" * MAX_REASON_CHARS, "x" * MAX_REASON_CHARS),
        ("x" * 1000, "x" * (MAX_REASON_CHARS - 1) + "…"),
    ],
)
def test_a_reason_is_one_short_line(reason: object, expected: str | None) -> None:
    assert shortened(reason) == expected
