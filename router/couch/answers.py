"""Reading CouchDB's answers: pure, from JSON to typed values."""

from dataclasses import dataclass
from typing import cast

from router.couch.rows import FeedRow, row_of
from router.documents.json_types import JsonObject, JsonValue


class GarbageError(ValueError):
    """An answer that CouchDB would not give; the text says what is odd about it."""


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of one document of a bulk write: a revision, or an error and its reason."""

    rev: str | None
    error: str | None
    """`conflict`, `forbidden`, …; None when it was written."""
    reason: str | None


@dataclass(frozen=True, slots=True)
class ViewRow:
    """One row of a view."""

    id: str
    key: JsonValue
    value: JsonValue
    document: JsonObject | None
    """The document, when it was asked for and still is there."""


@dataclass(frozen=True, slots=True)
class User:
    """Whom the server takes us for."""

    name: str | None
    roles: tuple[str, ...]

    @property
    def is_server_admin(self) -> bool:
        """Whether the server lets this user do anything."""
        return "_admin" in self.roles


def object_of(value: object) -> JsonObject:
    """`value` if it is an object, else an empty one."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def user_of(session: JsonObject) -> User:
    """The user that `GET /_session` names."""
    context = object_of(session.get("userCtx"))
    name, roles = context.get("name"), context.get("roles")
    return User(
        name if isinstance(name, str) else None,
        tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else (),
    )


def _rows(answer: JsonValue) -> list[JsonObject]:
    rows = object_of(answer).get("rows")
    if not isinstance(rows, list):
        raise GarbageError("an index without rows")
    return [row for row in rows if isinstance(row, dict)]


def documents_of(answer: JsonValue) -> list[JsonObject]:
    """The documents in the rows of `_all_docs`; missing and deleted ones are left out. Raises GarbageError."""
    documents = [row.get("doc") for row in _rows(answer)]
    return [doc for doc in documents if isinstance(doc, dict) and not doc.get("_deleted")]


def pages_of(answer: JsonValue, *, count: int) -> list[list[JsonObject]]:
    """The documents that `_all_docs/queries` found, for each of `count` questions. Raises GarbageError."""
    results = object_of(answer).get("results")
    if not isinstance(results, list) or len(results) != count:
        raise GarbageError(f"{count} questions without as many answers")
    return [documents_of(result) for result in results]


def revisions_of(answer: JsonValue) -> list[JsonObject]:
    """The documents that `_bulk_get` found, in the order asked for; deleted ones are left out. Raises GarbageError."""
    results = object_of(answer).get("results")
    if not isinstance(results, list):
        raise GarbageError("a bulk read without results")
    found: list[JsonObject] = []
    for result in results:
        docs = object_of(result).get("docs")
        for doc in docs if isinstance(docs, list) else []:
            revision = object_of(doc).get("ok")
            if isinstance(revision, dict) and not revision.get("_deleted"):
                found.append(revision)
    return found


def stubs_of(answer: JsonValue) -> list[JsonObject]:
    """`_id` and `_rev` of the rows of `_all_docs` without documents. Raises GarbageError."""
    return [{"_id": row.get("id"), "_rev": object_of(row.get("value")).get("rev")} for row in _rows(answer)]


def view_rows_of(answer: JsonValue) -> list[ViewRow]:
    """The rows of a view. Raises GarbageError."""
    rows: list[ViewRow] = []
    for row in _rows(answer):
        document = row.get("doc")
        rows.append(
            ViewRow(
                id=str(row.get("id")),
                key=row.get("key"),
                value=row.get("value"),
                document=document if isinstance(document, dict) else None,
            )
        )
    return rows


def view_pages_of(answer: JsonValue, *, count: int) -> list[list[ViewRow]]:
    """The rows that `_view/{view}/queries` found, for each of `count` questions. Raises GarbageError."""
    results = object_of(answer).get("results")
    if not isinstance(results, list) or len(results) != count:
        raise GarbageError(f"{count} questions without as many answers")
    return [view_rows_of(result) for result in results]


def counts_of(answer: JsonValue) -> list[tuple[JsonValue, int]]:
    """The groups of an index that counts, each with its number of rows. Raises GarbageError."""
    counts: list[tuple[JsonValue, int]] = []
    for row in _rows(answer):
        value = row.get("value")
        if not isinstance(value, int):
            raise GarbageError("an index that counts without a number")
        counts.append((row.get("key"), value))
    return counts


def bulk_results_of(answer: JsonValue, asked_for: list[str]) -> dict[str, BulkResult]:
    """The rows of `_bulk_docs` by id: PouchDB Server on leveldb answers in another order than it was asked.

    Raises GarbageError when one of `asked_for` has no row.
    """
    if not isinstance(answer, list):
        raise GarbageError("a bulk write without a list of results")
    results: dict[str, BulkResult] = {}
    for row in answer:
        if isinstance(row, dict) and isinstance(doc_id := row.get("id"), str):
            rev, error, reason = row.get("rev"), row.get("error"), row.get("reason")
            results[doc_id] = BulkResult(
                rev if isinstance(rev, str) else None,
                error if isinstance(error, str) else None,
                reason if isinstance(reason, str) else None,
            )
    if missing := sum(doc_id not in results for doc_id in asked_for):
        raise GarbageError(f"a bulk write of {len(asked_for)} documents without a result for {missing} of them")
    return results


def changes_behind_in(answer: JsonValue) -> int | None:
    """How many changes a feed of limit 0 has left to tell; None when it does not say.

    A server may take a limit of 0 for 1 (https://docs.couchdb.org/en/stable/api/database/changes.html): its one row counts.
    """
    changes = object_of(answer)
    rows, pending = changes.get("results"), changes.get("pending")
    return len(rows) + pending if isinstance(rows, list) and type(pending) is int else None


def feed_rows_of(answer: JsonValue) -> list[FeedRow]:
    """The rows of a changes feed that was read in one. Raises GarbageError."""
    results = object_of(answer).get("results")
    if not isinstance(results, list):
        raise GarbageError("a changes feed without results")
    rows = [row_of(result) if isinstance(result, dict) else None for result in results]
    if None in rows:
        raise GarbageError("a changes feed with a row that has no id")
    return [row for row in rows if row is not None]
