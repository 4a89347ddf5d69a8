"""Timestamps: RFC 3339, UTC, milliseconds."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from router.documents.timestamps import Timestamp, from_text, to_text, utc_now

TIMESTAMP: TypeAdapter[datetime] = TypeAdapter(Timestamp)
SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MOMENTS = st.datetimes(timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 21, 8, 27, tzinfo=UTC), "2026-11-21T08:27:00.000Z"),
        (datetime(2026, 11, 21, 8, 27, 0, 123999, tzinfo=UTC), "2026-11-21T08:27:00.123Z"),
        (datetime(2026, 11, 21, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2026-11-20T23:30:00.000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_moment_is_written_in_one_way(moment: datetime, text: str) -> None:
    assert to_text(moment) == text


@given(moment=MOMENTS)
def test_a_text_is_read_back_to_the_millisecond(moment: datetime) -> None:
    text = to_text(moment)
    assert SHAPE.fullmatch(text)
    assert timedelta(0) <= moment - from_text(text) < timedelta(milliseconds=1)
    assert TIMESTAMP.validate_python(text) == from_text(text)
    assert TIMESTAMP.dump_python(from_text(text)) == text


@given(one=MOMENTS, other=MOMENTS)
def test_texts_sort_as_their_moments_do(one: datetime, other: datetime) -> None:
    if one <= other:
        assert to_text(one) <= to_text(other)


@pytest.mark.parametrize(
    "value",
    ["", "x", "5", "2026", "20261121", "1795000000", "+5.0", "2026-11-21", "2026-11-21T08:27:00", "2026-13-01T00:00:00Z",
     "9999-12-31T23:59:59-01:00", 5, 5.5, True, None, [], {}],
)  # fmt: skip
def test_what_is_no_moment_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TIMESTAMP.validate_python(value)


def test_a_text_without_a_time_zone_is_no_moment() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        from_text("2026-11-21T08:27:00")


def test_now_can_be_written_without_loss() -> None:
    now = utc_now()
    assert from_text(to_text(now)) == now
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)
