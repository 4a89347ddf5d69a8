"""The one place where the parts are put together, started and stopped."""

import asyncio
import math
from collections.abc import Coroutine, Mapping
from functools import partial

import structlog

from router.channels.base import Target
from router.channels.registry import AnyKind
from router.couch.catalogue_store import catalogue_store
from router.couch.database import Database
from router.couch.errors import LoginRefused
from router.couch.lease import Lease
from router.couch.mapping_store import mapping_store
from router.couch.patience import Patience
from router.couch.setup import setup
from router.couch.starting_point import find_starting_point
from router.documents.json_types import JsonValue
from router.engine import Engine
from router.logs import HideSecrets
from router.metrics import Metrics
from router.operations import Operations
from router.routing.mapping import Reader
from router.settings import ChannelSettings, Settings
from router.settings_loading import channel_settings, secrets_of

log = structlog.stdlib.get_logger("router.service")


def readers(kinds: Mapping[str, AnyKind], settings: Settings) -> dict[str, Reader]:
    """How the targets of each channel are read under these settings."""
    found = {}
    for name, kind in kinds.items():
        section = channel_settings(settings, name)
        found[name] = Reader(partial(_parse_target, kind, section), kind.missing(section))
    return found


def _parse_target(kind: AnyKind, section: ChannelSettings, value: JsonValue) -> Target:
    return kind.parse_target(value, section)


class Service:
    """The running router."""

    def __init__(self, settings: Settings, kinds: Mapping[str, AnyKind], *, since_now: bool = False) -> None:
        """`since_now`: where there is no checkpoint yet, pass over what is in the database already."""
        self._settings = settings
        self._kinds = kinds
        self._first_since: JsonValue = "now" if since_now else 0
        self._readers = readers(kinds, settings)
        self._patience = Patience(settings.feed)
        self._hide = HideSecrets(secrets_of(settings)).hide_text
        self._stop = asyncio.Event()
        self._was_active = False
        self.metrics = Metrics(kinds)
        self.operations = Operations(settings, self._readers, self._patience, self.metrics)

    def stop(self) -> None:
        """Have `run` end: read no more, finish what is in flight, record, checkpoint. May be called from a signal handler."""
        self._stop.set()
        self.operations.stopping()

    async def run(self) -> None:
        """Route until `stop` is called.

        Raises BadAddress when CouchDB's address makes no sense, BadPort when the HTTP port cannot be opened, and LoginRefused
        when CouchDB refuses our login at the start: waiting would not mend that. While it runs it waits for that too, since
        somebody may be changing the password.
        """
        async with Database(self._settings.couchdb) as database, self.operations.running(database):
            lease = Lease(database, self._settings.lease, self._patience.away)
            try:
                if await _unless(self._stop, self._log_in(database)):
                    self._patience.repair = partial(self._set_up, database)
                    await self._take_turns(database, lease)
            finally:
                # Also when this is cancelled or fails: nothing is sent any more, so that nobody need wait.
                await lease.release()
        log.info("stopped")

    async def _take_turns(self, database: Database, lease: Lease) -> None:
        """Stand by until the lease is ours, be active until it is lost, and so on until stopped."""
        while await _unless(self._stop, lease.acquire(self.operations.standby)):
            await self._be_active(database, lease)

    # --- start

    async def _log_in(self, database: Database) -> None:
        """Wait for CouchDB, and see to the database."""
        log.info("starting", couchdb=database.session.login.server, database=database.name)
        await self._patience.until_done("logging in", database.user, unless=(LoginRefused,))
        await self._patience.until_done("setting up the database", partial(self._set_up, database))

    async def _set_up(self, database: Database) -> None:
        report = await setup(database, self._settings.couchdb.mapping_id, self._settings.couchdb.catalogue_id)
        if report.created_database or report.written:
            log.info("database set up", created=report.created_database, written=report.written)
        for warning in report.warnings:
            log.warning("problem in the database's setup", reason=warning)

    # --- the active router

    async def _be_active(self, database: Database, lease: Lease) -> None:
        """Route until stopped, or until the lease is lost."""
        ending = asyncio.Event()
        keeping = asyncio.create_task(self._keep(lease), name="lease")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        for task in (keeping, stopping):
            task.add_done_callback(lambda _: ending.set())
        try:
            if await _unless(ending, self._prepare(database, lease)):
                await self._route(ending, keeping, lease)
            if keeping.done():
                keeping.result()
        finally:
            for task in (keeping, stopping):
                task.cancel()
            await asyncio.gather(keeping, stopping, return_exceptions=True)

    async def _keep(self, lease: Lease) -> None:
        """Renew the lease until it is lost."""
        reason = await lease.keep()
        self.operations.standby()
        log.warning("the lease is lost, so this router sends nothing more until it has it again", reason=reason)

    async def _route(self, ending: asyncio.Event, keeping: asyncio.Task[None], lease: Lease) -> None:
        """Run the engine until `ending` is set. Nothing of what it has in flight outlasts the lease."""

        def grace_seconds() -> float:
            return min(self._settings.grace_seconds, lease.seconds_left if keeping.done() else math.inf)

        engine = asyncio.create_task(self._engine.run(ending, grace_seconds), name="engine")
        try:
            await asyncio.wait({engine, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set() and not engine.done():
                # It was finishing, with a grace that was counted before the lease was lost.
                await asyncio.wait({engine}, timeout=lease.seconds_left)
                engine.cancel()
            await asyncio.wait({engine})
        finally:
            engine.cancel()
            await asyncio.wait({engine})
        if not engine.cancelled():
            engine.result()
        if self._engine.is_of_another_database:
            self._first_since = 0

    async def _prepare(self, database: Database, lease: Lease) -> None:
        """Read what is needed to start, and find where to begin."""
        if self._was_active:
            # The database may be another one by now.
            await self._patience.until_done("setting up the database", partial(self._set_up, database))
        self._was_active = True
        mapping = mapping_store(database, self._settings.couchdb.mapping_id, self._readers, self._patience)
        await mapping.load()
        catalogue = catalogue_store(database, self._settings.couchdb.catalogue_id, self._readers.keys(), self._patience)
        await catalogue.load()
        start = await find_starting_point(database, self._patience, self._first_since)
        self._engine = Engine(
            database,
            self._settings,
            self._kinds,
            self._readers,
            mapping,
            catalogue,
            self._patience,
            self.metrics,
            start=start,
            hide=self._hide,
            may_send=lease.may_send,
        )
        self.operations.active(self._engine, mapping)


async def _unless(event: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Run `work` to its end, or until `event` is set: then it is cancelled, and this is False."""
    working = asyncio.create_task(work)
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        working.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
    if working.cancelled():
        return False
    working.result()
    return True
