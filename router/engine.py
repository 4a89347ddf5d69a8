"""What runs while this router is the active one: from the feed to the documents."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack, aclosing
from time import monotonic

import structlog

from router.channels.base import Channel, Target
from router.channels.not_configured import NotConfigured
from router.channels.registry import AnyKind
from router.couch.catalogue_store import CatalogueStore
from router.couch.checkpoint import Checkpoint, save_checkpoint
from router.couch.database import Database
from router.couch.errors import Conflict, CouchError, Refused
from router.couch.feed import Feed
from router.couch.mapping_store import MappingStore
from router.couch.patience import Complaint, Patience
from router.couch.people import People
from router.couch.starting_point import StartingPoint, old_rows
from router.delivery.attempt import OpenChannel
from router.delivery.dispatcher import Dispatcher
from router.delivery.intake import Intake
from router.delivery.lane import Lane
from router.delivery.novelty import Novelty
from router.delivery.recorder import Recorder
from router.delivery.router import Router
from router.delivery.targets import TargetIndex, target_of
from router.delivery.unroutable import Unroutable
from router.delivery.watermark import Watermark
from router.documents.delivery import Delivery
from router.documents.json_types import JsonObject
from router.inbox.housekeeping import forget_now_and_then
from router.inbox.retention import Retention
from router.metrics import Metrics
from router.routing.mapping import Mapping as RoutingMapping
from router.routing.mapping import Reader
from router.routing.person import PersonKey
from router.settings import Settings
from router.settings_loading import channel_settings

log = structlog.stdlib.get_logger("router.engine")

FIRST_CHECKPOINT_SECONDS = 0.25
"""How soon after the start the checkpoint is first saved."""
LAST_WRITES_SECONDS = 10.0
"""How long the last documents and the checkpoint may take to be written when the router is stopped."""


class Engine:
    """One run as the active router; a router that becomes active again makes another."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        kinds: Mapping[str, AnyKind],
        readers: Mapping[str, Reader],
        mapping: MappingStore,
        catalogue: CatalogueStore,
        patience: Patience,
        metrics: Metrics,
        *,
        start: StartingPoint,
        hide: Callable[[str], str],
        may_send: Callable[[], bool],
    ) -> None:
        """`hide` takes secrets out of a text, `may_send` is asked right before each attempt: once it says no, nothing is begun
        any more."""
        self._database = database
        self._settings = settings
        self._kinds = kinds
        self._readers = readers
        self._mapping = mapping
        self._catalogue = catalogue
        self._people = People(self._look_up, readers, mapping.changed)
        self._router = Router(mapping, catalogue, self._people)
        self._patience = patience
        self._metrics = metrics
        self._hide = hide
        self._may_send = may_send
        self._index: tuple[RoutingMapping | None, TargetIndex] = (None, TargetIndex(None, readers))
        self.lanes: Mapping[str, Lane] = {}
        self._checkpoint_good_at = self._listens_since = monotonic()
        self._listens = False
        self._saving = asyncio.Lock()
        self.watermark = Watermark(start.since if start.since != "now" else None)
        self._start = start
        self.is_of_another_database = False
        """Whether the run ended because the database was dropped and made again."""
        self._novelty = Novelty()
        self._novelty.opened(start.old_rows)
        self.recorder = Recorder(database, patience, metrics, self._novelty)
        self.feed = Feed(
            settings.couchdb,
            settings.feed,
            since=start.since,
            identity=start.identity,
            get_identity=database.identity,
            away=patience.away,
        )

    async def run(self, stop: asyncio.Event, grace_seconds: Callable[[], float]) -> None:
        """Route until `stop` is set, or the database turns out to be another one; then read no more, finish what is in
        flight, record, checkpoint. `grace_seconds` is asked then for how long what is in flight may take."""
        async with AsyncExitStack() as stack:
            channels = self._open_channels(stack)
            self.dispatcher = Dispatcher(
                channels,
                self._database,
                self.recorder,
                self._settings,
                self._patience,
                self._metrics,
                find_targets=self._find_targets,
                hide=self._hide,
                may_send=self._may_send,
            )
            self.lanes = self.dispatcher.lanes
            await self._run_parts(stop, grace_seconds)

    def _open_channels(self, stack: AsyncExitStack) -> list[OpenChannel]:
        channels = []
        for name, kind in self._kinds.items():
            section = channel_settings(self._settings, name)
            missing = self._readers[name].missing
            channel: Channel = kind.opened(section, self._database) if missing is None else NotConfigured(missing)
            stack.push_async_callback(channel.close)
            channels.append(OpenChannel(name, channel, section, kind.tells_repeats, kind.is_recorded_first))
        lacking = sorted(name for name, reader in self._readers.items() if reader.missing is not None)
        log.info("channels", ready=sorted(self._kinds.keys() - set(lacking)), not_configured=lacking)
        return channels

    def _channels_in_doubt(self) -> frozenset[str]:
        """Channels on which a router that ended without warning may have sent what it had no time to record. Under `hold`
        it says so first; where the other side tells repeats there is no harm."""
        return frozenset(
            name
            for name, kind in self._kinds.items()
            if not kind.tells_repeats
            and self._readers[name].missing is None
            and channel_settings(self._settings, name).on_uncertain == "resend"
        )

    async def _look_up(self, ids: Collection[str]) -> Mapping[str, JsonObject]:
        return await self._patience.until_done("looking users up", lambda: self._database.get_many(ids))

    async def _find_targets(self, deliveries: Collection[Delivery]) -> dict[str, Target]:
        """The targets of deliveries that were read back, by delivery id; those that nobody has any more are missing."""
        mapping = self._mapping.current
        if self._index[0] is not mapping:
            self._index = (mapping, TargetIndex(mapping, self._readers))
        found = {delivery.id: self._index[1].find(delivery) for delivery in deliveries}
        # Where the address is a secret, the document does not have it.
        of_users = {d.id: PersonKey(d.user, None) for d in deliveries if d.user is not None and found[d.id] is None}
        people = await self._people.find(of_users.values())
        for delivery_id, key in of_users.items():
            found[delivery_id] = target_of(people[key], delivery_id)
        return {delivery_id: target for delivery_id, target in found.items() if target is not None}

    async def _run_parts(self, stop: asyncio.Event, grace_seconds: Callable[[], float]) -> None:
        settings = self._settings
        intake = Intake(
            self._database,
            self._router,
            self.dispatcher,
            self.recorder,
            self.watermark,
            self._patience,
            self._metrics,
            self._novelty,
            max_row_bytes=settings.feed.max_row_bytes,
            may_have_been_sent=self._channels_in_doubt(),
            rows_in_doubt=self._start.rows_in_doubt,
        )
        unroutable = Unroutable(
            self._database,
            self._router,
            self._mapping.changed,
            self.dispatcher,
            self.recorder,
            self._patience,
            max_age_seconds=settings.unroutable_max_age_seconds,
        )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self.recorder.run(), name="recorder"),
                group.create_task(self.dispatcher.run(), name="dispatcher"),
                group.create_task(self._mapping.run(), name="mapping status"),
                group.create_task(self._catalogue.run(), name="catalogue status"),
                group.create_task(forget_now_and_then(Retention(self._database, settings.inapp)), name="retention"),
                group.create_task(unroutable.run(), name="unroutable"),
                group.create_task(self._checkpoint_now_and_then(), name="checkpoint"),
            ]
            follower = group.create_task(self._follow(intake), name="feed")
            stopping = group.create_task(stop.wait(), name="stop")
            await asyncio.wait({follower, stopping}, return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping" if stop.is_set() else "beginning again in the database that was made anew")
            for task in (follower, stopping):
                task.cancel()
            await asyncio.wait({follower, stopping})
            await self._finish(grace_seconds())
            for task in tasks:
                task.cancel()

    async def _follow(self, intake: Intake) -> None:
        """Take in what the feed gives, until it is that of another database."""
        async with aclosing(self.feed.batches()) as batches:
            self._listen()
            openings, position = 1, self._start.since
            async for batch in batches:
                self._listens = False
                if batch.recreated:
                    # Nothing that is in memory goes for another database, the position in the feed least of all.
                    self.is_of_another_database = True
                    return
                if self.feed.openings > openings:
                    openings = self.feed.openings
                    self._novelty.opened(await old_rows(self._database, self._patience, position))
                await intake.take(batch)
                position = next((row.seq for row in reversed(batch.rows) if row.seq is not None), position)
                if batch.last_seq is not None:
                    position = batch.last_seq
                self._listen()

    def _listen(self) -> None:
        self._listens, self._listens_since = True, monotonic()

    @property
    def feed_silent_seconds(self) -> float:
        """For how long the feed has said nothing, not even a heartbeat; 0 while we are busy with what it said."""
        return monotonic() - max(self._listens_since, self.feed.last_heard_monotonic or 0.0) if self._listens else 0.0

    # --- the checkpoint

    @property
    def checkpoint_age_seconds(self) -> float:
        """Since the checkpoint was last saved, or last found to have nothing behind it."""
        return monotonic() - self._checkpoint_good_at

    async def _checkpoint_now_and_then(self) -> None:
        saved = self.watermark.position
        complaint = Complaint("saving the checkpoint")
        # Soon after the start, and then less and less often: one that is killed again and again is to get on all the same.
        seconds, interval_seconds = FIRST_CHECKPOINT_SECONDS, self._settings.feed.checkpoint_interval_seconds
        while True:
            seconds = min(seconds, interval_seconds)
            await asyncio.sleep(seconds)
            seconds *= 2
            position = self.watermark.position
            if position is not None and position != saved:
                try:
                    await self._patience.until_done("saving the checkpoint", self._save)
                except (Conflict, Refused) as error:
                    # Without it a restart reads the feed from further back; what was sent has its document by then.
                    complaint.trouble(str(error))
                    continue
                complaint.over()
                saved = position
                self._checkpoint_good_at = monotonic()
            elif not self.watermark.rows_open:
                self._checkpoint_good_at = monotonic()

    async def _save(self, *, ended_cleanly: bool = False) -> None:
        # One after the other: the last word is that of the end.
        async with self._saving:
            # Not the feed's identity, which may be that of another database by now.
            await save_checkpoint(
                self._database, Checkpoint(self.watermark.position, self._start.identity, ended_cleanly)
            )

    async def _finish(self, grace_seconds: float) -> None:
        await self.dispatcher.stop(grace_seconds)
        try:
            async with asyncio.timeout(LAST_WRITES_SECONDS):
                await self.recorder.flush()
                # Whose lease is lost must not write over what its successor has noted.
                if not self.is_of_another_database and self._may_send():
                    await self._save(ended_cleanly=True)
        except (TimeoutError, CouchError) as error:
            log.warning(
                "CouchDB did not take the last documents; what they were about is done again at the next start",
                reason=str(error) or f"no answer within {LAST_WRITES_SECONDS:g} seconds",
            )
