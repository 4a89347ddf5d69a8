"""The mapping in force as commands find it: the document's, or the last good one while that is invalid or gone."""

from dataclasses import dataclass

from router.couch.database import Database
from router.couch.mapping_store import LAST_GOOD
from router.documents.json_types import JsonObject
from router.documents.problems import InvalidDocumentError, Problem
from router.routing.mapping import Mapping, Reader, read_mapping


@dataclass(frozen=True, slots=True)
class Found:
    """What CouchDB has of the mapping."""

    document: JsonObject | None
    """The mapping document as it stands there; None when there is none."""
    mapping: Mapping | None
    """The mapping in force; None when there is none that can be read."""
    problems: list[Problem]
    """Why it is not the document's, and which it is instead; empty where it is, and where there never was one."""


async def find_mapping(database: Database, mapping_id: str, readers: dict[str, Reader]) -> Found:
    """The mapping by which the router goes. May raise any CouchError."""
    document = await database.get(mapping_id)
    problems: list[Problem] = []
    if document is not None:
        try:
            return Found(document, read_mapping(document, readers), [])
        except InvalidDocumentError as error:
            problems = error.problems
    last_good = await _last_good(database, readers)
    if document is None and last_good is None:
        return Found(None, None, [])
    what = "there is no such document" if document is None else "the mapping document is invalid"
    instead = (
        f"the last good one, revision {last_good.rev}, is in force" if last_good else "there is no good one to go by"
    )
    return Found(document, last_good, [*problems, Problem(mapping_id, f"{what}; {instead}")])


def never_written(mapping_id: str) -> str:
    """What to say and do where there is no mapping at all."""
    return f"there is no mapping document {mapping_id!r}; write one with `router mapping push FILE`"


async def _last_good(database: Database, readers: dict[str, Reader]) -> Mapping | None:
    """The mapping by which the router goes on; None when there is none that can be read."""
    saved = await database.get_local(LAST_GOOD)
    document = saved.get("document") if saved else None
    if not isinstance(document, dict):
        return None
    try:
        return read_mapping(document, readers)
    except InvalidDocumentError:
        return None
