"""Pure: which groups are not the same in two mappings."""

from dataclasses import dataclass

from router.commands.output import shortened
from router.documents.json_types import JsonValue

MOST_NAMES = 10
"""How many groups of each kind of change are named in a line."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The names of the groups that one mapping has otherwise than the one before."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """A line for each kind of change, for people."""
        found = {"added": self.added, "changed": self.changed, "removed": self.removed}
        return [f"{what}: {_first(names)}" for what, names in found.items() if names] or ["no group is changed"]


def changes_between(before: JsonValue, after: JsonValue) -> Changes:
    """What is changed from `before` to `after`, each what stands under `mapping` of a document."""
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    return Changes(
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in new if name in old and new[name] != old[name]),
        removed=tuple(name for name in old if name not in new),
    )


def _first(names: tuple[str, ...]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(map(shortened, names[:MOST_NAMES])) + (f" and {more} more" if more > 0 else "")
