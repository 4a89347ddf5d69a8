"""`router route`: who would get it, by the very function that routes messages."""

import re
from collections import Counter
from collections.abc import Sequence

from router.commands.output import BadArgument, Exit, complain, print_json, print_table, say
from router.couch.database import Database
from router.documents.json_types import JsonValue
from router.documents.message import check_group_name
from router.documents.problems import Problem
from router.routing.mapping import InvalidMappingError, Mapping, Reader, read_mapping
from router.routing.resolve import Resolution, resolve

_EXPECTATION = re.compile(r"(?P<channel>[^\s=]+)=(?P<count>\d+)")


def read_expectation(text: str) -> Counter[str]:
    """`matrix=2 email=1` as counts by channel. Raises BadArgument."""
    counts: Counter[str] = Counter()
    for word in re.split(r"[\s,]+", text.strip()):
        match = _EXPECTATION.fullmatch(word)
        if match is None:
            raise BadArgument(f"--expect wants channel=number pairs such as 'matrix=2 email=1', not {text!r}")
        counts[match["channel"]] += int(match["count"])
    return counts


async def route_command(
    database: Database,
    mapping_id: str,
    readers: dict[str, Reader],
    groups: Sequence[str],
    *,
    expect: str | None,
    as_json: bool,
) -> Exit:
    """Show whom `groups` lead to. May raise any CouchError; BadArgument for a group name or an expectation that is none."""
    expected = read_expectation(expect) if expect is not None else None
    for group in groups:
        try:
            check_group_name(group)
        except ValueError as error:
            raise BadArgument(f"{group!r} {error}; in a shell, quote it: '#admins'") from None
    document = await database.get(mapping_id)
    if document is None:
        complain(f"there is no mapping document {mapping_id!r}; write one with `router mapping push FILE`")
        return Exit.FAILED
    try:
        mapping = read_mapping(document, readers)
    except InvalidMappingError as error:
        for problem in error.problems:
            complain(str(problem))
        return Exit.FAILED
    resolution = resolve(mapping, groups)
    counts = Counter(reached.target.channel for reached in resolution.reached)
    problems = _problems(resolution, mapping)
    if as_json:
        print_json(_as_json(resolution, mapping, problems))
    else:
        print_table(
            ("channel", "target", "through"),
            [(r.target.channel, r.target.shown, " > ".join(r.via)) for r in resolution.reached],
        )
        for problem in problems:
            complain(str(problem))
    if expected is not None and counts != expected:
        complain(f"expected {_in_words(expected)}, got {_in_words(counts)}")
        return Exit.FAILED
    if resolution.unknown or resolution.empty:
        return Exit.FAILED
    if not as_json:
        say(f"{len(resolution.reached)} targets: {_in_words(counts)}")
    return Exit.OK


def _problems(resolution: Resolution, mapping: Mapping) -> list[Problem]:
    found = [Problem(group, "the mapping has no such group") for group in resolution.unknown]
    found += [Problem(group, "leads to no target") for group in resolution.empty]
    # A problem of a group that plays no part here would only distract.
    found += [
        w for w in mapping.warnings if any(w.path.startswith(f"mapping.{group}.") for group in resolution.followed)
    ]
    return found


def _as_json(resolution: Resolution, mapping: Mapping, problems: list[Problem]) -> JsonValue:
    return {
        "mapping_rev": mapping.rev,
        "targets": [
            {"channel": r.target.channel, "target": r.target.shown, "group": r.group, "via": list(r.via)}
            for r in resolution.reached
        ],
        "unknown": list(resolution.unknown),
        "empty": list(resolution.empty),
        "problems": [{"path": problem.path, "reason": problem.reason} for problem in problems],
    }


def _in_words(counts: Counter[str]) -> str:
    return " ".join(f"{channel}={count}" for channel, count in sorted(counts.items())) or "nobody"
