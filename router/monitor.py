"""Asks CouchDB now and then how things stand: whether it answers, how far behind the feed is, how much is left to do."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from router.couch import design
from router.couch.database import Database
from router.couch.errors import CouchError, Refused
from router.documents.json_types import JsonValue
from router.metrics import UNKNOWN

FIRST_LOOK_SECONDS = 2.0
"""When CouchDB is first asked: the start has better things for it to do."""
LOOK_SECONDS = 10.0
"""How often it is asked how far behind the feed is, which also shows whether it answers."""
LOOK_AGAIN_SECONDS = 2.0
"""The same, while it does not answer."""
COUNT_EVERY = 3
"""At every so many looks it counts what is left to do."""
LOOK_TIMEOUT_SECONDS = 5.0
COUNT_TIMEOUT_SECONDS = 30.0
"""Longer: an index may have to catch up first."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How often CouchDB is asked."""

    first_seconds: float = FIRST_LOOK_SECONDS
    every_seconds: float = LOOK_SECONDS
    again_seconds: float = LOOK_AGAIN_SECONDS
    count_every: int = COUNT_EVERY
    look_timeout_seconds: float = LOOK_TIMEOUT_SECONDS
    count_timeout_seconds: float = COUNT_TIMEOUT_SECONDS


@dataclass(slots=True)
class Findings:
    """What CouchDB last said."""

    trouble: str | None = None
    """None while it answers; else what is wrong, in a sentence."""
    lag_documents: int | None = None
    """Changes behind the place in the feed that was asked about; None when there was none, or nobody could count them."""
    pending: dict[str, int] = field(default_factory=dict)
    """Deliveries that are still to do, by channel; all channels that the router does not have as `unknown`."""
    unroutable: int | None = None
    """Messages that wait for the mapping."""


class Monitor:
    """Keeps `findings` fresh. What it cannot find out is not known; it never stops anything else."""

    def __init__(
        self,
        database: Database,
        channels: Collection[str],
        position: Callable[[], JsonValue],
        timing: Timing = Timing(),
    ) -> None:
        """`position` is the place in the feed before which all is done; None while there is none."""
        self._database = database
        self._channels = channels
        self._position = position
        self._timing = timing
        self.findings = Findings()

    async def run(self) -> None:
        """Ask until cancelled."""
        await asyncio.sleep(self._timing.first_seconds)
        looks = 0
        while True:
            await self._look()
            if self.findings.trouble is None:
                if looks % self._timing.count_every == 0:
                    await self._count()
                looks += 1
                await asyncio.sleep(self._timing.every_seconds)
            else:
                await asyncio.sleep(self._timing.again_seconds)

    async def _look(self) -> None:
        position = self._position()
        try:
            async with asyncio.timeout(self._timing.look_timeout_seconds):
                if position is None:
                    await self._database.info()
                    self.findings.lag_documents = None
                else:
                    self.findings.lag_documents = await self._database.changes_behind(position)
        except Refused:
            # It answers, but cannot read this seq, which may be one of another server. The feed finds a place that it can.
            self.findings.trouble = self.findings.lag_documents = None
        except CouchError as error:
            self.findings.trouble, self.findings.lag_documents = str(error), None
        except TimeoutError:
            self.findings.trouble = f"CouchDB did not answer within {self._timing.look_timeout_seconds:g} seconds"
            self.findings.lag_documents = None
        else:
            self.findings.trouble = None

    async def _count(self) -> None:
        try:
            async with asyncio.timeout(self._timing.count_timeout_seconds):
                lanes = await self._counts("lane", 2)
                unroutable = await self._counts("unroutable", 1)
        except (CouchError, TimeoutError):
            # An old index does not count, and a new one takes its time; that the router needs it is said elsewhere.
            self.findings.pending, self.findings.unroutable = {}, None
            return
        pending = Counter(dict.fromkeys(self._channels, 0))
        for key, count in lanes:
            name = str(key[1]) if isinstance(key, list) and len(key) > 1 else ""
            pending[name if name in self._channels else UNKNOWN] += count
        self.findings.pending = dict(pending)
        self.findings.unroutable = sum(count for _, count in unroutable)

    async def _counts(self, kind: str, group_level: int) -> list[tuple[JsonValue, int]]:
        return await self._database.view_counts(
            design.NAME, design.UNFINISHED, start_key=[kind], end_key=[kind, {}], group_level=group_level
        )
