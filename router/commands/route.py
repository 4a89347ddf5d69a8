"""`router route`: who would get a message, by the very functions that route messages."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from router.commands.mapping_in_force import find_mapping, never_written
from router.commands.output import BadArgument, Exit, complain, counted, print_json, print_table, say, shortened, warn
from router.couch.answers import object_of
from router.couch.catalogue_store import LAST_GOOD
from router.couch.database import Database
from router.couch.people import People
from router.documents.delivery import Priority
from router.documents.json_types import JsonValue
from router.documents.message import check_addressee
from router.documents.problems import InvalidDocumentError, Problem
from router.documents.timestamps import to_text, utc_now
from router.routing.catalogue import NO_CATALOGUE, Catalogue, read_catalogue
from router.routing.choice import Held, Topic
from router.routing.mapping import Mapping, Reader
from router.routing.person import PersonKey
from router.routing.plan import Plan, Planned, Stopped, Unreadable, plan
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


@dataclass(frozen=True, slots=True)
class About:
    """What the message would be about, as its `content` would say."""

    type: str | None = None
    event: str | None = None
    customer: str | None = None
    priority: Priority = "normal"


NOTHING_SAID = About()


async def route_command(
    database: Database,
    mapping_id: str,
    readers: dict[str, Reader],
    names: Sequence[str],
    *,
    about: About = NOTHING_SAID,
    catalogue_id: str = NO_CATALOGUE.id,
    expect: str | None,
    as_json: bool,
) -> Exit:
    """Show whom `names` lead to, and what users' preferences make of a message that is `about` this.

    By the mapping and the catalogue in force, where the documents are invalid or gone. FAILED where somebody cannot be
    reached; that users do not want it is no failure. May raise any CouchError; BadArgument for a name or an expectation that
    is none.
    """
    expected = read_expectation(expect) if expect is not None else None
    for name in names:
        try:
            check_addressee(name)
        except ValueError as error:
            raise BadArgument(f"NAME {error}; in a shell, quote it: '#admins'") from None
    try:
        mapping, odd = await _mapping(database, mapping_id, readers, is_needed=any(n.startswith("#") for n in names))
    except _NothingToGoByError as error:
        for problem in error.problems:
            complain(problem)
        return Exit.FAILED
    catalogue, odd_too = await _catalogue(database, catalogue_id, frozenset(readers))
    resolution = resolve(mapping, names)
    topic = Topic(catalogue.group_of(about.type, about.event), about.event, about.customer, about.priority)
    people = await People(database.get_many, readers, asyncio.Event()).find(
        PersonKey(user, about.customer) for user in resolution.users
    )
    planned = plan(resolution, people, topic, catalogue, utc_now())
    warnings = [*odd, *odd_too, *(_warnings(resolution, mapping) if mapping is not None else [])]
    answer = Answer(mapping, resolution, planned, warnings, frozenset(readers))
    if as_json:
        print_json(answer.as_json)
    else:
        _show(answer)
    if expected is not None and answer.counts != expected:
        complain(f"expected {_in_words(expected)}, got {_in_words(answer.counts)}")
        return Exit.FAILED
    return Exit.FAILED if answer.errors else Exit.OK


class _NothingToGoByError(Exception):
    """There is no mapping, neither in CouchDB nor a last good one."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(*problems)
        self.problems = problems


async def _mapping(
    database: Database, mapping_id: str, readers: dict[str, Reader], *, is_needed: bool
) -> tuple[Mapping | None, list[Problem]]:
    """The mapping in force, and what is odd about it. Raises _NothingToGoByError where it `is_needed`."""
    found = await find_mapping(database, mapping_id, readers)
    if found.mapping is None and is_needed:
        raise _NothingToGoByError([str(problem) for problem in found.problems] or [never_written(mapping_id)])
    return found.mapping, found.problems


async def _catalogue(
    database: Database, catalogue_id: str, channels: frozenset[str]
) -> tuple[Catalogue, list[Problem]]:
    """The catalogue in force, and what is odd about it."""
    document = await database.get(catalogue_id)
    if document is None:
        return NO_CATALOGUE, []
    try:
        catalogue = read_catalogue(document, channels)
    except InvalidDocumentError as error:
        saved = object_of((await database.get_local(LAST_GOOD) or {}).get("document"))
        problems = [*error.problems, Problem(catalogue_id, "the catalogue is invalid; the last good one is in force")]
        try:
            return read_catalogue(saved, channels), problems
        except InvalidDocumentError:
            return NO_CATALOGUE, problems
    return catalogue, list(catalogue.warnings)


