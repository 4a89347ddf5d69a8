"""Runs a feed beside a test and keeps what it gives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

from router.couch.feed import Feed, FeedBatch, FeedRow
from router.documents.json_types import JsonValue
from router.settings import CouchDBSettings, FeedSettings
from tests.peers.feed import FeedPeer

QUICK = {"heartbeat_seconds": 0.15, "backoff_base_seconds": 0.01, "backoff_max_seconds": 0.05}


def quick_settings(**settings: float) -> FeedSettings:
    """Feed settings for a test that should not take long."""
    return FeedSettings.model_validate(QUICK | settings)


def feed_of(
    peer: FeedPeer,
    *,
    since: JsonValue = 0,
    identity: str | None = None,
    get_identity: Callable[[], Awaitable[str]] | None = None,
    **settings: float,
) -> Feed:
    """A feed on `peer`, not yet running."""
    return Feed(
        CouchDBSettings.model_validate({"url": peer.url, "connect_timeout_seconds": 1}),
        quick_settings(**settings),
        since=since,
        identity=identity,
        get_identity=get_identity or peer.get_identity,
    )


@dataclass
class Following:
    """What a running feed has given so far."""

    feed: Feed
    batches: list[FeedBatch] = field(default_factory=list)

    @property
    def rows(self) -> list[FeedRow]:
        """All rows of all batches."""
        return [row for batch in self.batches for row in batch.rows]

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [row.id for row in self.rows]

    def heard_at(self) -> float:
        """When the feed heard its last byte; 0 before the first."""
        return self.feed.last_heard_monotonic or 0.0

    async def run(self) -> None:
        """Take batches for ever."""
        async with aclosing(self.feed.batches()) as batches:
            async for batch in batches:
                self.batches.append(batch)


@asynccontextmanager
async def following(feed: Feed) -> AsyncIterator[Following]:
    """`feed`, running until the end of the block. That it ended by itself is a failure."""
    follower = Following(feed)
    task = asyncio.create_task(follower.run())
    try:
        yield follower
        assert not task.done(), "the feed ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
