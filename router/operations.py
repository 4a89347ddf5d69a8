"""What runs beside the engine for whoever operates the router: the HTTP port, the monitor, the traces."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import structlog

from router.couch.database import Database
from router.couch.mapping_store import MappingStore
from router.couch.patience import Patience
from router.documents.json_types import JsonValue
from router.engine import Engine
from router.metrics import Metrics
from router.monitor import Monitor
from router.routing.mapping import Reader
from router.settings import Settings
from router.tracing import open_tracing
from router.web.server import open_port, served
from router.web.snapshot import ChannelSnapshot, FeedSnapshot, Role, Snapshot

log = structlog.stdlib.get_logger("router.operations")

HEAD_START_SECONDS: Final = 3.0
"""When the HTTP port is served at the latest: what it needs takes half a second of CPU to import, and where messages wait they
come first. Who asks sooner waits in the port's queue."""
AT_REST_SECONDS: Final = 0.2
"""A feed that has nothing to say for so long at the start has no messages waiting."""
LOOK_SECONDS: Final = 0.1
"""How often that is looked at."""
SILENT_HEARTBEATS: Final = 3
"""A feed that was not heard for so many heartbeats is silent; it opens itself anew after two."""


class Operations:
    """Answers for the router. Whatever fails here stops no message."""

    def __init__(self, settings: Settings, readers: Mapping[str, Reader], patience: Patience, metrics: Metrics) -> None:
        self._settings = settings
        self._readers = readers
        self._patience = patience
        self._metrics = metrics
        self._role: Role = "starting"
        self._engine: Engine | None = None
        self._mapping: MappingStore | None = None
        self._monitor: Monitor | None = None

    # --- what the service tells

    def active(self, engine: Engine, mapping: MappingStore) -> None:
        """From now on this router is the active one, with this engine."""
        self._engine, self._mapping = engine, mapping
        self._be("active")

    def standby(self) -> None:
        """From now on another router is the active one."""
        self._engine = self._mapping = None
        self._be("standby")

    def stopping(self) -> None:
        """The router has been told to stop."""
        self._be("stopping")

    def _be(self, role: Role) -> None:
        if self._role != "stopping":
            self._role = role

    @asynccontextmanager
    async def running(self, database: Database) -> AsyncIterator[None]:
        """Keep the HTTP port open and the monitor at work for the time of the block. Raises BadPort."""
        listener = open_port(self._settings.http)
        self._monitor = Monitor(database, self._readers.keys(), self._position)
        self._metrics.watch(self.snapshot)
        self._metrics.tracing = open_tracing()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._metrics.tracing.close)
            if listener is not None:
                await stack.enter_async_context(served(listener, self.snapshot, self._metrics, after=self._head_start))
            await stack.enter_async_context(_in_background(self._monitor))
            yield

    async def _head_start(self) -> None:
        """Until there is nothing to route, or HEAD_START_SECONDS are over."""
        for _ in range(round(HEAD_START_SECONDS / LOOK_SECONDS)):
            if self._is_at_rest:
                return
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def _is_at_rest(self) -> bool:
        if self._engine is None:
            return self._role != "starting"
        return self._engine.feed.connected and self._engine.feed_silent_seconds >= AT_REST_SECONDS

    # --- what is asked

    def snapshot(self) -> Snapshot:
        """The router as it is now."""
        engine, mapping = self._engine, self._mapping
        trouble = self._patience.away.reason
        snapshot = Snapshot(role=self._role, couchdb_trouble=trouble)
        if self._monitor is None:
            return snapshot
        findings = self._monitor.findings
        return Snapshot(
            role=self._role,
            couchdb_trouble=trouble or findings.trouble,
            mapping=None if mapping is None or mapping.state is None else mapping.state.value,
            mapping_in_force=None if mapping is None or mapping.current is None else mapping.current.rev,
            channels={} if engine is None else {name: self._channel(name, engine) for name in self._readers},
            feed=None if engine is None else self._feed(engine, findings.lag_documents),
            checkpoint_age_seconds=None if engine is None else engine.checkpoint_age_seconds,
            pending=findings.pending,
            unroutable=findings.unroutable,
        )

    def _channel(self, name: str, engine: Engine) -> ChannelSnapshot:
        lane = engine.lanes.get(name)
        return ChannelSnapshot(
            not_configured=self._readers[name].missing,
            depth=0 if lane is None else lane.held,
            room=0 if lane is None else lane.room,
            paused_seconds=0.0 if lane is None else lane.paused_seconds,
            breakers=self._metrics.breakers(name),
            trouble=self._metrics.breaker_reason(name),
        )

    def _feed(self, engine: Engine, lag_documents: int | None) -> FeedSnapshot:
        silent_seconds = engine.feed_silent_seconds
        return FeedSnapshot(
            connected=engine.feed.connected,
            lag_documents=lag_documents,
            silent_seconds=silent_seconds,
            is_silent=silent_seconds > SILENT_HEARTBEATS * self._settings.feed.heartbeat_seconds,
        )

    def _position(self) -> JsonValue:
        return None if self._engine is None else self._engine.watermark.position


@asynccontextmanager
async def _in_background(monitor: Monitor) -> AsyncIterator[None]:
    task = asyncio.create_task(monitor.run(), name="monitor")
    task.add_done_callback(_say_if_failed)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _say_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the monitor failed; the router goes on without its figures", exc_info=error)
