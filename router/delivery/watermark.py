"""Pure: how far the feed has been dealt with without a gap, though its rows end in any order."""

from collections import deque
from dataclasses import dataclass

from router.documents.json_types import JsonValue


@dataclass(eq=False, slots=True)
class Ticket:
    """One feed row that is being dealt with. It is done when everything opened on it has been closed."""

    seq: JsonValue
    open: int = 0


class Watermark:
    """The place in the feed before which every row is done."""

    def __init__(self, position: JsonValue) -> None:
        self._position = position
        self._rows: deque[Ticket] = deque()

    @property
    def position(self) -> JsonValue:
        """The last `seq` before which nothing is open. Sequences are opaque: it is one that the feed gave, never computed."""
        return self._position

    @property
    def rows_open(self) -> int:
        """How many rows have been added since the position."""
        return len(self._rows)

    def add(self, seq: JsonValue, count: int = 0) -> Ticket:
        """The next row of the feed, with `count` things to be closed before it is done. A `seq` of None is never a position."""
        ticket = Ticket(seq, count)
        self._rows.append(ticket)
        self._advance()
        return ticket

    def close(self, ticket: Ticket) -> None:
        """One of the things opened on `ticket` is done."""
        ticket.open -= 1
        self._advance()

    def _advance(self) -> None:
        while self._rows and self._rows[0].open <= 0:
            seq = self._rows.popleft().seq
            if seq is not None:
                self._position = seq
