"""A document that an admin edits, in force: read from CouchDB, kept when an edit is bad, and reported on in a status document."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import structlog

from router.couch.database import Database
from router.couch.errors import Conflict, Refused
from router.couch.patience import Patience
from router.documents.json_types import JsonObject, JsonValue
from router.documents.problems import InvalidDocumentError, Problem, first_of
from router.documents.timestamps import to_text, utc_now

log = structlog.stdlib.get_logger("router.documents")

MOST_LISTED = 100
"""How many problems, and how many warnings, stand in the status document and in the log; one more says how many are left."""
CONFLICT_PAUSE_SECONDS = 0.5
"""Pause before a document is written again that somebody else keeps writing."""
REFUSED_PAUSE_SECONDS = 60.0
"""Pause before a document that CouchDB refused is offered again, unless there is news to write before."""


class State(StrEnum):
    """What is to be said of an admin's document as it stands in CouchDB."""

    OK = "OK"
    INVALID = "INVALID"
    MISSING = "MISSING"


class InForce(Protocol):
    """What an admin's document is read into."""

    @property
    def rev(self) -> str | None:
        """The revision that it was read from."""
        ...

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is odd, but harms nothing else."""
        ...

    @property
    def document(self) -> JsonObject:
        """The document that it was read from."""
        ...


T = TypeVar("T", bound=InForce)


@dataclass(frozen=True, slots=True)
class DocumentKind(Generic[T]):
    """What there is to know of one of the documents that admins edit."""

    what: str
    """What texts and the keys of the status document call it, `mapping`."""
    status_id: str
    """The document that an admin opens to see whether the last edit is in force."""
    last_good: str
    """`_local/…` of the last good one: a restart must not lose it to a bad edit."""
    read: Callable[[JsonObject], T]
    """Read the document. Raises InvalidDocumentError."""
    is_needed: bool
    """Whether it is worth a warning that there is none."""


class LiveDocument(Generic[T]):
    """Holds the last good one. `current` is None only while there has never been one, or where it may be missing and is."""

    def __init__(self, database: Database, document_id: str, kind: DocumentKind[T], patience: Patience) -> None:
        self.id = document_id
        self._database = database
        self._kind = kind
        self._patience = patience
        self._lock = asyncio.Lock()
        self._seen_rev: str | None = None
        self._status: JsonObject | None = None
        self._saved: T | None = None
        self._publish = asyncio.Event()
        self.current: T | None = None
        self.changed = asyncio.Event()
        """Set whenever another one comes into force; whoever waits for it clears it."""

    @property
    def state(self) -> State | None:
        """How the document last stood in CouchDB; None before it was read."""
        return None if self._status is None else self._last_note[0]

    async def load(self) -> None:
        """Read the document at the start. A bad or missing one leaves the last good one of an earlier run in force."""
        await self.refresh()
        if self.current is not None or (self.state is State.MISSING and not self._kind.is_needed):
            return
        what = self._kind.what
        saved = await self._patience.until_done(
            f"reading the last good {what}", lambda: self._database.get_local(self._kind.last_good)
        )
        document = saved.get("document") if saved else None
        if not isinstance(document, dict):
            return
        try:
            self.current = self._saved = self._kind.read(document)
        except InvalidDocumentError as error:
            log.warning(f"the last good {what} cannot be read any more", reason=str(error))
            return
        log.warning(f"the last good {what} stays in force", rev=self.current.rev)
        self._note(*self._last_note)

    async def refresh(self) -> bool:
        """Read the document afresh. True when another one is in force now.

        Waits while CouchDB is away. An invalid document changes nothing but the status document; so does a missing one, where
        it is needed.
        """
        async with self._lock:
            what = self._kind.what
            document = await self._patience.until_done(
                f"reading the {what} document", lambda: self._database.get(self.id)
            )
            if document is None:
                return self._is_missing()
            rev = str(document.get("_rev"))
            if rev == self._seen_rev:
                return False
            self._seen_rev = rev
            try:
                found = self._kind.read(document)
            except InvalidDocumentError as error:
                for problem in first_of(error.problems, MOST_LISTED, what):
                    log.error(
                        f"the {what} document is invalid{self._stays()}",
                        document=self.id,
                        rev=rev,
                        path=problem.path,
                        reason=problem.reason,
                    )
                self._note(State.INVALID, rev, error.problems)
                return False
            self.current = found
            log.info(f"{what} in force", document=self.id, rev=rev)
            for warning in first_of(found.warnings, MOST_LISTED, what):
                log.warning(f"problem in the {what}", path=warning.path, reason=warning.reason)
            self._note(State.OK, rev, [])
            self.changed.set()
            return True

    def _is_missing(self) -> bool:
        if self._seen_rev is None and self._status is not None:
            return False
        self._seen_rev = None
        if self._kind.is_needed:
            log.warning(f"there is no {self._kind.what} document{self._stays()}", document=self.id)
        was_in_force = self.current is not None and not self._kind.is_needed
        if was_in_force:
            # Who deletes a document that need not be there means it.
            self.current = None
            log.info(f"the {self._kind.what} document was deleted", document=self.id)
            self.changed.set()
        self._note(State.MISSING, None, [Problem(self.id, "there is no such document")])
        return was_in_force

    def _stays(self) -> str:
        return "; the last good one stays in force" if self.current else ""

    async def run(self) -> None:
        """Write the status document, and the last good one, whenever they change, until cancelled."""
        while True:
            await self._publish.wait()
            self._publish.clear()
            # Each for itself: that one of them cannot be written is no reason to lose the other.
            await self._try(f"writing the last good {self._kind.what}", self._write_last_good)
            await self._try(f"writing the {self._kind.what}'s status document", self._write_status)

    async def _try(self, what: str, write: Callable[[], Awaitable[None]]) -> None:
        """Write one of the two. That it is refused harms nobody's message, and must not end the router."""
        try:
            await self._patience.until_done(what, write)
        except Conflict:
            # Somebody else wrote it in between; what we know is newer.
            self._publish_in(CONFLICT_PAUSE_SECONDS)
        except Refused as error:
            log.error(
                f"CouchDB refuses a document about the {self._kind.what}; routing goes on. Have the database's "
                "validate_doc_update functions let the router write it, and its max_document_size hold it",
                what=what,
                document=self._kind.status_id if write == self._write_status else f"_local/{self._kind.last_good}",
                reason=str(error),
                again_in_seconds=REFUSED_PAUSE_SECONDS,
            )
            self._publish_in(REFUSED_PAUSE_SECONDS)

    def _publish_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._publish.set)

    _last_note: tuple[State, str | None, list[Problem]] = (State.MISSING, None, [])

    def _note(self, state: State, rev: str | None, problems: list[Problem]) -> None:
        self._last_note = (state, rev, problems)
        what, warnings = self._kind.what, self.current.warnings if self.current else ()
        self._status = {
            "_id": self._kind.status_id,
            "type": f"{what}-status",
            f"{what}_id": self.id,
            "status": str(state),
            f"{what}_rev": rev,
            "in_force_rev": self.current.rev if self.current else None,
            "problems": _listed(problems, what),
            "warnings": _listed(warnings, what),
        }
        self._publish.set()

    async def _write_last_good(self) -> None:
        # Not only while the document is as it should be: a bad edit may follow a good one before that was written.
        if (current := self.current) is not None and current is not self._saved:
            await self._database.put_local(self._kind.last_good, {"document": current.document})
            self._saved = current

    async def _write_status(self) -> None:
        status = self._status
        if status is None:
            return
        present = await self._database.get(self._kind.status_id)
        if present is None and not self._kind.is_needed and self._last_note[0] is State.MISSING:
            # Of a document that nobody has ever written there is nothing to say.
            return
        if present is not None:
            if all(present.get(key) == value for key, value in status.items()):
                return
            status = {**status, "_rev": present["_rev"]}
        await self._database.put({**status, "updated_at": to_text(utc_now())})


def _listed(problems: Sequence[Problem], what: str) -> list[JsonValue]:
    return [{"path": problem.path, "reason": problem.reason} for problem in first_of(problems, MOST_LISTED, what)]
