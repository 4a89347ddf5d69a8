"""`router check`: everything that can be tried without telling anybody anything, as a table."""

import asyncio
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass

from router.channels.registry import AnyKind
from router.commands.mapping_in_force import find_mapping, never_written
from router.commands.output import Exit, counted, print_json, print_table, say
from router.couch.database import Database
from router.couch.design import design_documents
from router.couch.errors import CouchError
from router.couch.mapping_store import STATUS_ID, revision_in_force
from router.documents.problems import InvalidDocumentError, Problem
from router.routing.catalogue import read_catalogue
from router.routing.mapping import Mapping, Reader
from router.settings import CouchDBSettings, Settings
from router.settings_loading import channel_settings

CHANNEL_TIMEOUT_SECONDS = 30.0
"""How long one channel's check may take in all."""
MOST_LISTED = 20
"""How many problems of the mapping stand in the table."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    part: str
    what: str
    state: str
    """`ok`; `odd` for what makes the rest no worse; `wrong`; or `off` for a channel of which nothing is set and that the mapping
    does not use."""
    detail: str


async def check_command(
    settings: Settings, kinds: MappingOf[str, AnyKind], readers: dict[str, Reader], *, as_json: bool
) -> Exit:
    """Check settings, CouchDB, the mapping and each channel; FAILED if anything is wrong, not if it is odd."""
    findings = [Finding("settings", "read", "ok", "all variables are understood")]
    used, about_couchdb = await _check_couchdb(settings, readers)
    findings += about_couchdb
    # Side by side: a channel that does not answer must not make the others wait.
    async with Database(settings.couchdb) as database:
        for found in await asyncio.gather(
            *(_check_channel(settings, database, kind, name in used) for name, kind in kinds.items())
        ):
            findings += found
    if as_json:
        print_json([{"part": f.part, "check": f.what, "state": f.state, "detail": f.detail} for f in findings])
    else:
        print_table(("part", "check", "state", "detail"), [(f.part, f.what, f.state, f.detail) for f in findings])
    wrong = sum(finding.state == "wrong" for finding in findings)
    odd = sum(finding.state == "odd" for finding in findings)
    if wrong and not as_json:
        say(f"{wrong} of {len(findings)} checks found something wrong")
    if odd and not as_json:
        say(f"{odd} of {len(findings)} checks found something odd, which stops nothing else")
    return Exit.FAILED if wrong else Exit.OK


async def _check_couchdb(settings: Settings, readers: dict[str, Reader]) -> tuple[set[str], list[Finding]]:
    """What there is to say of CouchDB and the mapping, and the channels that the mapping uses."""
    findings: list[Finding] = []
    used: set[str] = set()
    async with Database(settings.couchdb) as database:
        step = "reach"
        try:
            info = await database.server_info()
            findings.append(
                _ok("couchdb", step, f"{database.session.login.server}, version {info.get('version', '?')}")
            )
            step = "log in"
            user = await database.user()
            findings.append(
                _ok("couchdb", step, f"as {user.name or 'nobody'}, roles {', '.join(user.roles) or 'none'}")
            )
            step = "database"
            await database.info()
            findings.append(_ok("couchdb", step, database.name))
            step = "design documents"
            findings += await _check_designs(database, settings.couchdb)
            step = "read"
            used = await _check_mapping(database, settings.couchdb.mapping_id, readers, findings)
            findings += await _check_catalogue(database, settings.couchdb.catalogue_id, frozenset(readers))
        except CouchError as error:
            findings.append(_wrong("couchdb", step, str(error)))
    return used, findings


async def _check_designs(database: Database, settings: CouchDBSettings) -> list[Finding]:
    wanted = {
        str(document["_id"]): document for document in design_documents(settings.mapping_id, settings.catalogue_id)
    }
    found = await database.get_many(wanted)
    findings = []
    for design_id, document in wanted.items():
        present = found.get(design_id)
        if present is not None and present.get("content_hash") == document["content_hash"]:
            findings.append(_ok("couchdb", "design documents", f"{design_id} is current"))
        else:
            state = "is missing" if present is None else "is another version's"
            detail = f"{design_id} {state}: run `router setup` as a server admin"
            findings.append(_wrong("couchdb", "design documents", detail))
    return findings


async def _check_mapping(
    database: Database, mapping_id: str, readers: dict[str, Reader], findings: list[Finding]
) -> set[str]:
    found = await find_mapping(database, mapping_id, readers)
    document, mapping = found.document, found.mapping
    if mapping is not None and not found.problems:
        read = f"{mapping_id}, revision {mapping.rev}, {counted(len(mapping.groups), 'group')}"
        findings.append(_ok("mapping", "read", read))
        findings += _listed(mapping.warnings, "odd")
    elif document is None:
        findings.append(_wrong("mapping", "read", never_written(mapping_id)))
    else:
        # The last one says which mapping is in force instead, which has a row of its own.
        problems = found.problems[:-1]
        read = f"{mapping_id}, revision {document['_rev']}, is invalid: {counted(len(problems), 'problem')}"
        findings.append(_wrong("mapping", "read", read))
        findings += _listed(problems, "wrong")
    findings += await _check_in_force(database, mapping, is_expected=not found.problems)
    # What is in force is what is sent by.
    return {target.channel for group in mapping.groups.values() for target in group.targets} if mapping else set()


async def _check_in_force(database: Database, mapping: Mapping | None, *, is_expected: bool) -> list[Finding]:
    """The revision in force, as the router says; `mapping` is the one that should be, the document's where that `is_expected`."""
    try:
        rev = revision_in_force(await database.get(STATUS_ID))
    except ValueError as damage:
        return [_wrong("mapping", "in force", str(damage))]
    if rev is None:
        return [Finding("mapping", "in force", "off", "none, says the router, or it has never run")] if mapping else []
    if not is_expected:
        return [_ok("mapping", "in force", f"the last good one, revision {rev}")]
    if mapping is not None and mapping.rev != rev:
        return [Finding("mapping", "in force", "odd", f"revision {rev}, not the newest: is the router running?")]
    return [_ok("mapping", "in force", f"revision {rev}")]


