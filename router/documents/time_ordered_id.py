"""Ids that sort by when they were made: UUIDs of version 7 (RFC 9562 section 5.7)."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MILLISECONDS_BITS = 48
_RAND_A = 0xFFF << 64
_RAND_B = (1 << 62) - 1
_VERSION, _VARIANT = 7 << 76, 0b10 << 62
_WELL_FORMED = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def time_ordered_id(moment: datetime, source: UUID) -> str:
    """The id of what happened at `moment`, in 36 characters: its milliseconds since 1970, version and variant, and for the
    rest the bits that `source` has in the same places. The same two make the same id.

    In a UUID of version 4 or 5 none of those 74 bits is fixed. A moment before 1970 counts as its first.
    """
    milliseconds = max(0, (moment - _EPOCH) // _MILLISECOND)
    rest = source.int & (_RAND_A | _RAND_B)
    return str(UUID(int=milliseconds << (128 - _MILLISECONDS_BITS) | _VERSION | _VARIANT | rest))


def is_time_ordered_id(text: str) -> bool:
    """Whether `text` is such an id, as `time_ordered_id` writes it."""
    return _WELL_FORMED.fullmatch(text) is not None
