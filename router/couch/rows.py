"""Pure: what a line of a continuous changes feed says."""

import json
import re
from dataclasses import dataclass

from router.couch.codec import decode
from router.couch.errors import shortened
from router.couch.lines import HEAD_BYTES, TAIL_BYTES, OversizedLine
from router.documents import audit
from router.documents.delivery import PREFIX, Status
from router.documents.json_types import JsonObject, JsonValue

WITHOUT_DOCUMENT = (PREFIX, audit.PREFIX, "_design/")
"""Ids whose documents nobody downstream looks at: our own deliveries, what is for the record, and design documents."""
_WAITING = (Status.PENDING, Status.WAITING_KEY_EXCHANGE)


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One change: a document's latest revision."""

    seq: JsonValue
    """Opaque: never compared, only handed back to the same database. None when the server gave none for this row."""
    id: str
    rev: str | None
    """The winning revision; None when the row names none."""
    deleted: bool
    document: JsonObject | None
    """The document; None when it was deleted, when its id begins as in WITHOUT_DOCUMENT, and when it was not read."""
    oversized_bytes: int | None = None
    """The row's size, when it was larger than ROUTER_FEED__MAX_ROW_BYTES and therefore skipped."""
    unreadable: str | None = None
    """What is wrong with the row, when its JSON cannot be read (nested too deep, say) but its id could be found."""
    conflicts: tuple[str, ...] = ()
    """The revisions that lost against `rev` and are not deleted, as replication leaves them; any document may have some."""
    waiting: tuple[str, str] | None = None
    """Channel and `next_attempt_at`, as they stand, of a delivery document that is still to be sent; None for all else.
    The time is as the index `unfinished` has it: `created_at` where there is none, and empty where that is no text."""


@dataclass(frozen=True, slots=True)
class StopLine:
    """The server's last line: it ends the feed here, and another one may start at `last_seq`."""

    last_seq: JsonValue
    pending: int | None
    """Changes that were still to come, where the server says so."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no row and no stop line."""

    problem: str
    """What is wrong with it, for people."""
    ends_feed: bool
    """Whether what comes behind it is not worth reading: the server's own error, or something that is no feed."""
    seq: JsonValue = None
    """Its seq, if one could be found: the feed may go on behind it."""


Line = FeedRow | StopLine | BadLine | None
"""What a line may be. None is a heartbeat."""


def parse_line(line: bytes | OversizedLine) -> Line:
    """What `line` says. Raises nothing."""
    if isinstance(line, OversizedLine):
        return _remains(line, line.size_bytes, None)
    try:
        value = decode(line)
    except ValueError as error:
        return _undecodable(line, error)
    if not isinstance(value, dict):
        return BadLine("not a changes feed: a line that is no JSON object", ends_feed=True)
    if (row := row_of(value)) is not None:
        return row
    if "last_seq" in value:
        pending = value.get("pending")
        return StopLine(value["last_seq"], pending if isinstance(pending, int) else None)
    if "error" in value:
        said = shortened(value.get("reason")) or shortened(value.get("error")) or "no reason given"
        return BadLine(f"the server's own error in the middle of the feed: {said}", ends_feed=True)
    return BadLine("a line without id, last_seq and error", ends_feed=False)


def row_of(value: JsonObject) -> FeedRow | None:
    """The row that a feed's JSON object is, of any kind of feed; None when it has no id."""
    row_id = value.get("id")
    if not isinstance(row_id, str):
        return None
    deleted = value.get("deleted") is True
    document = value.get("doc")
    if deleted or not isinstance(document, dict):
        return FeedRow(value.get("seq"), row_id, _rev(value.get("changes")), deleted, None)
    conflicts = _texts(document.pop("_conflicts", None))
    waiting = _waiting(document) if row_id.startswith(PREFIX) else None
    return FeedRow(
        seq=value.get("seq"),
        id=row_id,
        rev=_rev(value.get("changes")),
        deleted=False,
        document=None if row_id.startswith(WITHOUT_DOCUMENT) else document,
        conflicts=conflicts,
        waiting=waiting,
    )


def _rev(changes: JsonValue) -> str | None:
    # `style=main_only`, the default, lists the winning revision alone.
    first = changes[0] if isinstance(changes, list) and changes else None
    rev = first.get("rev") if isinstance(first, dict) else None
    return rev if isinstance(rev, str) else None


def _texts(value: JsonValue) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _waiting(delivery: JsonObject) -> tuple[str, str] | None:
    # By the same rules as design/unfinished.js, for a document that anybody may have written.
    channel = delivery.get("channel")
    if delivery.get("type") != "delivery" or delivery.get("status") not in _WAITING or not isinstance(channel, str):
        return None
    due = delivery.get("next_attempt_at") or delivery.get("created_at")
    return channel, due if isinstance(due, str) else ""


def _undecodable(line: bytes, error: ValueError) -> Line:
    stripped = line.strip()
    if not stripped:
        return None
    if not stripped.startswith(b"{"):
        return BadLine("not a changes feed: a line that is no JSON object", ends_feed=True)
    # Only what the parser says in general: its text could show a part of the document.
    problem = "nested too deep" if "deep" in str(error) else "not valid JSON"
    return _remains(OversizedLine(line[:HEAD_BYTES], line[-TAIL_BYTES:], len(line)), None, problem)


def _remains(line: OversizedLine, oversized_bytes: int | None, unreadable: str | None) -> Line:
    """The row that `line` was, without its document, as far as its beginning and its end tell."""
    found = _leading_members(line.head.decode("utf-8", "replace")) | _trailing_members(line.tail)
    row_id = found.get("id")
    if not isinstance(row_id, str):
        what = unreadable or f"{oversized_bytes} bytes, more than ROUTER_FEED__MAX_ROW_BYTES"
        return BadLine(f"a row whose id cannot be found ({what})", ends_feed=False, seq=found.get("seq"))
    deleted = found.get("deleted") is True
    return FeedRow(found.get("seq"), row_id, _rev(found.get("changes")), deleted, None, oversized_bytes, unreadable)


_DECODER = json.JSONDecoder()
_TRAILING = re.compile(rb'((?:,"(?:seq|deleted)":(?:-?\d+|"[^"\\]*"|true|false|null))+)\}\s*$')
"""The members that PouchDB puts behind the document. A document's own end with `}}`, and so do not match."""


def _leading_members(text: str) -> JsonObject:
    """The members that stand whole at the beginning of `text`, a JSON object that may be cut off anywhere.

    They are read one by one from the start, so that nothing inside a document can pass for the row's own.
    """
    found: JsonObject = {}
    position, before = 0, "{"
    try:
        while text[position] == before:
            key, position = _DECODER.raw_decode(text, position + 1)
            if not isinstance(key, str) or text[position] != ":":
                break
            value, position = _DECODER.raw_decode(text, position + 1)
            # A number at the cut may have gone on: only what follows a value shows that it is whole.
            if text[position] in ",}":
                found[key] = value
            before = ","
    except (ValueError, IndexError, RecursionError):
        pass  # Here the text is cut, or the document begins that cannot be read.
    return found


def _trailing_members(tail: bytes) -> JsonObject:
    match = _TRAILING.search(tail)
    if match is None:
        return {}
    members: JsonObject = json.loads(b"{" + match[1][1:] + b"}")
    return members
