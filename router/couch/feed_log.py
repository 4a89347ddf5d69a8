"""What the log says of a feed: each trouble when it comes, again at growing intervals, and when it is over."""

from time import monotonic

import structlog

from router.couch.patience import Complaint
from router.couch.rows import FeedRow

log = structlog.stdlib.get_logger("router.feed")

ENDING_LOG_SECONDS = 10.0
"""How long after a logged ending of a working connection the next ones are logged at level debug only."""


class FeedLog:
    """Speaks for one feed, and keeps what it has said already. No reason that it is given may hold a secret."""

    def __init__(self, database: str, away: Complaint | None = None) -> None:
        """`away` is what speaks when CouchDB cannot be reached; the feed's own voice if None."""
        self._away = away
        self._database = database
        self._complaint: Complaint | None = None
        self._kind: object = None
        self._ending_logged = float("-inf")

    def works(self) -> None:
        """The feed works (again)."""
        if self._away is not None:
            self._away.over()
        if self._complaint is not None:
            self._complaint.over()
            self._complaint = self._kind = None

    def ended(self, reason: str) -> None:
        """A connection that worked has ended. It is opened again in a moment: only if that fails is it trouble."""
        now = monotonic()
        if now - self._ending_logged < ENDING_LOG_SECONDS:
            log.debug("the feed ended and is opened again", reason=reason)
            return
        self._ending_logged = now
        log.info("the feed ended and is opened again", reason=reason)

    def trouble(self, reason: str, kind: object, *, is_away: bool = False) -> None:
        """The feed could not be opened, or was of no use. Trouble of another `kind` than the last is told at once."""
        if is_away and self._away is not None:
            self._away.trouble(reason)
            return
        if self._complaint is None or kind != self._kind:
            self._complaint = Complaint(f"the changes feed of database {self._database!r}")
            self._kind = kind
        self._complaint.trouble(reason)

    def recreated(self, before: str, now: str) -> None:
        """The database is another one of the same name."""
        log.warning(
            "the database was dropped and made again: the feed starts from the beginning",
            database=self._database,
            identity_before=before,
            identity=now,
        )

    def unknown_place(self, reason: str) -> None:
        """The server refuses the seq that the feed should start from."""
        log.warning(
            "CouchDB does not know the place in the feed any more: the feed starts from the beginning", reason=reason
        )

    def skipped(self, row: FeedRow, max_row_bytes: int) -> None:
        """A row was too large, or could not be read."""
        if row.oversized_bytes is not None:
            log.warning(
                "feed row skipped: larger than ROUTER_FEED__MAX_ROW_BYTES",
                id=row.id,
                row_bytes=row.oversized_bytes,
                max_row_bytes=max_row_bytes,
            )
        else:
            log.error("feed row skipped: it cannot be read", id=row.id, problem=row.unreadable)

    def skipped_line(self, problem: str) -> None:
        """A line of the feed was no row."""
        log.error("feed row skipped", problem=problem)
