"""Doing something with CouchDB until it works: what to wait for, how long, and how often to say so."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import structlog

from router.couch.backoff import Backoff
from router.couch.errors import Conflict, CouchError, Refused, Unreachable, ViewMissing
from router.settings import FeedSettings

T = TypeVar("T")

log = structlog.stdlib.get_logger("router.couch")

FIRST_REMINDER_SECONDS = 10.0
LONGEST_REMINDER_SECONDS = 600.0


class Complaint:
    """Says that something is wrong when it begins, again at growing intervals while it lasts, and once when it is over."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._since: float | None = None
        self._next = 0.0
        self._interval = FIRST_REMINDER_SECONDS
        self.reason: str | None = None
        """What is wrong, in a sentence; None while it works."""

    def trouble(self, reason: str) -> None:
        """It went wrong (again)."""
        now = monotonic()
        self.reason = reason
        if self._since is None:
            self._since, self._interval, self._next = now, FIRST_REMINDER_SECONDS, 0.0
        if now < self._next:
            return
        log.warning("waiting for CouchDB", what=self._what, reason=reason, for_seconds=round(now - self._since))
        self._next = now + self._interval
        self._interval = min(self._interval * 2, LONGEST_REMINDER_SECONDS)

    def over(self) -> None:
        """It works (again)."""
        if self._since is not None:
            log.info("CouchDB answers again", what=self._what, after_seconds=round(monotonic() - self._since, 1))
            self._since = self.reason = None


class Patience:
    """Waits for one CouchDB on behalf of all that need it, and speaks once for all of them when it cannot be reached."""

    def __init__(self, settings: FeedSettings) -> None:
        self._settings = settings
        self.away = Complaint("everything")
        """Speaks for whoever cannot reach CouchDB; also for the feed, which waits by itself."""
        self.repair: Callable[[], Awaitable[None]] | None = None
        """What puts a missing index back, where there is somebody who can; may raise any CouchError."""
        self._repairing = asyncio.Lock()

    async def until_done(
        self, what: str, call: Callable[[], Awaitable[T]], *, unless: tuple[type[CouchError], ...] = ()
    ) -> T:
        """Await `call()` again and again until it works, with full-jitter backoff, and give its result.

        `what` names it in the log when it fails though CouchDB answers. A missing index is put back, if we may. Conflict
        and Refused are answers, not trouble: they are raised at once, and so are those named in `unless`.
        """
        complaint = Complaint(what)
        backoff = Backoff(self._settings.backoff_base_seconds, self._settings.backoff_max_seconds)
        while True:
            try:
                result = await call()
            except CouchError as error:
                if isinstance(error, (Conflict, Refused, *unless)):
                    self.away.over()
                    raise
                (self.away if isinstance(error, Unreachable) else complaint).trouble(str(error))
                if isinstance(error, ViewMissing):
                    await self._repair(complaint)
                await asyncio.sleep(backoff.next_seconds())
            else:
                self.away.over()
                complaint.over()
                return result

    async def _repair(self, complaint: Complaint) -> None:
        if self.repair is None:
            return
        try:
            # One at a time: all who wait for an index find out at once that it is missing.
            async with self._repairing:
                await self.repair()
        except CouchError as error:
            complaint.trouble(str(error))
