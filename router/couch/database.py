"""The router's database in CouchDB: documents, bulk reads and writes, views."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, cast
from urllib.parse import quote

import aiohttp
from aiocouch.remote import RemoteDatabase

from router.couch.answers import (
    BulkResult,
    GarbageError,
    User,
    ViewRow,
    bulk_results_of,
    changes_behind_in,
    counts_of,
    documents_of,
    feed_rows_of,
    object_of,
    pages_of,
    revisions_of,
    stubs_of,
    user_of,
    view_pages_of,
    view_rows_of,
)
from router.couch.errors import Conflict, DatabaseMissing, Refused, ServerFault
from router.couch.requests import BULK_DOCUMENTS, IdRange, chunks, id_of, key_text, quoted_id
from router.couch.rows import FeedRow
from router.couch.session import Session
from router.documents.json_types import JsonObject, JsonValue
from router.settings import CouchDBSettings

T = TypeVar("T")

__all__ = ["BulkResult", "Database", "User", "ViewRow"]

NO_ROOM = "insufficient_storage"
"""What CouchDB with a disk monitor says of each document, in an answer of 201, when its disk is too full
(https://docs.couchdb.org/en/stable/config/disk-monitor.html)."""
_NOT_THERE = (400, 405)
"""How a server answers that does not know a path of the API."""
LOCAL_ATTEMPTS = 5
"""Times that a `_local` document is written over somebody else's write before that is a conflict."""


class Database:
    """One database of one CouchDB server.

    Every method may raise any `CouchError`; those named are the ones worth telling apart. Each request ends within
    `request_timeout_seconds`.
    """

    def __init__(self, settings: CouchDBSettings) -> None:
        self._settings = settings
        self._session: Session | None = None
        self._takes_many_questions = True

    @property
    def name(self) -> str:
        """The database's name."""
        return self._settings.database

    @property
    def session(self) -> Session:
        """The open session. Raises RuntimeError before `open` and after `close`."""
        if self._session is None:
            raise RuntimeError("the database is not open")
        return self._session

    def sibling(self, name: str) -> "Database":
        """Another database of the same server, for the same user. Not open."""
        return Database(self._settings.model_copy(update={"database": name}))

    async def open(self) -> None:
        """Make the session; no connection is opened yet. Raises BadAddress."""
        if self._session is None:
            self._session = Session(self._settings)

    async def close(self) -> None:
        """Close all connections. Harmless when that is done already."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _remote(self) -> RemoteDatabase:
        return RemoteDatabase(self.session, self.name)

    def _path(self, doc_id: str) -> str:
        return f"{self._remote.endpoint}/{quoted_id(doc_id)}"

    # The server and the database

    async def server_info(self) -> JsonObject:
        """What `GET /` says: version, uuid, features."""
        return object_of(await self.session._info())

    async def user(self) -> User:
        """Whom the server takes us for. Raises LoginRefused."""
        _, answer = await self.session._check_session()
        return user_of(object_of(answer))

    async def info(self) -> JsonObject:
        """What `GET /{db}` says. Raises DatabaseMissing."""
        return object_of(await self._remote._get())

    async def identity(self) -> str:
        """An opaque name for this very database: another after it was dropped and made again, the same after a restart.

        Made of the database's `instance_start_time` (when it was made; CouchDB before 3.3 says "0") and the server's
        `uuid`, which the nodes of a cluster share (https://docs.couchdb.org/en/stable/setup/cluster.html). Raises
        DatabaseMissing.
        """
        made = (await self.info()).get("instance_start_time", "0")
        server = (await self.server_info()).get("uuid", "")
        return f"{made}@{server}"

    async def create_database(self) -> bool:
        """Make the database; False when it was there already.

        Raises Forbidden or LoginRefused when we may not, Refused for a name that CouchDB does not allow.
        """
        try:
            await self._remote._put()
        except Refused as error:
            if error.status == 412:
                return False
            raise
        return True

    async def get_security(self) -> JsonObject:
        """Who may do what: the database's `_security` object."""
        return object_of(await self._remote._get_security())

    async def put_security(self, security: JsonObject) -> None:
        """Set the `_security` object. Raises Forbidden when we are no admin of the database."""
        await self._remote._put_security(security)

    # Single documents

    async def get(self, doc_id: str) -> JsonObject | None:
        """The document, or None when it is missing or deleted. Raises DatabaseMissing."""
        try:
            _, answer = await self.session._get(self._path(doc_id))
        except DatabaseMissing as error:
            if error.reason in ("missing", "deleted"):
                return None
            raise
        return object_of(answer)

    async def put(self, doc: JsonObject) -> str:
        """Write `doc`, which has an `_id`, and a `_rev` when it replaces another; gives the new revision.

        Raises Conflict, Refused (a validation function's reason, a malformed or too large document), Forbidden,
        DatabaseMissing, and ValueError for a document without `_id`.
        """
        _, answer = await self.session._put(self._path(id_of(doc)), data=doc)
        rev = object_of(answer).get("rev")
        if not isinstance(rev, str):
            raise self.session.garbage("a written document without its revision")
        return rev

    async def get_local(self, name: str) -> JsonObject | None:
        """The document `_local/{name}`, which is neither replicated nor in the feed; None when it is missing."""
        return await self.get(f"_local/{name}")

    async def put_local(self, name: str, doc: JsonObject) -> str:
        """Write `_local/{name}` over whatever stands there; gives the revision. `doc` needs neither `_id` nor `_rev`.

        CouchDB lets a local document without `_rev` replace another; PouchDB answers 409, so it is read and written
        again. Raises Conflict when somebody else keeps writing it.
        """
        local_id = f"_local/{name}"
        written = {name: value for name, value in doc.items() if name != "_rev"} | {"_id": local_id}
        for _ in range(LOCAL_ATTEMPTS - 1):
            try:
                return await self.put(written)
            except Conflict:
                written.pop("_rev", None)
                if (present := await self.get(local_id)) is not None:
                    written["_rev"] = present["_rev"]
        return await self.put(written)

    # Many documents

    async def get_many(self, ids: Iterable[str]) -> dict[str, JsonObject]:
        """The documents with these ids, by id; what is missing or deleted is left out."""
        wanted: list[JsonValue] = list(dict.fromkeys(ids))
        found: dict[str, JsonObject] = {}
        for start in range(0, len(wanted), BULK_DOCUMENTS):
            keys = wanted[start : start + BULK_DOCUMENTS]
            answer = await self.session.query(
                f"{self._remote.endpoint}/_all_docs", {"include_docs": True}, {"keys": keys}
            )
            found.update({str(doc["_id"]): doc for doc in self._read(documents_of, answer)})
        return found

    async def leaves(self, ids: Iterable[str]) -> dict[str, list[JsonObject]]:
        """What these documents say in each revision that nothing was written over, the winner first, the others by revision;
        by id. Deleted revisions are left out, and so is what is missing.

        More than one is what replication makes of two writes side by side
        (https://docs.couchdb.org/en/stable/replication/conflicts.html).
        """
        wanted: list[JsonValue] = list(dict.fromkeys(ids))
        found: dict[str, list[JsonObject]] = {}
        for start in range(0, len(wanted), BULK_DOCUMENTS):
            keys = wanted[start : start + BULK_DOCUMENTS]
            params: JsonObject = {"include_docs": True, "conflicts": True}
            answer = await self.session.query(f"{self._remote.endpoint}/_all_docs", params, {"keys": keys})
            losers: list[JsonObject] = []
            for winner in self._read(documents_of, answer):
                doc_id, conflicts = str(winner["_id"]), winner.pop("_conflicts", None)
                found[doc_id] = [winner]
                if isinstance(conflicts, list):
                    losers += [{"id": doc_id, "rev": rev} for rev in sorted(map(str, conflicts))]
            if losers:
                answer = cast("JsonValue", await self._remote._bulk_get(losers))
                for loser in self._read(revisions_of, answer):
                    found[str(loser["_id"])].append(loser)
        return found

    async def ids_between(
        self, start: str, end: str, limit: int | None = None, include_docs: bool = True
    ) -> list[JsonObject]:
        """The documents whose id is from `start` to `end`, both included, in the order of their ids, at most `limit`.

        Without `include_docs` each has only `_id` and `_rev`. To go on behind the last one, start at its id + "\\0".
        """
        params: JsonObject = {
            "startkey": key_text(start),
            "endkey": key_text(end),
            "limit": limit,
            "include_docs": include_docs,
        }
        answer = await self.session.query(f"{self._remote.endpoint}/_all_docs", params)
        return self._read(documents_of if include_docs else stubs_of, answer)

    async def ranges(self, bounds: Sequence[tuple[str, str]], limit: int) -> list[list[JsonObject]]:
        """For each pair of ids what `ids_between` gives, in as few requests as the server allows: CouchDB takes many questions
        in one (https://docs.couchdb.org/en/stable/api/database/bulk-api.html, `/_all_docs/queries`), PouchDB Server does not.
        """
        if self._takes_many_questions:
            questions: list[JsonValue] = [
                {"startkey": start, "endkey": end, "limit": limit, "include_docs": True} for start, end in bounds
            ]
            try:
                answer = await self.session.query(
                    f"{self._remote.endpoint}/_all_docs/queries", {}, {"queries": questions}
                )
            except Refused as error:
                if error.status not in _NOT_THERE:
                    raise
                self._takes_many_questions = False
            else:
                return self._read(partial(pages_of, count=len(bounds)), answer)
        return [await self.ids_between(start, end, limit) for start, end in bounds]

    async def bulk(self, docs: Sequence[JsonObject]) -> dict[str, BulkResult]:
        """Write many documents, each for itself; what became of each, by id.

        A document that CouchDB refuses as malformed or too large fails the whole request it is in: such a one is found
        out and gets its own error, the others are written. Raises Unreachable or ServerFault when it is not known what
        became of them, or when the server has no room for them, ValueError for a document without `_id` and for one id twice.
        """
        by_id = {id_of(doc): doc for doc in docs}
        if len(by_id) != len(docs):
            raise ValueError("two documents of one bulk write have the same _id")
        results: dict[str, BulkResult] = {}
        for chunk in chunks(list(by_id.values())):
            results.update(await self._bulk_chunk(chunk))
        return results

    async def _bulk_chunk(self, docs: list[JsonObject]) -> dict[str, BulkResult]:
        try:
            answer = cast("JsonValue", await self._remote._bulk_docs(docs))
        except Refused as error:
            if len(docs) == 1:
                kind = "too_large" if error.status == 413 else "bad_request"
                return {id_of(docs[0]): BulkResult(None, kind, error.reason or str(error))}
            half = len(docs) // 2
            return {**await self._bulk_chunk(docs[:half]), **await self._bulk_chunk(docs[half:])}
        try:
            results = bulk_results_of(answer, [id_of(doc) for doc in docs])
        except GarbageError as error:
            raise self.session.garbage(str(error)) from None
        full = next((result for result in results.values() if result.error == NO_ROOM), None)
        if full is not None:
            raise ServerFault(
                f"CouchDB at {self.session.login.server} writes nothing ({full.reason or NO_ROOM}): make room on its disk",
                status=507,
                reason=full.reason,
            )
        return results

    async def purge(self, revisions: Mapping[str, str]) -> None:
        """Have the server forget these revisions, by document, as if they had never been: no deletion is left of them either.

        Raises Forbidden when we are no server admin, and what the server says that does not know how: PouchDB Server answers
        400 (Refused). CouchDB takes 100 documents at once unless it is set otherwise
        (https://docs.couchdb.org/en/stable/config/misc.html#purge).
        """
        await self.session._post(
            f"{self._remote.endpoint}/_purge", data={doc_id: [rev] for doc_id, rev in revisions.items()}
        )

    # Views and the feed

    async def view(
        self,
        design: str,
        view: str,
        *,
        start_key: JsonValue = None,
        end_key: JsonValue = None,
        limit: int | None = None,
        skip: int | None = None,
        descending: bool | None = None,
        include_docs: bool = False,
        keys: Sequence[JsonValue] | None = None,
    ) -> list[ViewRow]:
        """The rows of `_design/{design}/_view/{view}` from `start_key` to `end_key`, both included, or those at `keys`.

        A bound that is None is no bound. `descending` starts at the end: then `start_key` is the greater one. `skip` costs the
        server as much as reading what is skipped. Raises ViewMissing when the index is not there.
        """
        params: JsonObject = {
            "startkey": None if start_key is None else key_text(start_key),
            "endkey": None if end_key is None else key_text(end_key),
            "limit": limit,
            "skip": skip,
            "descending": descending,
            "include_docs": include_docs,
            "reduce": False,
        }
        answer = await self.session.query(
            self._view_path(design, view), params, None if keys is None else {"keys": list(keys)}
        )
        return self._read(view_rows_of, answer)

    async def view_ranges(
        self, design: str, view: str, bounds: Sequence[tuple[JsonValue, JsonValue]], *, limit: int, descending: bool
    ) -> list[list[ViewRow]]:
        """For each start key and end key what `view` gives, without documents, in as few requests as the server allows: see
        `ranges`. Raises ViewMissing when the index is not there."""
        if self._takes_many_questions and len(bounds) > 1:
            questions: list[JsonValue] = [
                {"start_key": start, "end_key": end, "limit": limit, "descending": descending, "reduce": False}
                for start, end in bounds
            ]
            try:
                answer = await self.session.query(
                    f"{self._view_path(design, view)}/queries", {}, {"queries": questions}
                )
            except Refused as error:
                if error.status not in _NOT_THERE:
                    raise
                self._takes_many_questions = False
            else:
                return self._read(partial(view_pages_of, count=len(bounds)), answer)
        return [
            await self.view(design, view, start_key=start, end_key=end, limit=limit, descending=descending)
            for start, end in bounds
        ]

    async def view_counts(
        self, design: str, view: str, *, start_key: JsonValue, end_key: JsonValue, group_level: int
    ) -> list[tuple[JsonValue, int]]:
        """What `_design/{design}/_view/{view}`, whose reduce function is `_count`, counts from `start_key` to `end_key`: for
        each different beginning of so many parts of a key that beginning, and the number of rows.

        Raises ViewMissing when the index is not there, Refused when it is one that does not count.
        """
        params: JsonObject = {
            "startkey": key_text(start_key),
            "endkey": key_text(end_key),
            "reduce": True,
            "group_level": group_level,
        }
        answer = await self.session.query(self._view_path(design, view), params)
        return self._read(counts_of, answer)

    def _view_path(self, design: str, view: str) -> str:
        return f"{self._remote.endpoint}/_design/{quote(design, safe='')}/_view/{quote(view, safe='')}"

    def changes(
        self, params: Mapping[str, JsonValue], *, read_timeout_seconds: float, only: IdRange | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Open `_changes` with these query parameters, for all documents or those in `only`; its body is the caller's to read.
        See `Session.stream`."""
        path = f"{self._remote.endpoint}/_changes"
        if only is None:
            return self.session.stream(path, params, read_timeout_seconds=read_timeout_seconds)
        params = {**params, **only.params}
        return self.session.stream(path, params, read_timeout_seconds=read_timeout_seconds, body=only.body)

    async def changes_since(self, since: JsonValue, only: IdRange, limit: int) -> list[FeedRow]:
        """The changes of the documents in `only` behind `since`, with the documents, in the feed's order, at most `limit`.

        The server looks at every change behind `since`, whichever document it is of. Raises Refused for a seq that CouchDB
        cannot read; PouchDB Server takes anything.
        """
        params: JsonObject = {
            "since": since if isinstance(since, str) else key_text(since),
            "include_docs": True,
            "limit": limit,
            **only.params,
        }
        answer = await self.session.query(f"{self._remote.endpoint}/_changes", params, only.body)
        return self._read(feed_rows_of, answer)

    async def changes_behind(self, since: JsonValue) -> int | None:
        """How many changes lie behind `since`, a seq of this database; None when `since` is, or when the server does not tell.

        CouchDB counts them (`pending`); PouchDB numbers its changes, and a document changed twice counts twice there. Raises
        Refused for a seq that CouchDB cannot read.
        """
        if since is None:
            return None
        params: JsonObject = {"since": since if isinstance(since, str) else key_text(since), "limit": 0}
        _, answer = await self.session._get(f"{self._remote.endpoint}/_changes", params=params)
        behind = changes_behind_in(cast("JsonValue", answer))
        if behind is not None or not isinstance(since, int):
            return behind
        latest = (await self.info()).get("update_seq")
        return max(0, latest - since) if isinstance(latest, int) else None

    def _read(self, reader: Callable[[JsonValue], T], answer: JsonValue) -> T:
        try:
            return reader(answer)
        except GarbageError as error:
            raise self.session.garbage(str(error)) from None