@dataclass(frozen=True, slots=True)
class Answer:
    """Who would get a message, and what is wrong or odd about that."""

    mapping: Mapping | None
    resolution: Resolution
    plan: Plan
    warnings: list[Problem]
    channels: frozenset[str]
    """The channels that this router knows: a target of another one can never be reached."""

    def can_reach(self, planned: Planned) -> bool:
        """Whether the router has the channel of this target at all, and can read its address."""
        return planned.target.channel in self.channels and not isinstance(planned.ruling, Unreadable)

    @property
    def counts(self) -> Counter[str]:
        """How many targets would get it, now or later, by channel."""
        return Counter(
            one.target.channel
            for one in self.plan.planned
            if self.can_reach(one) and not isinstance(one.ruling, Stopped)
        )

    @property
    def errors(self) -> list[Problem]:
        """Why somebody would not get the message."""
        found = [Problem(group, "the mapping has no such group") for group in self.resolution.unknown]
        found += [Problem(group, "leads to no target") for group in self.resolution.empty]
        found += [Problem(name, reason) for name, reason in self.plan.nobody.items()]
        found += [
            Problem(one.target.channel, one.ruling.reason)
            for one in self.plan.planned
            if isinstance(one.ruling, Unreadable)
        ]
        lost = Counter(one.target.channel for one in self.plan.planned if one.target.channel not in self.channels)
        found += [
            Problem(channel, f"{counted(count, 'target')} can never be reached: this router knows no such channel")
            for channel, count in lost.items()
        ]
        return found

    @property
    def as_json(self) -> JsonValue:
        """All of it, for programs."""
        return {
            "mapping_rev": self.mapping.rev if self.mapping is not None else None,
            "targets": [
                {
                    "channel": one.target.channel,
                    "target": one.target.shown,
                    "group": one.reached.group,
                    "user": one.user,
                    "via": list(one.reached.via),
                    "channel_known": one.target.channel in self.channels,
                    "decision": _decision(one),
                    "rule": one.ruling.rule if isinstance(one.ruling, Stopped | Held) else None,
                }
                for one in self.plan.planned
            ],
            "nobody": dict(self.plan.nobody),
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
    # What users may decide is shown only where there are users.
    has_users = bool(answer.resolution.users)
    print_table(
        ("channel", "target", "through", *(["is"] if has_users else [])),
        [
            (
                one.target.channel if one.target.channel in answer.channels else f"{one.target.channel} (unknown)",
                shortened(one.target.shown),
                " > ".join(_way(one)),
                *([_in_a_word(one)] if has_users else []),
            )
            for one in answer.plan.planned
        ],
    )
    for problem in answer.errors:
        complain(str(problem))
    counts = answer.counts
    say(f"{counted(counts.total(), 'target')}: {_in_words(counts)}")


def _way(planned: Planned) -> list[str]:
    """The names on the way to a target, a user's own at the end."""
    via, sign = list(planned.reached.via), None if planned.user is None else f"@{planned.user}"
    return via if sign is None or via[-1] == sign else [*via, sign]


def _decision(planned: Planned) -> str:
    match planned.ruling:
        case Stopped():
            return "suppressed"
        case Held():
            return "held"
        case Unreadable():
            return "failed"
        case None:
            return "sent"


def _in_a_word(planned: Planned) -> str:
    match planned.ruling:
        case Stopped(rule=rule):
            return f"suppressed by {rule}"
        case Held(until=until, rule=rule):
            return f"held until {to_text(until)} by {rule}"
        case _:
            return _decision(planned)


def _warnings(resolution: Resolution, mapping: Mapping) -> list[Problem]:
    # A problem of a group that plays no part here would only distract.
    return [w for w in mapping.warnings if any(w.path.startswith(f"mapping.{group}.") for group in resolution.followed)]


def _in_words(counts: Counter[str]) -> str:
    return " ".join(f"{channel}={count}" for channel, count in sorted(counts.items())) or "nobody"
