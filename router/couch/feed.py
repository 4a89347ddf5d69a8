"""Follows CouchDB's changes feed for ever, whatever the server and the network do."""

import json
from asyncio import sleep, timeout
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic

import aiohttp
from aiohttp.http import HttpProcessingError

from router.couch.backoff import Backoff
from router.couch.database import Database
from router.couch.errors import CouchError, Refused, ServerFault, Unreachable
from router.couch.feed_log import FeedLog
from router.couch.lines import LineSplitter
from router.couch.patience import Complaint
from router.couch.requests import IdRange
from router.couch.rows import BadLine, FeedRow, StopLine, parse_line
from router.couch.session import login_of
from router.documents.json_types import JsonValue
from router.settings import CouchDBSettings, FeedSettings

__all__ = ["MAX_BATCH_ROWS", "Feed", "FeedBatch", "FeedRow"]

MAX_BATCH_ROWS = 500
SILENT_HEARTBEATS = 2
"""After how many heartbeats without a byte a connection is taken for dead."""


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """Rows that came together, in the feed's order."""

    rows: list[FeedRow]
    """At most MAX_BATCH_ROWS; empty when there is only something else to tell."""
    recreated: bool = False
    """The database turned out to be another one of the same name: what follows is that one, from its beginning."""
    place_lost: bool = False
    """The server does not know the place in the feed any more: what follows begins anew."""
    last_seq: JsonValue = None
    """A seq behind all rows so far, these included: of the server's stop line, or what "now" meant at the start."""


