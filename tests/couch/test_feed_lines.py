"""Lines come out whole and in order wherever the stream was cut, and never take more memory than allowed."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.couch.lines import HEAD_BYTES, TAIL_BYTES, LineSplitter, OversizedLine


def split_at(stream: bytes, cuts: list[int]) -> list[bytes]:
    """`stream` in pieces, cut at `cuts`."""
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(places)]


def lines_of(pieces: list[bytes], limit: int) -> list[bytes | OversizedLine]:
    splitter = LineSplitter(limit)
    return [line for piece in pieces for line in splitter.feed(piece)]


bodies = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="a\u2028\u2029\u0085\r\x0b\x0c\x1c\x1eé😀\n", max_size=40).map(lambda text: text.encode()),
)


@given(bodies, st.lists(st.integers(0, 500), max_size=8), st.integers(1, 30))
def test_cuts_make_no_difference(stream: bytes, cuts: list[int], limit: int) -> None:
    *whole, _unfinished = stream.split(b"\n")
    expected = [
        line if len(line) <= limit else OversizedLine(line[:HEAD_BYTES], line[-TAIL_BYTES:], len(line))
        for line in whole
    ]
    assert lines_of(split_at(stream, cuts), limit) == expected


@given(st.lists(st.integers(0, 10**6), max_size=12), st.integers(0, 3))
def test_cuts_make_no_difference_to_what_is_kept_of_a_long_line(cuts: list[int], which: int) -> None:
    size = (HEAD_BYTES - 1, HEAD_BYTES + 1, HEAD_BYTES + TAIL_BYTES, 100_000)[which]
    line = bytes(index * 7 % 251 or 1 for index in range(size)).replace(b"\n", b"x")
    kept, after = lines_of(split_at(line + b"\nshort\n", cuts), 1024)
    assert kept == OversizedLine(line[:HEAD_BYTES], line[-TAIL_BYTES:], size)
    assert after == b"short"


@pytest.mark.parametrize(("size", "passes"), [(1023, True), (1024, True), (1025, False)])
@pytest.mark.parametrize("piece_bytes", [1, 7, 1024, 1025, 5000])
def test_the_limit_is_exact(size: int, passes: bool, piece_bytes: int) -> None:
    stream = b"x" * size + b"\n"
    (line,) = lines_of([stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes)], 1024)
    assert (line == b"x" * size) is passes
    assert isinstance(line, OversizedLine) is not passes


def test_an_endless_line_takes_no_memory() -> None:
    splitter = LineSplitter(1024 * 1024)
    piece = b"x" * 65536
    tracemalloc.start()
    try:
        for _ in range(1024):
            assert splitter.feed(piece) == []
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3 * 1024 * 1024
    (line,) = splitter.feed(b"\n")
    assert isinstance(line, OversizedLine)
    assert line.size_bytes == 64 * 1024 * 1024
