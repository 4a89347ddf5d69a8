"""`router route`: who would get it, by the very function that routes messages."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from router.commands.mapping import in_force_despite
from router.commands.output import BadArgument, Exit, complain, counted, print_json, print_table, say, shortened, warn
from router.couch.database import Database
from router.documents.json_types import JsonValue
from router.documents.message import check_group_name
from router.documents.problems import InvalidDocumentError, Problem
from router.routing.mapping import Mapping, Reader, read_mapping
from router.routing.resolve import Reached, Resolution, resolve

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
    """Show whom `groups` lead to, by the mapping in force where the document is invalid.

    FAILED where somebody cannot be reached. May raise any CouchError; BadArgument for a group name or an expectation that
    is none.
    """
    expected = read_expectation(expect) if expect is not None else None
    for group in groups:
        try:
            check_group_name(group)
        except ValueError as error:
            raise BadArgument(f"GROUP {error}; in a shell, quote it: '#admins'") from None
    document = await database.get(mapping_id)
    if document is None:
        complain(f"there is no mapping document {mapping_id!r}; write one with `router mapping push FILE`")
        return Exit.FAILED
    about_document: list[Problem] = []
    try:
        mapping = read_mapping(document, readers)
    except InvalidDocumentError as error:
        last, about_document = await in_force_despite(error.problems, database, mapping_id, readers)
        if last is None:
            for problem in about_document:
                complain(str(problem))
            return Exit.FAILED
        mapping = last
    resolution = resolve(mapping, groups)
    answer = Answer(mapping, resolution, [*about_document, *_warnings(resolution, mapping)], frozenset(readers))
    if as_json:
        print_json(answer.as_json)
    else:
        _show(answer)
    if expected is not None and answer.counts != expected:
        complain(f"expected {_in_words(expected)}, got {_in_words(answer.counts)}")
        return Exit.FAILED
    return Exit.FAILED if answer.errors else Exit.OK


@dataclass(frozen=True, slots=True)
class Answer:
    """Who would get a message, and what is wrong or odd about that."""

    mapping: Mapping
    resolution: Resolution
    warnings: list[Problem]
    channels: frozenset[str]
    """The channels that this router knows: a target of another one can never be reached."""

    def can_reach(self, reached: Reached) -> bool:
        """Whether the router has the channel of this target at all."""
        return reached.target.channel in self.channels

    @property
    def counts(self) -> Counter[str]:
        """How many targets there are to reach, by channel."""
        return Counter(reached.target.channel for reached in self.resolution.reached if self.can_reach(reached))

    @property
    def errors(self) -> list[Problem]:
        """Why somebody would not get the message."""
        found = [Problem(group, "the mapping has no such group") for group in self.resolution.unknown]
        found += [Problem(group, "leads to no target") for group in self.resolution.empty]
        lost = Counter(r.target.channel for r in self.resolution.reached if not self.can_reach(r))
        found += [
            Problem(channel, f"{counted(count, 'target')} can never be reached: this router knows no such channel")
            for channel, count in lost.items()
        ]
        return found

    @property
    def as_json(self) -> JsonValue:
        """All of it, for programs."""
        return {
            "mapping_rev": self.mapping.rev,
            "targets": [
                {
                    "channel": r.target.channel,
                    "target": r.target.shown,
                    "group": r.group,
                    "via": list(r.via),
                    "channel_known": self.can_reach(r),
                }
                for r in self.resolution.reached
            ],
            "unknown": list(self.resolution.unknown),
            "empty": list(self.resolution.empty),
            "problems": [
                {"severity": severity, "path": problem.path, "reason": problem.reason}
                for severity, problems in (("error", self.errors), ("warning", self.warnings))
                for problem in problems
            ],
        }


def _show(answer: Answer) -> None:
    for warning in answer.warnings:
        warn(str(warning))
    print_table(
        ("channel", "target", "through"),
        [
            (
                r.target.channel if answer.can_reach(r) else f"{r.target.channel} (unknown)",
                shortened(r.target.shown),
                " > ".join(r.via),
            )
            for r in answer.resolution.reached
        ],
    )
    for problem in answer.errors:
        complain(str(problem))
    counts = answer.counts
    say(f"{counted(counts.total(), 'target')}: {_in_words(counts)}")


def _warnings(resolution: Resolution, mapping: Mapping) -> list[Problem]:
    # A problem of a group that plays no part here would only distract.
    return [w for w in mapping.warnings if any(w.path.startswith(f"mapping.{group}.") for group in resolution.followed)]


def _in_words(counts: Counter[str]) -> str:
    return " ".join(f"{channel}={count}" for channel, count in sorted(counts.items())) or "nobody"
