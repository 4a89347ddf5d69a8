"""The one place where the parts are put together, started and stopped."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing
from functools import partial

import structlog

from router.channels.base import Channel, Target
from router.channels.not_configured import NotConfigured
from router.channels.registry import AnyKind
from router.couch.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from router.couch.database import Database
from router.couch.errors import Conflict, CouchError, LoginRefused, Refused
from router.couch.feed import Feed
from router.couch.mapping_store import MappingStore
from router.couch.patience import Complaint, Patience
from router.couch.setup import setup
from router.delivery.dispatcher import Dispatcher
from router.delivery.intake import Intake
from router.delivery.recorder import Recorder
from router.delivery.targets import TargetIndex
from router.delivery.unroutable import Unroutable
from router.delivery.watermark import Watermark
from router.documents.delivery import Delivery
from router.documents.json_types import JsonValue
from router.logs import HideSecrets
from router.routing.mapping import Mapping as RoutingMapping
from router.routing.mapping import Reader
from router.settings import ChannelSettings, Settings
from router.settings_loading import channel_settings, secrets_of

log = structlog.stdlib.get_logger("router.service")

LAST_WRITES_SECONDS = 10.0
"""How long the last documents and the checkpoint may take to be written when the router is stopped."""


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
        self._index: tuple[RoutingMapping | None, TargetIndex] = (None, TargetIndex(None, self._readers))

    def stop(self) -> None:
        """Have `run` end: read no more, finish what is in flight, record, checkpoint. May be called from a signal handler."""
        self._stop.set()

    async def run(self) -> None:
        """Route until `stop` is called.

        Raises BadAddress when CouchDB's address makes no sense, and LoginRefused when it refuses our login at the start:
        waiting would not mend that. While it runs it waits for that too, since somebody may be changing the password.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database(settings.couchdb))
            self._mapping = MappingStore(database, settings.couchdb.mapping_id, self._readers, self._patience)
            starting = asyncio.create_task(self._start(database))
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                log.info("stopped before everything was read that is needed to start")
                return
            since, identity = await starting
            self._patience.repair = partial(self._set_up, database)
            self._recorder = Recorder(database, self._patience)
            self._dispatcher = Dispatcher(
                self._open_channels(stack),
                database,
                self._recorder,
                settings,
                self._patience,
                self._find_target,
                self._hide,
            )
            self._watermark = Watermark(since if since != "now" else None)
            await self._run_parts(database, since, identity)

    # --- start

    async def _start(self, database: Database) -> tuple[JsonValue, str]:
        """Wait for CouchDB, see to the database, and find where to begin."""
        log.info("starting", couchdb=database.session.login.server, database=database.name)
        await self._patience.until_done("logging in", database.user, unless=(LoginRefused,))
        await self._patience.until_done("setting up the database", partial(self._set_up, database))
        await self._mapping.load()
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

    async def _set_up(self, database: Database) -> None:
        report = await setup(database, self._settings.couchdb.mapping_id)
        if report.created_database or report.written:
            log.info("database set up", created=report.created_database, written=report.written)
        for warning in report.warnings:
            log.warning("problem in the database's setup", reason=warning)

    def _open_channels(self, stack: AsyncExitStack) -> dict[str, tuple[Channel, ChannelSettings]]:
        channels: dict[str, tuple[Channel, ChannelSettings]] = {}
        for name, kind in self._kinds.items():
            section = channel_settings(self._settings, name)
            missing = self._readers[name].missing
            channel: Channel = kind.open(section) if missing is None else NotConfigured(missing)
            stack.push_async_callback(channel.close)
            channels[name] = (channel, section)
        lacking = sorted(name for name, reader in self._readers.items() if reader.missing is not None)
        log.info("channels", open=sorted(set(channels) - set(lacking)), not_configured=lacking)
        return channels

    def _find_target(self, delivery: Delivery) -> Target | None:
        mapping = self._mapping.current
        if self._index[0] is not mapping:
            self._index = (mapping, TargetIndex(mapping, self._readers))
        return self._index[1].find(delivery)

    # --- run and stop

    async def _run_parts(self, database: Database, since: JsonValue, identity: str) -> None:
        settings = self._settings
        intake = Intake(
            database,
            self._mapping,
            settings.couchdb.mapping_id,
            self._dispatcher,
            self._recorder,
            self._watermark,
            self._patience,
            max_row_bytes=settings.feed.max_row_bytes,
        )
        unroutable = Unroutable(
            database,
            self._mapping,
            self._dispatcher,
            self._recorder,
            self._patience,
            max_age_seconds=settings.unroutable_max_age_seconds,
        )
        self._feed = Feed(
            settings.couchdb,
            settings.feed,
            since=since,
            identity=identity,
            get_identity=database.identity,
            away=self._patience.away,
        )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._recorder.run(), name="recorder"),
                group.create_task(self._dispatcher.run(), name="dispatcher"),
                group.create_task(self._mapping.run(), name="mapping status"),
                group.create_task(unroutable.run(), name="unroutable"),
                group.create_task(self._checkpoint_now_and_then(database), name="checkpoint"),
            ]
            follower = group.create_task(self._follow(database, intake), name="feed")
            await self._stop.wait()
            log.info("stopping")
            follower.cancel()
            await asyncio.wait({follower})
            await self._finish(database)
            for task in tasks:
                task.cancel()
        log.info("stopped")

    async def _follow(self, database: Database, intake: Intake) -> None:
        async with aclosing(self._feed.batches()) as batches:
            async for batch in batches:
                if batch.recreated:
                    await self._begin_again(database)
                await intake.take(batch)

    async def _begin_again(self, database: Database) -> None:
        """The database was dropped and made again under us: it needs its indexes, and no revision seen before counts."""
        await self._patience.until_done("setting up the database", partial(self._set_up, database))
        self._watermark.restart(0)
        self._mapping.forget_revision()
        await self._mapping.refresh()

    async def _checkpoint_now_and_then(self, database: Database) -> None:
        saved = self._watermark.position
        complaint = Complaint("saving the checkpoint")
        while True:
            await asyncio.sleep(self._settings.feed.checkpoint_interval_seconds)
            position = self._watermark.position
            if position is not None and position != saved:
                try:
                    await self._patience.until_done("saving the checkpoint", partial(self._save, database, position))
                except (Conflict, Refused) as error:
                    # Without it a restart reads the feed from further back; what was sent has its document by then.
                    complaint.trouble(str(error))
                    continue
                complaint.over()
                saved = position

    async def _save(self, database: Database, position: JsonValue) -> None:
        if self._feed.identity is not None:
            await save_checkpoint(database, Checkpoint(position, self._feed.identity))

    async def _finish(self, database: Database) -> None:
        await self._dispatcher.stop(self._settings.grace_seconds)
        try:
            async with asyncio.timeout(LAST_WRITES_SECONDS):
                await self._recorder.flush()
                if self._watermark.position is not None:
                    await self._save(database, self._watermark.position)
        except (TimeoutError, CouchError) as error:
            log.warning(
                "CouchDB did not take the last documents; what they were about is done again at the next start",
                reason=str(error) or f"no answer within {LAST_WRITES_SECONDS:g} seconds",
            )
