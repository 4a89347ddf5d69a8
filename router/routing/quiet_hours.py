"""Pure: when quiet hours end that a moment falls into."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo


def quiet_until(begins: time, ends: time, zone: tzinfo, now: datetime) -> datetime | None:
    """When the quiet hours end that `now` (aware) falls into, in UTC; None when it falls into none.

    `begins` and `ends` are times on the wall of `zone`, and those that end before they begin last over midnight. Where clocks
    are put forward over one of them, it is the moment that the clock would have shown it; where they are put back, the earlier
    of the two, so that nobody is kept waiting for an hour that was over (PEP 495, `fold=0`).
    """
    today = now.astimezone(zone).date()
    # The quiet hours that began yesterday may last until today, and today may have begun already in this zone only.
    for day in (today - timedelta(days=1), today):
        start = _moment(day, begins, zone)
        end = _moment(day if ends > begins else day + timedelta(days=1), ends, zone)
        if start <= now < end:
            return end
    return None


def _moment(day: date, clock: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
