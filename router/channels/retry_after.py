"""Reads `Retry-After`: how long a server asked us to wait, in either of the forms HTTP allows."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER_SECONDS: Final = 3600.0
"""Longest wait that is believed: a slip of a server's clock or pen must not silence a target for days."""


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds to wait from `now` (aware) on, by the header's `value`: a number of seconds, or an HTTP date (RFC 9110, 10.2.3).

    Between 0 and MAX_RETRY_AFTER_SECONDS: a date that has passed is 0. None when there is no header or it makes no sense.
    Decimal seconds are no HTTP, but some servers send them, so they are read too.
    """
    text = (value or "").strip()
    if not text.isascii():
        return None
    whole, _, fraction = text.partition(".")
    if whole.isdigit() and (fraction.isdigit() or not fraction):
        # Even a thousand digits only make an infinity here, which the bound below cuts.
        seconds = float(text)
    else:
        moment = _http_date(text)
        if moment is None:
            return None
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _http_date(text: str) -> datetime | None:
    """The moment that an HTTP date names, in any of its three spellings; None when `text` is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # `-0000` and the spelling of asctime give a naive moment; HTTP dates are UTC always.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
