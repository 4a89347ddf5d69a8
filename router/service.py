"""The one place where the parts are put together, started and stopped."""

import asyncio
from collections.abc import Coroutine, Mapping
from functools import partial

import structlog

from router.channels.base import Target
from router.channels.registry import AnyKind
from router.couch.checkpoint import load_checkpoint
from router.couch.database import Database
from router.couch.errors import LoginRefused
from router.couch.mapping_store import MappingStore
from router.couch.patience import Patience
from router.couch.setup import setup
from router.documents.json_types import JsonValue
from router.engine import Engine
from router.logs import HideSecrets
from router.metrics import Metrics
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
        self.metrics = Metrics()

    def stop(self) -> None:
        """Have `run` end: read no more, finish what is in flight, record, checkpoint. May be called from a signal handler."""
        self._stop.set()

    async def run(self) -> None:
        """Route until `stop` is called.

        Raises BadAddress when CouchDB's address makes no sense, and LoginRefused when it refuses our login at the start:
        waiting would not mend that. While it runs it waits for that too, since somebody may be changing the password.
        """
        async with Database(self._settings.couchdb) as database:
            if not await self._unless_stopped(self._log_in(database)):
                return
            self._patience.repair = partial(self._set_up, database)
            await self._be_active(database)
        log.info("stopped")

    async def _unless_stopped(self, start: Coroutine[None, None, None]) -> bool:
        """Run `start` to its end, or until the router is stopped: then False."""
        starting = asyncio.create_task(start)
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        if starting.cancelled():
            log.info("stopped before everything was read that is needed to start")
            return False
        await starting
        return True

    # --- start

    async def _log_in(self, database: Database) -> None:
        """Wait for CouchDB, and see to the database."""
        log.info("starting", couchdb=database.session.login.server, database=database.name)
        await self._patience.until_done("logging in", database.user, unless=(LoginRefused,))
        await self._patience.until_done("setting up the database", partial(self._set_up, database))

    async def _set_up(self, database: Database) -> None:
        report = await setup(database, self._settings.couchdb.mapping_id)
        if report.created_database or report.written:
            log.info("database set up", created=report.created_database, written=report.written)
        for warning in report.warnings:
            log.warning("problem in the database's setup", reason=warning)

    # --- the active router

    async def _be_active(self, database: Database) -> None:
        """Route until stopped."""
        if await self._unless_stopped(self._prepare(database)):
            await self._engine.run(self._stop, lambda: self._settings.grace_seconds)

    async def _prepare(self, database: Database) -> None:
        """Read what is needed to start, and find where to begin."""
        mapping = MappingStore(database, self._settings.couchdb.mapping_id, self._readers, self._patience)
        await mapping.load()
        since, identity = await self._where_to_begin(database)
        self._engine = Engine(
            database,
            self._settings,
            self._kinds,
            self._readers,
            mapping,
            self._patience,
            self.metrics,
            since=since,
            identity=identity,
            set_up=partial(self._set_up, database),
            hide=self._hide,
        )

    async def _where_to_begin(self, database: Database) -> tuple[JsonValue, str]:
        identity = await self._patience.until_done("asking which database this is", database.identity)
        checkpoint = await self._patience.until_done("reading the checkpoint", partial(load_checkpoint, database))
        if checkpoint is None:
            log.info("no checkpoint yet", since=self._first_since)
            return self._first_since, identity
        if checkpoint.identity != identity:
            log.warning(
                "the database was dropped and made again since the last run; starting from its beginning, "
                "deliveries that have a document are not made again"
            )
            return 0, identity
        return checkpoint.seq, identity
