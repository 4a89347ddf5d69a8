"""Pure: cut a stream of bytes into lines, with bounded memory whatever the stream holds."""

from dataclasses import dataclass

HEAD_BYTES = 16 * 1024
"""How much is kept of an oversized line's beginning: enough for `id` and a `seq` of some kilobytes (many shards)."""
TAIL_BYTES = 4 * 1024
"""How much is kept of its end, where PouchDB has `seq`."""


@dataclass(frozen=True, slots=True)
class OversizedLine:
    """What is left of a line that was too long to keep."""

    head: bytes
    """Its first HEAD_BYTES."""
    tail: bytes
    """Its last TAIL_BYTES."""
    size_bytes: int
    """How long it was, without its newline."""


class LineSplitter:
    """Takes bytes in whatever pieces they come, and gives complete lines.

    Only `\\n` ends a line: a document's text may hold U+2028, U+2029 and U+0085, which `str.splitlines` would cut at.
    What comes out does not depend on where the pieces were cut.
    """

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._kept = bytearray()
        self._tail = b""
        self._size_bytes = 0

    def feed(self, piece: bytes) -> list[bytes | OversizedLine]:
        """The lines that `piece` completes, in order, without their newlines. What follows the last newline is kept."""
        first, *rest = piece.split(b"\n")
        self._keep(first)
        if not rest:
            return []
        last = rest.pop()
        lines: list[bytes | OversizedLine] = [self._take()]
        limit = self._max_line_bytes
        lines.extend(line if len(line) <= limit else _oversized(line) for line in rest)
        self._keep(last)
        return lines

    def _keep(self, part: bytes) -> None:
        kept = self._kept
        if self._size_bytes <= self._max_line_bytes:
            kept += part
            self._size_bytes += len(part)
            if self._size_bytes > self._max_line_bytes:
                self._tail = bytes(kept[-TAIL_BYTES:])
                del kept[HEAD_BYTES:]
        else:
            self._size_bytes += len(part)
            self._tail = (self._tail + part)[-TAIL_BYTES:]
            if len(kept) < HEAD_BYTES:
                kept += part[: HEAD_BYTES - len(kept)]

    def _take(self) -> bytes | OversizedLine:
        line: bytes | OversizedLine
        if self._size_bytes <= self._max_line_bytes:
            line = bytes(self._kept)
        else:
            line = OversizedLine(bytes(self._kept), self._tail, self._size_bytes)
        self._kept, self._tail, self._size_bytes = bytearray(), b"", 0
        return line


def _oversized(line: bytes) -> OversizedLine:
    return OversizedLine(line[:HEAD_BYTES], line[-TAIL_BYTES:], len(line))
