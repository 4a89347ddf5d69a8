"""Pure: whose turn it is when messages of several priorities wait: the urgent pass, and nobody waits for ever."""

from collections.abc import Sequence

from router.documents.delivery import Priority

RANKS: dict[Priority, int] = {"critical": 0, "normal": 1, "low": 2}
"""What comes first has the lower rank."""

MOST_PASSED_OVER = (0, 3, 7)
"""Which rank was passed over so often in a row has the next turn. Where all three wait, of eight turns about five go to the
critical ones, two to the normal ones and one to the low ones; a critical one that comes alone passes all normal ones."""


class Turns:
    """Chooses among ranks, turn by turn."""

    def __init__(self) -> None:
        self._passed_over = [0] * len(RANKS)

    def next(self, waiting: Sequence[object]) -> int:
        """The rank whose turn it is, of those for which something waits. Raises ValueError when nothing does."""
        for rank in (2, 1):
            if waiting[rank] and self._passed_over[rank] >= MOST_PASSED_OVER[rank]:
                return rank
        for rank in (0, 1, 2):
            if waiting[rank]:
                return rank
        raise ValueError("nothing waits")

    def choose(self, waiting: Sequence[object]) -> int:
        """The same, which has had its turn then."""
        chosen = self.next(waiting)
        for rank in (1, 2):
            self._passed_over[rank] = self._passed_over[rank] + 1 if waiting[rank] and rank != chosen else 0
        return chosen