class Feed:
    """One continuous `_changes` feed, opened again as often as it ends.

    Rows are given at least once: after a reconnect, a rewind of the server or a re-created database they come again.
    """

    connected: bool = False
    """Whether the feed is open: the server answered 200, and has not been silent since."""
    openings: int = 0
    """How often the feed has been opened: each time the server may begin further back than where it ended."""
    last_heard_monotonic: float | None = None
    """When (`time.monotonic`) the last byte came, heartbeats included; None before the first."""
    pending: int | None = None
    """Changes still to come, as the last stop line had it; None where the server does not say."""

    def __init__(
        self,
        couchdb: CouchDBSettings,
        settings: FeedSettings,
        *,
        since: JsonValue,
        identity: str | None,
        get_identity: Callable[[], Awaitable[str]],
        away: Complaint | None = None,
        only: IdRange | None = None,
    ) -> None:
        """`since` is 0, "now", or a seq of this database. `identity` names the database that the seq is from; None to
        take the first name that `get_identity` gives. That is asked before each opening of the feed, and may raise
        CouchError, aiohttp.ClientError, OSError and TimeoutError. `away` speaks when CouchDB cannot be reached, where
        others wait for it too. Of the documents not in `only` nothing is told. Raises BadAddress. Opens no connection yet.
        """
        self._login = login_of(couchdb)
        self._couchdb = couchdb
        self._settings = settings
        self._since = since
        self.identity = identity
        self._get_identity = get_identity
        self._only = only
        self._silence_seconds = SILENT_HEARTBEATS * settings.heartbeat_seconds
        self._backoff = Backoff(settings.backoff_base_seconds, settings.backoff_max_seconds)
        self._log = FeedLog(couchdb.database, away)
        self._opened = 0.0
        self._works = False

    async def batches(self) -> AsyncGenerator[FeedBatch, None]:
        """What could be read without waiting, again and again. Ends only by cancellation or `aclose`; wrap it in
        `contextlib.aclosing`, so that the connection is closed at once. Only one iteration at a time.

        Nothing is read ahead but what fits the connection's buffer (about half a megabyte): while the consumer does not
        ask for the next batch, the server cannot send on.
        """
        try:
            async with Database(self._couchdb) as database:
                while True:
                    pause_seconds = 0.0
                    try:
                        async with aclosing(self._connection(database)) as batches:
                            async for batch in batches:
                                yield batch
                        if not self._works:
                            # A server that does nothing but end the feed, as one in maintenance mode does.
                            pause_seconds = self._backoff.next_seconds()
                    except (CouchError, aiohttp.ClientError, HttpProcessingError, OSError) as error:
                        pause_seconds = self._backoff.next_seconds()
                        self._tell(error)
                    self.connected = False
                    await sleep(pause_seconds)
        finally:
            self.connected = False

    async def _connection(self, database: Database) -> AsyncGenerator[FeedBatch, None]:
        """One opening of the feed and what comes of it. Ends at the server's stop line, and where the place in the feed is
        not known; raises for any other ending."""
        self._works = False
        if await self._is_another_database():
            self._since = 0
            yield FeedBatch([], recreated=True)
        if self._since == "now":
            # Asked for once: a second "now", after a reconnect, would pass over what was written in between.
            self._since = (await database.info()).get("update_seq", 0)
            yield FeedBatch([], last_seq=self._since)
        params: dict[str, JsonValue] = {
            "feed": "continuous",
            "include_docs": True,
            "conflicts": True,
            "heartbeat": round(self._settings.heartbeat_seconds * 1000),
            "since": self._since if isinstance(self._since, str) else json.dumps(self._since),
        }
        try:
            opening = database.changes(params, read_timeout_seconds=self._silence_seconds, only=self._only)
            async with opening as response:
                if response.content_type == "text/html":
                    raise self._fault("a web page in place of the changes feed: check ROUTER_COUCHDB__URL")
                self._opened = monotonic()
                self.connected = True
                self.openings += 1
                async with aclosing(self._read(response.content)) as batches:
                    async for batch in batches:
                        yield batch
        except Refused as error:
            # CouchDB answers 400 to a seq that it cannot read.
            if error.status != 400 or self._since == 0:
                raise
            self._log.unknown_place(str(error))
            self._since = 0
            yield FeedBatch([], place_lost=True)

    async def _read(self, content: aiohttp.StreamReader) -> AsyncGenerator[FeedBatch, None]:
        splitter = LineSplitter(self._settings.max_row_bytes)
        while piece := await self._piece(content):
            self.last_heard_monotonic = monotonic()
            rows: list[FeedRow] = []
            for line in splitter.feed(piece):
                parsed = parse_line(line)
                if isinstance(parsed, FeedRow):
                    if parsed.oversized_bytes is not None or parsed.unreadable is not None:
                        self._log.skipped(parsed, self._settings.max_row_bytes)
                    rows.append(parsed)
                    if len(rows) == MAX_BATCH_ROWS:
                        yield self._given(rows)
                        rows = []
                elif isinstance(parsed, StopLine):
                    yield self._stopped(rows, parsed)
                    return
                elif isinstance(parsed, BadLine):
                    if rows:
                        yield self._given(rows)
                        rows = []
                    if parsed.ends_feed:
                        raise self._fault(parsed.problem)
                    self._log.skipped_line(parsed.problem)
                    if parsed.seq is not None:
                        self._since = parsed.seq
                else:
                    self._heartbeat()
            if rows:
                yield self._given(rows)
        raise Unreachable(f"CouchDB at {self._login.server} closed the changes feed without a last line")

    async def _piece(self, content: aiohttp.StreamReader) -> bytes:
        """What has come, at least a byte; empty at the end of the body."""
        # aiohttp has a deadline too, but forgets it, and the reader with it, when bytes come that are no HTTP. CouchDB 3.5
        # sends such when it goes into maintenance mode: a second answer, with status 412, in the middle of the first.
        try:
            async with timeout(self._silence_seconds):
                return await content.readany()
        except RuntimeError:
            # The same, when they came while nobody was reading.
            raise Unreachable(f"CouchDB at {self._login.server} broke off the changes feed") from None
        except TimeoutError:
            if content.exception() is None and (piece := content.read_nowait()):
                return piece  # It was we who were too busy to look.
            raise Unreachable(
                f"CouchDB at {self._login.server} was silent on the changes feed for {self._silence_seconds:g} s"
            ) from None

    def _given(self, rows: list[FeedRow]) -> FeedBatch:
        """A batch of `rows`, which are taken for given from here on."""
        seq = next((row.seq for row in reversed(rows) if row.seq is not None), None)
        if seq is not None and seq != self._since:
            self._since = seq
            self._worked()
        return FeedBatch(rows)

    def _stopped(self, rows: list[FeedRow], stop: StopLine) -> FeedBatch:
        self._given(rows)
        self.pending = stop.pending
        if stop.last_seq is not None:
            self._since = stop.last_seq
        return FeedBatch(rows, last_seq=stop.last_seq)

    def _heartbeat(self) -> None:
        # CouchDB sends an empty line the moment a feed opens, even when it ends it in the same breath. That counts not.
        if monotonic() - self._opened >= self._settings.heartbeat_seconds / 2:
            self._worked()

    def _worked(self) -> None:
        """The connection has shown itself to be good: rows that lead on, or heartbeats over time."""
        self._works = True
        self._backoff.reset()
        self._log.works()

    async def _is_another_database(self) -> bool:
        async with timeout(self._couchdb.request_timeout_seconds):
            identity = await self._get_identity()
        known, self.identity = self.identity, identity
        if known is None or known == identity or self._since == "now":
            return False
        self._log.recreated(known, identity)
        return True

    def _tell(self, error: Exception) -> None:
        """Log why the feed broke."""
        if isinstance(error, CouchError):
            reason, status = str(error), error.status
        else:
            # The error's own text is not used: it may show an address with what it should not show.
            reason, status = f"The connection to CouchDB at {self._login.server} broke", None
        if self._works:
            self._log.ended(reason)
        else:
            self._log.trouble(reason, kind=(type(error), status), is_away=isinstance(error, Unreachable))

    def _fault(self, problem: str) -> ServerFault:
        return ServerFault(f"CouchDB at {self._login.server} sent {problem}")
