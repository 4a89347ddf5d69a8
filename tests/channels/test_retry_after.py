"""Retry-After in both forms, and in none."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.retry_after import MAX_RETRY_AFTER_SECONDS, retry_after_seconds

NOW = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("   ", None),
        ("0", 0),
        ("30", 30),
        (" 30 ", 30),
        ("1.5", 1.5),
        ("007", 7),
        ("99999999", MAX_RETRY_AFTER_SECONDS),
        ("9" * 400, MAX_RETRY_AFTER_SECONDS),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("½", None),
        ("soon", None),
        (",", None),
        ("1, 2", None),
        ("Sat, 21 Nov 2026 08:27:30 GMT", 30),
        ("Saturday, 21-Nov-26 08:27:30 GMT", 30),
        ("Sat Nov 21 08:27:30 2026", 30),
        ("Sat, 21 Nov 2026 08:27:30 -0000", 30),
        ("Sat, 21 Nov 2026 08:26:30 GMT", 0),
        ("Sat, 21 Nov 2027 08:26:30 GMT", MAX_RETRY_AFTER_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 -2300", MAX_RETRY_AFTER_SECONDS),
        ("Mon, 01 Jan 0001 00:00:00 +2300", 0),
        ("Sat, 99 Nov 2026 08:27:30 GMT", None),
        ("Sat, 21 Nov 2026 08:27:30 +9999999999", None),
    ],
)
def test_each_form(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@given(st.text())
def test_any_text_gives_none_or_a_sane_wait(value: str) -> None:
    seconds = retry_after_seconds(value, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@given(st.integers(0, int(MAX_RETRY_AFTER_SECONDS)))
def test_a_date_means_what_its_distance_in_seconds_means(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds(date, NOW) == retry_after_seconds(str(seconds), NOW) == seconds
