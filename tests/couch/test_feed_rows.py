"""What each kind of line is read as."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.couch.lines import HEAD_BYTES, TAIL_BYTES, OversizedLine
from router.couch.rows import BadLine, FeedRow, Line, StopLine, parse_line
from router.documents.json_types import JsonObject, JsonValue

DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000

LINES: list[tuple[bytes, Line]] = [
    (b"", None),
    (b"\r", None),
    (b" ", None),
    (
        b'{"seq":"5-g1","id":"a","changes":[{"rev":"1-x"}],"doc":{"_id":"a","_rev":"1-x"}}',
        FeedRow("5-g1", "a", "1-x", False, {"_id": "a", "_rev": "1-x"}),
    ),
    (b'{"id":"a","changes":[{"rev":"1-x"}],"doc":{"_id":"a"},"seq":7}\r', FeedRow(7, "a", "1-x", False, {"_id": "a"})),
    (
        b'{"seq":"5-g1","id":"a","changes":[{"rev":"2-x"}],"deleted":true,"doc":{"_id":"a","_rev":"2-x","_deleted":true}}',
        FeedRow("5-g1", "a", "2-x", True, None),
    ),
    (b'{"seq":null,"id":"a","changes":[{"rev":"1-x"},{"rev":"1-w"}],"doc":{}}', FeedRow(None, "a", "1-x", False, {})),
    (b'{"seq":[3,"g1"],"id":"a","changes":[],"doc":null}', FeedRow([3, "g1"], "a", None, False, None)),
    (b'{"seq":1,"id":"a","changes":"?","doc":[1]}', FeedRow(1, "a", None, False, None)),
    (b'{"seq":1,"id":"a"}', FeedRow(1, "a", None, False, None)),
    (
        b'{"seq":1,"id":"delivery:a:matrix:0","changes":[{"rev":"1-x"}],"doc":{"a":1}}',
        FeedRow(1, "delivery:a:matrix:0", "1-x", False, None),
    ),
    # What a delivery document tells of itself.
    (
        b'{"seq":1,"id":"delivery:a:m:0","changes":[{"rev":"3-x"}],"doc":{"_conflicts":["2-y","1-z"]}}',
        FeedRow(1, "delivery:a:m:0", "3-x", False, None, conflicts=("2-y", "1-z")),
    ),
    (
        b'{"seq":1,"id":"a","changes":[{"rev":"3-x"}],"doc":{"b":1,"_conflicts":["2-y",7]}}',
        FeedRow(1, "a", "3-x", False, {"b": 1}, conflicts=("2-y",)),
    ),
    (b'{"seq":1,"id":"a","doc":{"_conflicts":{"x":1}}}', FeedRow(1, "a", None, False, {})),
    (
        b'{"seq":1,"id":"delivery:a","deleted":true,"doc":{"_deleted":true,"_conflicts":["2-y"]}}',
        FeedRow(1, "delivery:a", None, True, None),
    ),
    (
        b'{"seq":1,"id":"_design/router","changes":[{"rev":"1-x"}],"doc":{"a":1}}',
        FeedRow(1, "_design/router", "1-x", False, None),
    ),
    (
        b'{"seq":1,"id":"router:mapping-status","changes":[{"rev":"1-x"}],"doc":{"a":1}}',
        FeedRow(1, "router:mapping-status", "1-x", False, {"a": 1}),
    ),
    (b'{"last_seq":"9-g1","pending":3}', StopLine("9-g1", 3)),
    (b'{"last_seq":null}', StopLine(None, None)),
    # A document may look like anything; the row around it decides.
    (
        b'{"seq":1,"id":"a","changes":[],"doc":{"last_seq":1,"error":"x"}}',
        FeedRow(1, "a", None, False, {"last_seq": 1, "error": "x"}),
    ),
    # Separators that only str.splitlines takes for line ends.
    (
        '{"seq":1,"id":"a","doc":{"b":"x\u2028y\u2029z\u0085"}}'.encode(),
        FeedRow(1, "a", None, False, {"b": "x\u2028y\u2029z\u0085"}),
    ),
    # Half a surrogate pair, which PouchDB keeps and orjson refuses.
    (
        rb'{"id":"a","doc":{"b":"x\ud800y","c":"\\ud800","d":"\ud83d\ude00"},"seq":1}',
        FeedRow(1, "a", None, False, {"b": "x\ufffdy", "c": "\\ud800", "d": "😀"}),
    ),
    (
        b'{"seq":1,"id":"a","changes":[{"rev":"1-x"}],"doc":' + DEEP + b"}",
        FeedRow(1, "a", "1-x", False, None, unreadable="nested too deep"),
    ),
    (
        b'{"id":"a","changes":[{"rev":"1-x"}],"doc":' + DEEP + b',"seq":12}',
        FeedRow(12, "a", "1-x", False, None, unreadable="nested too deep"),
    ),
    (
        b'{"seq":1,"id":"a","changes":[{"rev":"1-x"}],"doc":{"b":"\xff"}}',
        FeedRow(1, "a", "1-x", False, None, unreadable="not valid JSON"),
    ),
    (b'{"seq":1,"id":"a","doc":{"b":NaN}}', FeedRow(1, "a", None, False, None, unreadable="not valid JSON")),
    (
        b'{"seq":1,"id":"a","changes":[{"rev":"1-x"}],"doc":{"b":"cut',
        FeedRow(1, "a", "1-x", False, None, unreadable="not valid JSON"),
    ),
    (b'{"id":"a","seq":1x}', FeedRow(None, "a", None, False, None, unreadable="not valid JSON")),
    (b'{"seq":1,', BadLine("a row whose id cannot be found (not valid JSON)", ends_feed=False, seq=1)),
    (b'{"seq":1,"id":7}', BadLine("a line without id, last_seq and error", ends_feed=False)),
    (b"{}", BadLine("a line without id, last_seq and error", ends_feed=False)),
    (b"[]", BadLine("not a changes feed: a line that is no JSON object", ends_feed=True)),
    (b"<!doctype html>", BadLine("not a changes feed: a line that is no JSON object", ends_feed=True)),
    (b"\xff\xfe", BadLine("not a changes feed: a line that is no JSON object", ends_feed=True)),
    (
        b'{"error":"timeout","reason":"The request could not be processed in a reasonable amount of time."}',
        BadLine(
            "the server's own error in the middle of the feed: "
            "The request could not be processed in a reasonable amount of time.",
            ends_feed=True,
        ),
    ),
    (b'{"error":"boom"}', BadLine("the server's own error in the middle of the feed: boom", ends_feed=True)),
    (b'{"error":{}}', BadLine("the server's own error in the middle of the feed: no reason given", ends_feed=True)),
]


@pytest.mark.parametrize(("line", "expected"), LINES, ids=[repr(line[:50]) for line, _ in LINES])
def test_line(line: bytes, expected: Line) -> None:
    assert parse_line(line) == expected


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

DUE = "2026-11-21T08:27:00.000Z"
WAITS: JsonObject = {"type": "delivery", "status": "PENDING", "channel": "matrix", "next_attempt_at": DUE}
NOT_WAITING: list[JsonValue] = [
    *("COMPLETE", "UNCERTAIN", "FAILED", "EXPIRED", "CANCELLED", "UNROUTABLE", "pending", None, 1),
    ["PENDING"],
    {},
]


@pytest.mark.parametrize(
    ("row_id", "change", "expected"),
    [
        ("delivery:a:matrix:0", {}, ("matrix", DUE)),
        ("delivery:a:matrix:0", {"status": "WAITING_KEY_EXCHANGE"}, ("matrix", DUE)),
        ("delivery:a:matrix:0", {"next_attempt_at": None, "created_at": "earlier"}, ("matrix", "earlier")),
        ("delivery:a:matrix:0", {"next_attempt_at": "not a time"}, ("matrix", "not a time")),
        ("delivery:a:matrix:0", {"next_attempt_at": None}, ("matrix", "")),
        ("delivery:a:matrix:0", {"next_attempt_at": [1]}, ("matrix", "")),
        *[("delivery:a:matrix:0", {"status": status}, None) for status in NOT_WAITING],
        ("delivery:a", {"channel": None}, None),
        ("delivery:a:matrix:0", {"channel": ["matrix"]}, None),
        ("delivery:a:matrix:0", {"type": "note"}, None),
        ("order-42", {}, None),
    ],
)
@pytest.mark.parametrize("deleted", [False, True])
def test_a_delivery_that_is_still_to_be_sent_says_so(
    row_id: str, change: JsonObject, expected: tuple[str, str] | None, deleted: bool
) -> None:
    row: JsonObject = {"seq": 1, "id": row_id, "doc": {**WAITS, **change}}
    if deleted:
        row["deleted"] = True
    parsed = parse_line(json.dumps(row).encode())
    assert isinstance(parsed, FeedRow)
    assert parsed.waiting == (None if deleted else expected)
    assert (parsed.document is None) == (deleted or row_id.startswith("delivery:"))


@given(doc=st.dictionaries(st.sampled_from([*WAITS, "created_at", "_conflicts"]), JSON_VALUES))
def test_no_delivery_document_is_too_strange(doc: JsonObject) -> None:
    row = parse_line(json.dumps({"seq": 1, "id": "delivery:a", "doc": {**WAITS, **doc}}).encode())
    assert isinstance(row, FeedRow)
    assert row.waiting is None or all(isinstance(text, str) for text in row.waiting)
    assert all(isinstance(rev, str) for rev in row.conflicts)


def oversized(line: bytes) -> OversizedLine:
    return OversizedLine(line[:HEAD_BYTES], line[-TAIL_BYTES:], len(line))


FILL = b"x" * 50_000
TRAP = b'"seq":666,"id":"wrong","deleted":true'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"seq":"5-g1","id":"a","changes":[{"rev":"1-x"}],"doc":{"b":"%s"}}' % FILL, ("5-g1", "a", "1-x", False)),
        (
            b'{"seq":"5-g1","id":"a","changes":[{"rev":"1-x"}],"doc":{%s,"b":"%s",%s}}' % (TRAP, FILL, TRAP),
            ("5-g1", "a", "1-x", False),
        ),
        (
            b'{"seq":null,"id":"a","changes":[{"rev":"1-x"}],"deleted":true,"doc":{"b":"%s"}}' % FILL,
            (None, "a", "1-x", True),
        ),
        (b'{"id":"a","changes":[{"rev":"1-x"}],"doc":{"b":"%s"},"seq":42}' % FILL, (42, "a", "1-x", False)),
        (
            b'{"id":"a","changes":[{"rev":"1-x"}],"doc":{%s,"b":"%s"},"seq":42}\r' % (TRAP, FILL),
            (42, "a", "1-x", False),
        ),
        (
            b'{"id":"a","changes":[{"rev":"1-x"}],"doc":{"b":"%s"},"deleted":true,"seq":42}' % FILL,
            (42, "a", "1-x", True),
        ),
        (
            rb'{"id":"\u00e9 \"q\\","changes":[{"rev":"1-x"}],"doc":{"b":"%s"},"seq":42}' % FILL,
            (42, 'é "q\\', "1-x", False),
        ),
    ],
)
def test_what_is_left_of_an_oversized_row(line: bytes, expected: tuple[JsonValue, str, str, bool]) -> None:
    seq, row_id, rev, deleted = expected
    assert parse_line(oversized(line)) == FeedRow(seq, row_id, rev, deleted, None, oversized_bytes=len(line))


def test_a_seq_cut_by_the_head_is_not_taken_for_whole() -> None:
    line = b'{"id":"a","seq":' + b"1" * 100_000 + b',"doc":{}}'
    row = parse_line(oversized(line))
    assert isinstance(row, FeedRow)
    assert row.seq is None


def test_an_oversized_row_without_id_is_only_a_bad_line() -> None:
    bad = parse_line(oversized(b'{"doc":{"b":"%s"},"id":"a"}' % FILL))
    assert bad == BadLine("a row whose id cannot be found (50025 bytes, more than ROUTER_FEED__MAX_ROW_BYTES)", False)


@given(
    seq=st.one_of(st.integers(0, 2**53), st.text()),
    row_id=st.text(min_size=1),
    doc=st.dictionaries(st.text(), JSON_VALUES, max_size=5),
    ascii_only=st.booleans(),
    seq_last=st.booleans(),
)
def test_any_row_is_read_as_it_was_written(
    seq: JsonValue, row_id: str, doc: dict[str, JsonValue], ascii_only: bool, seq_last: bool
) -> None:
    row: dict[str, JsonValue] = {"id": row_id, "changes": [{"rev": "1-x"}], "doc": doc}
    row = {**row, "seq": seq} if seq_last else {"seq": seq, **row}
    line = json.dumps(row, ensure_ascii=ascii_only).encode()
    document = None if row_id.startswith(("delivery:", "audit:", "_design/")) else doc
    assert parse_line(line) == FeedRow(seq, row_id, "1-x", False, document)


@given(st.binary(max_size=80))
def test_no_bytes_raise(line: bytes) -> None:
    line = line.replace(b"\n", b"")
    parse_line(line)
    parse_line(b"{" + line)
    parse_line(oversized(b"{" + line))


def test_mangled_rows_raise_nothing_and_keep_their_id_or_lose_it() -> None:
    rng = random.Random(7)  # noqa: S311
    line = b'{"seq":"5-g1","id":"a","changes":[{"rev":"1-x"}],"doc":{"b":"\xc3\xa9"}}'
    for _ in range(3000):
        mangled = bytearray(line)
        for _ in range(rng.randint(1, 3)):
            mangled[rng.randrange(1, len(mangled))] = rng.randrange(11, 256)
        assert parse_line(bytes(mangled)) is not None
