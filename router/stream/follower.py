"""Follows the changes feed of the database for the streams of this process: notification documents only, from now on."""

from contextlib import aclosing

import structlog

from router.couch.database import Database
from router.couch.feed import Feed, FeedRow
from router.couch.patience import Complaint
from router.settings import CouchDBSettings, FeedSettings
from router.stream.hub import ONLY_NOTIFICATIONS, Hub
from router.stream.memory import News

log = structlog.stdlib.get_logger("router.stream")

ROWS_LOOKED_AT = 500
"""Among so many rows behind an opening of the feed, one that was told of before shows that the server began further back."""


class Follower:
    """Fills a hub. While CouchDB is away streams stay open and are told all of it later; where the feed cannot go on from where
    it was, they are ended, and each client is told what it missed when it reconnects."""

    def __init__(
        self, couchdb: CouchDBSettings, feed: FeedSettings, database: Database, hub: Hub, away: Complaint | None = None
    ) -> None:
        """`database` is asked which one it is. `away` speaks when CouchDB cannot be reached, where others wait for it too."""
        self._couchdb = couchdb
        self._settings = feed
        self._database = database
        self._hub = hub
        self._away = away
        self._feed: Feed | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the feed is open."""
        return self._feed is not None and self._feed.connected

    async def run(self) -> None:
        """Follow the feed until cancelled; then all streams are ended. Raises BadAddress."""
        try:
            while True:
                reason = await self._follow()
                log.warning("all streams are ended for their clients to reconnect", reason=reason)
                self._hub.end_all()
        finally:
            self._hub.end_all()

    async def _follow(self) -> str:
        """Follow the feed from now on, for as long as it can go on from where it was; then why it cannot."""
        self._feed = feed = Feed(
            self._couchdb,
            self._settings,
            since="now",
            identity=None,
            get_identity=self._database.identity,
            away=self._away,
            only=ONLY_NOTIFICATIONS,
        )
        openings = looked_at = 0
        async with aclosing(feed.batches()) as batches:
            async for batch in batches:
                if batch.recreated:
                    return "the database was dropped and made again"
                if batch.place_lost:
                    return "CouchDB does not know the place in the feed any more"
                if self._hub.place is None:
                    self._hub.begin(feed.identity or "", batch.last_seq, lambda: feed.connected)
                    continue
                if feed.openings != openings:
                    openings, looked_at = feed.openings, 0
                for row in batch.rows:
                    looked_at += 1
                    if not self._tell(row, may_be_rewound=openings > 1 and looked_at <= ROWS_LOOKED_AT):
                        return "CouchDB begins the feed further back than where it was"
                if batch.last_seq is not None:
                    self._hub.reached(batch.last_seq)
        raise AssertionError("a feed ends only when it is closed")

    def _tell(self, row: FeedRow, *, may_be_rewound: bool) -> bool:
        """Hand `row` to the hub; False when it shows that the feed began further back, and then nobody was told of it."""
        if may_be_rewound and self._hub.is_long_known(row):
            return False
        return self._hub.take(row) is not News.REPEATED or not may_be_rewound
