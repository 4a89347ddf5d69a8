"""Pure: which notifications the feed has told of lately, to tell new ones from changes, and repeated rows from both."""

from collections import OrderedDict
from enum import Enum, auto
from typing import Final

from router.couch.rows import FeedRow
from router.stream.telling import is_first, made_at_ms

MOST_KEPT: Final = 10_000
"""How many notifications are kept in mind, those told of last. About 3 MB."""
WRITING_MS: Final = 5_000
"""So much later than it is made a notification may be written, as a rule; one that waited for a retry may be later still."""

LONG_MS: Final = 3_600_000
"""One that waits an hour for a retry is rare enough to be taken for one that comes again."""


class News(Enum):
    """What a row is to those who heard all rows before it."""

    NEW = auto()
    CHANGED = auto()
    REPEATED = auto()
    """The very same revision was told of before."""


def is_new(row: FeedRow, known_until_ms: int) -> bool:
    """Whether `row` is of a notification that nobody has changed, or of one made after `known_until_ms`. Until then all are
    known.

    A feed tells only a document's latest revision: one that was written and marked read in between comes as changed.
    """
    return is_first(row) or made_at_ms(row.id) > known_until_ms


class Memory:
    """Of the latest notifications, their latest revisions."""

    def __init__(self, began_ms: int, most_kept: int = MOST_KEPT) -> None:
        """`began_ms` is when the feed began to be followed, in milliseconds since 1970: those made before count as known."""
        self.known_until_ms = began_ms - WRITING_MS
        self._most_kept = most_kept
        self._revs: OrderedDict[str, str | None] = OrderedDict()

    def take(self, row: FeedRow) -> News:
        """Keep `row` in mind, and say what it is."""
        revs = self._revs
        if row.id in revs:
            before, revs[row.id] = revs[row.id], row.rev
            revs.move_to_end(row.id)
            return News.REPEATED if before == row.rev else News.CHANGED
        revs[row.id] = row.rev
        if len(revs) > self._most_kept:
            forgotten, _ = revs.popitem(last=False)
            self.known_until_ms = max(self.known_until_ms, made_at_ms(forgotten))
        return News.NEW if is_new(row, self.known_until_ms) else News.CHANGED

    def is_long_known(self, row: FeedRow) -> bool:
        """Whether `row` is that of an unchanged notification made long before the oldest that is kept in mind."""
        return is_first(row) and row.id not in self._revs and made_at_ms(row.id) < self.known_until_ms - LONG_MS
