"""`router mapping`: show, validate and push the mapping document."""

from pathlib import Path

import orjson

from router.commands.output import BadArgument, Exit, complain, print_json, print_table, say
from router.couch.database import Database
from router.couch.mapping_store import STATUS_ID
from router.documents.json_types import JsonObject
from router.routing.mapping import InvalidMappingError, Mapping, Reader, read_mapping


def read_file(path: Path, mapping_id: str) -> JsonObject:
    """The mapping document in a file: the whole document, or only what stands under `mapping`. Raises BadArgument."""
    try:
        value = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadArgument(f"{path}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise BadArgument(f"{path}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    if not isinstance(value, dict):
        raise BadArgument(f"{path}: must hold a JSON object")
    if "mapping" not in value and all(key.startswith("#") for key in value):
        value = {"mapping": value}
    return {**value, "_id": mapping_id}


def validate(document: JsonObject, readers: dict[str, Reader]) -> Mapping | None:
    """Read the mapping and tell what is wrong or odd; None when it is invalid."""
    try:
        mapping = read_mapping(document, readers)
    except InvalidMappingError as error:
        for problem in error.problems:
            complain(str(problem))
        return None
    for warning in mapping.warnings:
        say(f"warning: {warning}")
    return mapping


def validate_command(path: Path, mapping_id: str, readers: dict[str, Reader]) -> Exit:
    """Say whether the mapping in a file is valid. Raises BadArgument."""
    mapping = validate(read_file(path, mapping_id), readers)
    if mapping is None:
        return Exit.FAILED
    say(f"{path}: valid, {len(mapping.groups)} groups")
    return Exit.OK


async def push_command(database: Database, path: Path, mapping_id: str, readers: dict[str, Reader]) -> Exit:
    """Write the mapping in a file over the one in CouchDB, if it is valid. Raises BadArgument and any CouchError."""
    document = read_file(path, mapping_id)
    if validate(document, readers) is None:
        return Exit.FAILED
    present = await database.get(mapping_id)
    if present is not None:
        document["_rev"] = present["_rev"]
    else:
        document.pop("_rev", None)
    rev = await database.put(document)
    say(f"{mapping_id}: written, revision {rev}")
    return Exit.OK


async def show_command(database: Database, mapping_id: str, readers: dict[str, Reader], *, as_json: bool) -> Exit:
    """Show the mapping document, and what the router said of it. May raise any CouchError."""
    document = await database.get(mapping_id)
    if document is None:
        complain(f"there is no mapping document {mapping_id!r}; write one with `router mapping push FILE`")
        return Exit.FAILED
    if as_json:
        print_json(document)
        return Exit.OK
    mapping = validate(document, readers)
    if mapping is None:
        return Exit.FAILED
    rows = []
    for name, group in mapping.groups.items():
        rows += [(name, target.channel, target.shown) for target in group.targets]
        rows += [(name, "groups", other) for other in group.included]
    print_table(("group", "channel", "target"), rows)
    status = await database.get(STATUS_ID)
    in_force = status.get("in_force_rev") if status else None
    if in_force == mapping.rev:
        say(f"revision {mapping.rev}, in force")
    else:
        say(f"revision {mapping.rev}; the router has {in_force or 'none'} in force (is it running?)")
    return Exit.OK