async def _check_catalogue(database: Database, catalogue_id: str, channels: frozenset[str]) -> list[Finding]:
    document = await database.get(catalogue_id)
    if document is None:
        return [
            Finding("catalogue", "read", "off", f"there is no {catalogue_id!r}: users' preferences are all there is")
        ]
    try:
        catalogue = read_catalogue(document, channels)
    except InvalidDocumentError as error:
        return _listed(error.problems, "wrong", "catalogue")
    detail = f"{catalogue_id}, revision {catalogue.rev}, {counted(len(catalogue.groups), 'notification group')}"
    return [_ok("catalogue", "read", detail), *_listed(catalogue.warnings, "odd", "catalogue")]


def _listed(problems: Sequence[Problem], state: str, part: str = "mapping") -> list[Finding]:
    found = [Finding(part, problem.path, state, problem.reason) for problem in problems[:MOST_LISTED]]
    more = len(problems) - MOST_LISTED
    if more > 0:
        found.append(Finding(part, f"and {more} more", state, f"the document router:{part}-status lists them"))
    return found


async def _check_channel(settings: Settings, database: Database, kind: AnyKind, is_used: bool) -> list[Finding]:
    section = channel_settings(settings, kind.name)
    missing = kind.missing(section)
    if missing is not None:
        # Whoever set one of its variables means to use it.
        is_wanted = is_used or bool(section.model_fields_set)
        return [Finding(kind.name, "settings", "wrong" if is_wanted else "off", missing)]
    channel = kind.opened(section, database)
    try:
        async with asyncio.timeout(CHANNEL_TIMEOUT_SECONDS):
            results = await channel.check()
    except TimeoutError:
        return [_wrong(kind.name, "answer", f"no answer within {CHANNEL_TIMEOUT_SECONDS:g} seconds")]
    finally:
        await channel.close()
    return [Finding(kind.name, result.what, "ok" if result.ok else "wrong", result.detail) for result in results]


def _ok(part: str, what: str, detail: str) -> Finding:
    return Finding(part, what, "ok", detail)


def _wrong(part: str, what: str, detail: str) -> Finding:
    return Finding(part, what, "wrong", detail)
