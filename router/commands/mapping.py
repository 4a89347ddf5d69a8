"""`router mapping`: show, validate and push the mapping document."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from router.commands.mapping_changes import Changes, changes_between
from router.commands.mapping_file import read_file
from router.commands.mapping_in_force import find_mapping, never_written
from router.commands.output import BadArgument, Exit, complain, counted, print_json, print_table, say, shortened, warn
from router.couch.database import Database
from router.couch.errors import Conflict
from router.couch.mapping_store import STATUS_ID, revision_in_force
from router.documents.json_types import JsonObject, JsonValue
from router.documents.problems import InvalidDocumentError, Problem, shown
from router.routing.mapping import Mapping, Reader, read_mapping


@dataclass(frozen=True, slots=True)
class Reading:
    """What is to be said of a mapping in a file."""

    mapping: Mapping | None
    """None when it is invalid."""
    errors: Sequence[Problem]
    warnings: Sequence[Problem]

    def tell(self) -> None:
        """Say it to people."""
        for error in self.errors:
            complain(str(error))
        for warning in self.warnings:
            warn(str(warning))

    def as_json(self, *more: Problem) -> list[JsonValue]:
        """The same, and `more` errors, for programs."""
        found = [("error", problem) for problem in (*self.errors, *more)] + [("warning", w) for w in self.warnings]
        return [{"severity": severity, "path": problem.path, "reason": problem.reason} for severity, problem in found]


def read(document: JsonObject, readers: dict[str, Reader]) -> Reading:
    """Read a mapping that is to be written."""
    try:
        mapping = read_mapping(document, readers)
    except InvalidDocumentError as error:
        return Reading(None, error.problems, ())
    if mapping.groups:
        return Reading(mapping, (), mapping.warnings)
    empty = Problem("mapping", "has no group, so nobody gets anything that is sent to one")
    return Reading(mapping, (), (*mapping.warnings, empty))


def validate_command(path: Path, mapping_id: str, readers: dict[str, Reader], *, as_json: bool = False) -> Exit:
    """Say whether the mapping in a file is valid. Raises BadArgument."""
    reading = read(read_file(path, mapping_id), readers)
    groups = None if reading.mapping is None else len(reading.mapping.groups)
    if as_json:
        print_json({"valid": groups is not None, "groups": groups, "problems": reading.as_json()})
    else:
        reading.tell()
    if groups is None:
        return Exit.FAILED
    if not as_json:
        say(f"{path}: valid, {counted(groups, 'group')}")
    return Exit.OK


async def push_command(
    database: Database,
    path: Path,
    mapping_id: str,
    readers: dict[str, Reader],
    *,
    dry_run: bool = False,
    as_json: bool = False,
) -> Exit:
    """Write the mapping in a file over the one in CouchDB, if it is valid, and say which groups that changes.

    What has a `_rev` is written only over that revision. A dry run says all that and writes nothing. Raises BadArgument and
    any CouchError.
    """
    document = read_file(path, mapping_id)
    if document["_id"] != mapping_id:
        raise BadArgument(
            f"{path}: its _id is {shown(document['_id'])}, and the mapping document is {mapping_id!r}; correct the one in "
            "the file, or ROUTER_COUCHDB__MAPPING_ID"
        )
    reading = read(document, readers)
    if not as_json:
        reading.tell()
    if reading.mapping is None:
        return _pushed(reading, as_json=as_json)
    found = await find_mapping(database, mapping_id, readers)
    present = None if found.document is None else str(found.document["_rev"])
    if "_rev" in document and document["_rev"] != present:
        return _pushed(reading, refused=_stale(mapping_id, document["_rev"], present), as_json=as_json)
    before = found.mapping.document.get("mapping") if found.mapping else None
    changes = changes_between(before, document["mapping"])
    if dry_run:
        if not as_json:
            over = "it would be new" if present is None else f"to be replaced: revision {present}"
            say(f"{mapping_id}: nothing is written; {over}")
        return _pushed(reading, changes, as_json=as_json)
    if present is not None:
        document["_rev"] = present
    try:
        rev = await database.put(document)
    except Conflict:
        just_now = Problem(mapping_id, "somebody else has saved it this very moment; look what, and push again")
        return _pushed(reading, refused=just_now, as_json=as_json)
    if not as_json:
        say(f"{mapping_id}: written, revision {rev}")
    return _pushed(reading, changes, rev=rev, as_json=as_json)


def _stale(mapping_id: str, rev: JsonValue, present: str | None) -> Problem:
    now = "it was deleted since" if present is None else f"revision {present} is there now"
    return Problem(
        "_rev",
        f"the file was made from revision {shown(rev)} of {mapping_id}, and {now}; take over what others changed (`router "
        "mapping show --json`), or take `_rev` out of the file to replace the whole mapping",
    )


def _pushed(
    reading: Reading,
    changes: Changes | None = None,
    *,
    rev: str | None = None,
    refused: Problem | None = None,
    as_json: bool,
) -> Exit:
    """Say what a push changed or would change, or why it was refused; without `changes` it has failed."""
    if as_json:
        about = changes or Changes()
        print_json(
            {
                "written": rev is not None,
                "revision": rev,
                "groups": None if reading.mapping is None else len(reading.mapping.groups),
                "added": list(about.added),
                "changed": list(about.changed),
                "removed": list(about.removed),
                "problems": reading.as_json(*([refused] if refused else [])),
            }
        )
    elif refused is not None:
        complain(str(refused))
    elif changes is not None:
        for line in changes.lines:
            say(line)
    return Exit.FAILED if changes is None else Exit.OK


async def show_command(database: Database, mapping_id: str, readers: dict[str, Reader], *, as_json: bool) -> Exit:
    """Show the mapping in force, and what the router said of it. FAILED where that is not the document's. May raise any
    CouchError."""
    found = await find_mapping(database, mapping_id, readers)
    mapping = found.mapping
    if found.document is None and mapping is None:
        complain(never_written(mapping_id))
        return Exit.FAILED
    for problem in found.problems:
        warn(str(problem))
    if mapping is None:
        return Exit.FAILED
    if found.problems:
        _show(mapping, as_json=as_json)
        return Exit.FAILED
    _show(mapping, as_json=as_json)
    if as_json:
        return Exit.OK
    try:
        in_force = revision_in_force(await database.get(STATUS_ID))
    except ValueError as damage:
        complain(str(damage))
        return Exit.FAILED
    if in_force == mapping.rev:
        say(f"revision {mapping.rev}, in force")
    else:
        say(f"revision {mapping.rev}; the router has {in_force or 'none'} in force (is it running?)")
    return Exit.OK


def _show(mapping: Mapping, *, as_json: bool) -> None:
    if as_json:
        print_json(mapping.document)
        return
    for warning in mapping.warnings:
        warn(str(warning))
    rows = []
    for name, group in mapping.groups.items():
        rows += [(name, target.channel, shortened(target.shown)) for target in group.targets]
        rows += [(name, "groups", other) for other in group.included]
        rows += [(name, "users", user) for user in group.users]
    print_table(("group", "channel", "target"), rows)
