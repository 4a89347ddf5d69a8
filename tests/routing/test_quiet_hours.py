"""When quiet hours end: over midnight, in any zone, where clocks are changed."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.routing.quiet_hours import quiet_until

VIENNA, NEW_YORK, KATHMANDU = ZoneInfo("Europe/Vienna"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("begins", "ends", "zone", "now", "until"),
    [
        # over midnight, UTC+1
        ("22:00", "07:00", VIENNA, "2026-11-21T20:59:59Z", None),
        ("22:00", "07:00", VIENNA, "2026-11-21T21:00:00Z", "2026-11-22T06:00:00Z"),
        ("22:00", "07:00", VIENNA, "2026-11-22T05:59:59.999Z", "2026-11-22T06:00:00Z"),
        ("22:00", "07:00", VIENNA, "2026-11-22T06:00:00Z", None),
        # within a day
        ("13:00", "14:00", NEW_YORK, "2026-11-21T18:30:00Z", "2026-11-21T19:00:00Z"),
        ("13:00", "14:00", NEW_YORK, "2026-11-21T19:00:00Z", None),
        # where it is another day than in UTC
        ("00:00", "06:00", KATHMANDU, "2026-11-21T18:15:00Z", "2026-11-22T00:15:00Z"),
        # clocks are put forward at 2:00 in Vienna on the 29th of March 2026: the night is an hour shorter
        ("22:00", "07:00", VIENNA, "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"),
        # 2:30 is never shown that night: the moment that would have been it
        ("22:00", "02:30", VIENNA, "2026-03-28T22:00:00Z", "2026-03-29T01:30:00Z"),
        # clocks are put back at 3:00 on the 25th of October: 2:30 comes twice, and the first one ends them
        ("22:00", "02:30", VIENNA, "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z"),
        ("22:00", "02:30", VIENNA, "2026-10-25T01:00:00Z", None),
    ],
)  # fmt: skip
def test_when_they_end(begins: str, ends: str, zone: ZoneInfo, now: str, until: str | None) -> None:
    found = quiet_until(time.fromisoformat(begins), time.fromisoformat(ends), zone, at(now))
    assert found == (None if until is None else at(until))


CLOCKS = st.times(timezones=st.none()).map(lambda t: t.replace(second=0, microsecond=0))


@given(
    begins=CLOCKS,
    ends=CLOCKS,
    zone=st.sampled_from([VIENNA, NEW_YORK, KATHMANDU, ZoneInfo("UTC"), ZoneInfo("Australia/Lord_Howe")]),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda d: d.replace(tzinfo=UTC)),
)
def test_nobody_is_held_for_longer_than_the_quiet_hours_last(
    begins: time, ends: time, zone: ZoneInfo, now: datetime
) -> None:
    until = quiet_until(begins, ends, zone, now)
    if until is None:
        return
    assert now < until <= now + timedelta(hours=25)
    # They are over then, for good: what is held is not held again.
    assert begins == ends or quiet_until(begins, ends, zone, until) is None
