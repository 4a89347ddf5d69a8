"""The mapping in force: read from CouchDB, kept when an edit is bad, and reported on in a status document."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Mapping as MappingOf
from enum import StrEnum

import structlog

from router.couch.database import Database
from router.couch.errors import Conflict, Refused
from router.couch.patience import Patience
from router.documents.json_types import JsonObject, JsonValue
from router.documents.problems import Problem, first_of
from router.documents.timestamps import to_text, utc_now
from router.routing.mapping import InvalidMappingError, Mapping, Reader, read_mapping

log = structlog.stdlib.get_logger("router.mapping")

STATUS_ID = "router:mapping-status"
"""The document that an admin opens to see whether the last edit is in force."""
LAST_GOOD = "notification-router-mapping"
"""The last good mapping is `_local/notification-router-mapping`: a restart must not lose it to a bad edit."""
MOST_LISTED = 100
"""How many problems, and how many warnings, stand in the status document and in the log; one more says how many are left."""
CONFLICT_PAUSE_SECONDS = 0.5
"""Pause before a document is written again that somebody else keeps writing."""
REFUSED_PAUSE_SECONDS = 60.0
"""Pause before a document that CouchDB refused is offered again, unless there is news to write before."""
_REVISION = re.compile(r"\d{1,10}-[0-9A-Za-z]{1,64}")


class State(StrEnum):
    """What is to be said of the mapping document as it stands in CouchDB."""

    OK = "OK"
    INVALID = "INVALID"
    MISSING = "MISSING"


class MappingStore:
    """Holds the last good mapping. `current` is None only while there has never been one."""

    def __init__(
        self, database: Database, mapping_id: str, readers: MappingOf[str, Reader], patience: Patience
    ) -> None:
        self._database = database
        self._mapping_id = mapping_id
        self._readers = readers
        self._patience = patience
        self._lock = asyncio.Lock()
        self._seen_rev: str | None = None
        self._status: JsonObject | None = None
        self._saved: Mapping | None = None
        self._publish = asyncio.Event()
        self.current: Mapping | None = None
        self.changed = asyncio.Event()
        """Set whenever another mapping comes into force; whoever waits for it clears it."""

    @property
    def state(self) -> State | None:
        """How the mapping document last stood in CouchDB; None before it was read."""
        return None if self._status is None else self._last_note[0]

    async def load(self) -> None:
        """Read the mapping at the start. A bad or missing one leaves the last good one of an earlier run in force."""
        await self.refresh()
        if self.current is not None:
            return
        saved = await self._patience.until_done(
            "reading the last good mapping", lambda: self._database.get_local(LAST_GOOD)
        )
        document = saved.get("document") if saved else None
        if not isinstance(document, dict):
            return
        try:
            self.current = self._saved = read_mapping(document, self._readers)
        except InvalidMappingError as error:
            log.warning("the last good mapping cannot be read any more", reason=str(error))
            return
        log.warning("the last good mapping stays in force", rev=self.current.rev)
        self._note(*self._last_note)

    async def refresh(self) -> bool:
        """Read the mapping document afresh. True when another mapping is in force now.

        Waits while CouchDB is away. An invalid or missing document changes nothing but the status document.
        """
        async with self._lock:
            document = await self._patience.until_done(
                "reading the mapping document", lambda: self._database.get(self._mapping_id)
            )
            rev = document.get("_rev") if document is not None else None
            if document is None:
                if self._seen_rev is not None or self._status is None:
                    self._seen_rev = None
                    log.warning(
                        "there is no mapping document" + ("; the last good one stays in force" if self.current else ""),
                        document=self._mapping_id,
                    )
                    self._note(State.MISSING, None, [Problem(self._mapping_id, "there is no such document")])
                return False
            if rev == self._seen_rev:
                return False
            self._seen_rev = str(rev)
            try:
                mapping = read_mapping(document, self._readers)
            except InvalidMappingError as error:
                for problem in first_of(error.problems, MOST_LISTED, "mapping"):
                    log.error(
                        "the mapping document is invalid"
                        + ("; the last good one stays in force" if self.current else ""),
                        document=self._mapping_id,
                        rev=rev,
                        path=problem.path,
                        reason=problem.reason,
                    )
                self._note(State.INVALID, self._seen_rev, error.problems)
                return False
            self.current = mapping
            log.info("mapping in force", document=self._mapping_id, rev=rev, groups=len(mapping.groups))
            for warning in first_of(mapping.warnings, MOST_LISTED, "mapping"):
                log.warning("problem in the mapping", path=warning.path, reason=warning.reason)
            self._note(State.OK, self._seen_rev, [])
            self.changed.set()
            return True

    async def run(self) -> None:
        """Write the status document, and the last good mapping, whenever they change, until cancelled."""
        while True:
            await self._publish.wait()
            self._publish.clear()
            # Each for itself: that one of them cannot be written is no reason to lose the other.
            await self._try("writing the last good mapping", self._write_last_good)
            await self._try("writing the mapping's status document", self._write_status)

    async def _try(self, what: str, write: Callable[[], Awaitable[None]]) -> None:
        """Write one of the two. That it is refused harms nobody's message, and must not end the router."""
        try:
            await self._patience.until_done(what, write)
        except Conflict:
            # Somebody else wrote it in between; what we know is newer.
            self._publish_in(CONFLICT_PAUSE_SECONDS)
        except Refused as error:
            log.error(
                "CouchDB refuses a document about the mapping; routing goes on. Have the database's validate_doc_update "
                "functions let the router write it, and its max_document_size hold it",
                what=what,
                document=STATUS_ID if write == self._write_status else f"_local/{LAST_GOOD}",
                reason=str(error),
                again_in_seconds=REFUSED_PAUSE_SECONDS,
            )
            self._publish_in(REFUSED_PAUSE_SECONDS)

    def _publish_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._publish.set)

    _last_note: tuple[State, str | None, list[Problem]] = (State.MISSING, None, [])

    def _note(self, state: State, rev: str | None, problems: list[Problem]) -> None:
        self._last_note = (state, rev, problems)
        warnings = self.current.warnings if self.current else ()
        self._status = {
            "_id": STATUS_ID,
            "type": "mapping-status",
            "mapping_id": self._mapping_id,
            "status": str(state),
            "mapping_rev": rev,
            "in_force_rev": self.current.rev if self.current else None,
            "problems": _listed(problems),
            "warnings": _listed(warnings),
        }
        self._publish.set()

    async def _write_last_good(self) -> None:
        # Not only while the document is as it should be: a bad edit may follow a good one before that was written.
        if (current := self.current) is not None and current is not self._saved:
            await self._database.put_local(LAST_GOOD, {"document": current.document})
            self._saved = current

    async def _write_status(self) -> None:
        status = self._status
        if status is None:
            return
        present = await self._database.get(STATUS_ID)
        if present is not None:
            if all(present.get(key) == value for key, value in status.items()):
                return
            status = {**status, "_rev": present["_rev"]}
        await self._database.put({**status, "updated_at": to_text(utc_now())})


def revision_in_force(status: JsonObject | None) -> str | None:
    """The revision of the mapping in force that the status document names; None when it names none.

    Raises ValueError when what stands there is no revision: somebody damaged the document.
    """
    rev = (status or {}).get("in_force_rev")
    if rev is None or (isinstance(rev, str) and _REVISION.fullmatch(rev)):
        return rev
    raise ValueError(
        f"{STATUS_ID} is damaged: its in_force_rev is no revision; restart the router, which writes it anew"
    )


def _listed(problems: Sequence[Problem]) -> list[JsonValue]:
    return [{"path": problem.path, "reason": problem.reason} for problem in first_of(problems, MOST_LISTED, "mapping")]
