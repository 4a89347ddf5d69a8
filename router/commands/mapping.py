"""`router mapping`: show, validate and push the mapping document."""

from pathlib import Path

from router.commands.mapping_file import read_file
from router.commands.output import BadArgument, Exit, complain, counted, print_json, print_table, say, shortened, warn
from router.couch.database import Database
from router.couch.mapping_store import LAST_GOOD, STATUS_ID, revision_in_force
from router.documents.json_types import JsonObject, JsonValue
from router.documents.problems import InvalidDocumentError, Problem, shown
from router.routing.mapping import Mapping, Reader, read_mapping

MOST_NAMES = 10
"""How many groups of each kind of change are named after a push."""


def validate(document: JsonObject, readers: dict[str, Reader]) -> Mapping | None:
    """Read the mapping and tell what is wrong or odd; None when it is invalid."""
    try:
        mapping = read_mapping(document, readers)
    except InvalidDocumentError as error:
        for problem in error.problems:
            complain(str(problem))
        return None
    for warning in mapping.warnings:
        warn(str(warning))
    return mapping


async def last_good(database: Database, readers: dict[str, Reader]) -> Mapping | None:
    """The mapping by which the router goes on while the document is invalid; None when there is none that can be read.

    May raise any CouchError.
    """
    saved = await database.get_local(LAST_GOOD)
    document = saved.get("document") if saved else None
    if not isinstance(document, dict):
        return None
    try:
        return read_mapping(document, readers)
    except InvalidDocumentError:
        return None


async def in_force_despite(
    problems: list[Problem], database: Database, mapping_id: str, readers: dict[str, Reader]
) -> tuple[Mapping | None, list[Problem]]:
    """The last good mapping while the document has `problems`, and all there is to say of that. May raise any CouchError."""
    mapping = await last_good(database, readers)
    instead = f"the last good one, revision {mapping.rev}, is in force" if mapping else "there is no good one to go by"
    return mapping, [*problems, Problem(mapping_id, f"the mapping document is invalid; {instead}")]


def validate_command(path: Path, mapping_id: str, readers: dict[str, Reader]) -> Exit:
    """Say whether the mapping in a file is valid. Raises BadArgument."""
    mapping = validate(read_file(path, mapping_id), readers)
    if mapping is None:
        return Exit.FAILED
    say(f"{path}: valid, {counted(len(mapping.groups), 'group')}")
    return Exit.OK


async def push_command(database: Database, path: Path, mapping_id: str, readers: dict[str, Reader]) -> Exit:
    """Write the mapping in a file over the one in CouchDB, if it is valid, and say which groups that changes.

    Raises BadArgument and any CouchError.
    """
    document = read_file(path, mapping_id)
    if document["_id"] != mapping_id:
        raise BadArgument(
            f"{path}: its _id is {shown(document['_id'])}, and the mapping document is {mapping_id!r}; correct the one in "
            "the file, or ROUTER_COUCHDB__MAPPING_ID"
        )
    if validate(document, readers) is None:
        return Exit.FAILED
    present = await database.get(mapping_id)
    if present is not None:
        document["_rev"] = present["_rev"]
    else:
        document.pop("_rev", None)
    rev = await database.put(document)
    say(f"{mapping_id}: written, revision {rev}")
    for line in changes((present or {}).get("mapping"), document["mapping"]):
        say(line)
    return Exit.OK


def changes(before: JsonValue, after: JsonValue) -> list[str]:
    """Which groups are not the same in two mappings (what stands under `mapping`), a line for each kind of change."""
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    found = {
        "added": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "removed": [name for name in old if name not in new],
    }
    return [f"{what}: {_first(names)}" for what, names in found.items() if names] or ["no group is changed"]


def _first(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(map(shortened, names[:MOST_NAMES])) + (f" and {more} more" if more > 0 else "")


async def show_command(database: Database, mapping_id: str, readers: dict[str, Reader], *, as_json: bool) -> Exit:
    """Show the mapping document, and what the router said of it. May raise any CouchError."""
    document = await database.get(mapping_id)
    if document is None:
        complain(f"there is no mapping document {mapping_id!r}; write one with `router mapping push FILE`")
        return Exit.FAILED
    try:
        mapping = read_mapping(document, readers)
    except InvalidDocumentError as error:
        good, problems = await in_force_despite(error.problems, database, mapping_id, readers)
        for problem in problems:
            warn(str(problem))
        if good is not None:
            _show(good, as_json=as_json)
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
