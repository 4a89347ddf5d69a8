"""The mapping in force: read from CouchDB, kept when an edit is bad, and reported on in a status document."""

import asyncio
from collections.abc import Mapping as MappingOf
from enum import StrEnum
from functools import partial

import structlog

from router.couch.database import Database
from router.couch.errors import Conflict
from router.couch.patience import Patience
from router.documents.json_types import JsonObject, JsonValue
from router.documents.problems import Problem
from router.documents.timestamps import to_text, utc_now
from router.routing.mapping import InvalidMappingError, Mapping, Reader, read_mapping

log = structlog.stdlib.get_logger("router.mapping")

STATUS_ID = "router:mapping-status"
"""The document that an admin opens to see whether the last edit is in force."""
LAST_GOOD = "notification-router-mapping"
"""The last good mapping is `_local/notification-router-mapping`: a restart must not lose it to a bad edit."""


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
        self._publish = asyncio.Event()
        self.current: Mapping | None = None
        self.changed = asyncio.Event()
        """Set whenever another mapping comes into force; whoever waits for it clears it."""

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
            self.current = read_mapping(document, self._readers)
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
                for problem in error.problems:
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
            for warning in mapping.warnings:
                log.warning("problem in the mapping", path=warning.path, reason=warning.reason)
            self._note(State.OK, self._seen_rev, [])
            self.changed.set()
            return True

    def forget_revision(self) -> None:
        """The database is another one now: a revision seen before means nothing in it."""
        self._seen_rev = None

    async def run(self) -> None:
        """Write the status document, and the last good mapping, whenever they change, until cancelled."""
        while True:
            await self._publish.wait()
            self._publish.clear()
            if self._status is None:
                continue
            await self._patience.until_done("writing the mapping's status document", partial(self._write, self._status))

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

    async def _write(self, status: JsonObject) -> None:
        if status["status"] == State.OK and self.current is not None:
            await self._database.put_local(LAST_GOOD, {"document": self.current.document})
        present = await self._database.get(STATUS_ID)
        if present is not None:
            if all(present.get(key) == value for key, value in status.items()):
                return
            status = {**status, "_rev": present["_rev"]}
        try:
            await self._database.put({**status, "updated_at": to_text(utc_now())})
        except Conflict:
            # Somebody else wrote it in between; what we know is newer.
            self._publish.set()


def _listed(problems: list[Problem] | tuple[Problem, ...]) -> list[JsonValue]:
    return [{"path": problem.path, "reason": problem.reason} for problem in problems]
