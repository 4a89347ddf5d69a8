"""Whom a name in `content.to` leads to, and by which way: the one function behind sending and the dry run."""

from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field

from router.channels.base import Target
from router.documents.message import USER_SIGN
from router.routing.mapping import Group, Mapping


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A group on the way, and the step before it. Ways share their beginnings: the ways along a chain take no more room
    than the chain."""

    group: str
    before: "_Step | None" = None


@dataclass(frozen=True, slots=True)
class Reached:
    """A target or a user, and the way there."""

    to: Target | str
    """The target, or the id of the user."""
    group: str
    """The name in `content.to` through which it was reached first."""
    _last: _Step = field(repr=False, compare=False)

    @property
    def via(self) -> tuple[str, ...]:
        """The names on the way, from `group` to the one that lists it."""
        groups: list[str] = []
        step: _Step | None = self._last
        while step is not None:
            groups.append(step.group)
            step = step.before
        return tuple(reversed(groups))


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a list of names leads to."""

    reached: tuple[Reached, ...]
    """Each target and each user once, in the order in which they were reached."""
    unknown: tuple[str, ...]
    """Groups that were named and that the mapping does not have."""
    empty: tuple[str, ...]
    """Groups that were named, exist, and lead to nobody."""
    followed: frozenset[str]
    """Every group that was looked into."""

    @property
    def users(self) -> list[str]:
        """The users that were reached."""
        return [one.to for one in self.reached if isinstance(one.to, str)]


NOWHERE = Resolution((), (), (), frozenset())
"""What no names at all lead to."""


def resolve(mapping: Mapping | None, names: Iterable[str]) -> Resolution:
    """Follow `names`, of groups and users, through the mapping; no mapping at all knows no group. Cycles and repetitions are
    harmless.

    Each group is looked into once, whichever of the names lead to it: what lies behind it was reached then.
    """
    groups = mapping.groups if mapping else {}
    reached: dict[tuple[str, str] | str, Reached] = {}
    distinct = list(dict.fromkeys(names))
    known = [name for name in distinct if name in groups]
    followed: set[str] = set()
    for name in distinct:
        if name.startswith(USER_SIGN):
            reached.setdefault(name[1:], Reached(name[1:], name, _Step(name)))
        if name not in groups or name in followed:
            continue
        followed.add(name)
        # Depth first with a stack of our own: a chain of a thousand groups must not be a matter of Python's call stack.
        stack = [_Step(name)]
        while stack:
            step = stack.pop()
            group = groups[step.group]
            for target in group.targets:
                reached.setdefault((target.channel, target.identity), Reached(target, name, step))
            for user in group.users:
                reached.setdefault(user, Reached(user, name, step))
            for other in reversed(group.included):
                if other in groups and other not in followed:
                    followed.add(other)
                    stack.append(_Step(other, step))
    hollow = _leading_nowhere(groups, followed)
    return Resolution(
        tuple(reached.values()),
        tuple(name for name in distinct if name not in groups and not name.startswith(USER_SIGN)),
        tuple(name for name in known if name in hollow),
        frozenset(followed),
    )


def _leading_nowhere(groups: MappingOf[str, Group], followed: set[str]) -> set[str]:
    """Those of the groups, which are all that lead on from each other, from which nobody can be reached."""
    leads = [name for name in followed if groups[name].has_anybody]
    if len(leads) == len(followed):
        return set()
    included_by: dict[str, list[str]] = {}
    for name in followed:
        for other in groups[name].included:
            included_by.setdefault(other, []).append(name)
    hollow = followed.difference(leads)
    while leads:
        for outer in included_by.get(leads.pop(), ()):
            if outer in hollow:
                hollow.remove(outer)
                leads.append(outer)
    return hollow
