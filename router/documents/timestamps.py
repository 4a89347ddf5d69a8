"""Timestamps as every document has them: RFC 3339, UTC, milliseconds."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, PlainSerializer, ValidatorFunctionWrapHandler, WithJsonSchema, WrapValidator

from router.documents.problems import shown

_WANTED = "must be a time with a time zone, such as 2026-11-21T08:27:00Z"

_BEGINS_WITH_A_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_AS_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z", re.ASCII)


def utc_now() -> datetime:
    """The present moment, cut to the milliseconds that a document can hold."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_text(moment: datetime) -> str:
    """`moment` as documents show it: `2026-11-21T08:27:00.123Z`. Texts of two moments sort as the moments do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def from_text(text: str) -> datetime:
    """The moment that an RFC 3339 `text` names. Raises ValueError when it is none, or has no time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


def _read(value: object, read: ValidatorFunctionWrapHandler) -> datetime:
    if isinstance(value, str) and _AS_WRITTEN.fullmatch(value):
        # The usual case by far, and Pydantic's way to it, there and back to Python's own UTC, is the longer one.
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{_WANTED}, not {shown(value)}") from None
    # Pydantic would take a text of digits for seconds since 1970: "2026" would be half past midnight of that year's first day.
    if not isinstance(value, datetime) and not (isinstance(value, str) and _BEGINS_WITH_A_DATE.match(value)):
        raise ValueError(f"{_WANTED}, not {shown(value)}")
    moment: datetime = read(value)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{_WANTED}, between the years 1 and 9999 in UTC") from None


Timestamp = Annotated[
    AwareDatetime,
    WrapValidator(_read),
    PlainSerializer(to_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment with a time zone, in UTC, written as `to_text` does."""
