"""Who has a stream open in this process, and what the rows of the feed are to each of them."""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import structlog

from router.couch.database import Database
from router.couch.errors import CouchError
from router.couch.requests import IdRange, ids_beginning_with
from router.couch.rows import FeedRow
from router.documents.json_types import JsonObject, JsonValue
from router.documents.notification import PREFIX, notification_document_id
from router.settings import ApiSettings
from router.stream.catch_up import catch_up
from router.stream.errors import TooManyStreamsInAll, TooManyStreamsOfUser
from router.stream.events import Event, added, heartbeat
from router.stream.mailbox import Mailbox
from router.stream.memory import Memory, News
from router.stream.place import Place, database_name, seq_text
from router.stream.stream import Stream
from router.stream.telling import Telling, made_at_ms, telling_of, user_of

log = structlog.stdlib.get_logger("router.stream")

ONLY_NOTIFICATIONS: Final[IdRange] = ids_beginning_with(PREFIX)
READINGS: Final = 8
"""How many streams read what they missed at once; the others wait. After a restart all clients come together."""
READING_SECONDS: Final = 10.0
"""How long one such reading may take. CouchDB looks through all that has changed since."""


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Hub:
    """The streams of this process. A follower of the feed fills it; the HTTP API subscribes its clients."""

    def __init__(self, settings: ApiSettings, database: Database, clock_ms: Callable[[], int] = now_ms) -> None:
        """`database` is read for clients that reconnect."""
        self._settings = settings
        self._database = database
        self._clock_ms = clock_ms
        # Always walked through in a copy: a stream that nobody closed leaves whenever the garbage collector finds it.
        self._mailboxes: dict[str, set[Mailbox]] = {}
        self._count = 0
        self._place: Place | None = None
        self._is_live = asyncio.Event()
        self._is_open: Callable[[], bool] = lambda: False
        self._memory = Memory(clock_ms())
        self._readings = asyncio.Semaphore(READINGS)

    @property
    def streams(self) -> int:
        """How many are open."""
        return self._count

    @property
    def users(self) -> int:
        """How many users have one."""
        return len(self._mailboxes)

    @property
    def place(self) -> Place | None:
        """How far the feed has been told; None before it is followed."""
        return self._place

    # What the HTTP API calls

    def subscribe(self, user: str, customers: frozenset[str] | None, last_event_id: str | None = None) -> Stream:
        """A stream of what happens in the inbox of `user` from now on, and before that of what happened since `last_event_id`,
        which the client sends when it reconnects; the text may be anything.

        Of notifications about a customer those are told that are about one of `customers`, all if None. The stream takes one of
        the places at once, and frees it when it is closed. Raises TooManyStreamsOfUser and TooManyStreamsInAll.
        """
        settings = self._settings
        # Of a user who has too many, that is the better reason.
        if len(self._mailboxes.get(user, ())) >= settings.streams_per_user:
            raise TooManyStreamsOfUser(settings.streams_per_user)
        if self._count >= settings.streams:
            raise TooManyStreamsInAll
        catches_up = bool(last_event_id)
        mailbox = Mailbox(user, customers, settings.stream_buffer, self._place, catches_up=catches_up)
        self._mailboxes.setdefault(user, set()).add(mailbox)
        self._count += 1
        live = None if catches_up else self._where_live()
        return Stream(
            mailbox,
            first=[] if live is None else [heartbeat(live.event_id)],
            join=partial(self._join, last_event_id) if live is None else None,
            heartbeat_seconds=settings.stream_heartbeat_seconds,
            where_live=self._where_live,
            leave=self._leave,
        )

    def inject(self, users: Iterable[str], data: JsonObject, customer_id: str | None = None) -> int:
        """Send `data` straight to the streams of these users in this process, as a notification that is in nobody's inbox; how
        many streams it went to. `data` has the members of `events.data_of`. It has no id: no reconnect brings it again.

        Raises ValueError or TypeError for what cannot be written as JSON.
        """
        telling = Telling(added(data), customer_id)
        reached = 0
        for user in dict.fromkeys(users):
            for mailbox in tuple(self._mailboxes.get(user, ())):
                if not mailbox.is_ended and telling.is_for(mailbox.customers):
                    mailbox.put(telling.event)
                    reached += 1
        return reached

    # What the follower calls

    def begin(self, identity: str, seq: JsonValue, is_open: Callable[[], bool]) -> None:
        """The feed is followed from `seq` on, in the database that `identity` names. `is_open` says whether it is open."""
        began_ms = self._clock_ms()
        self._is_open = is_open
        self._place = place = Place(database_name(identity), began_ms, seq_text(seq))
        self._memory = Memory(began_ms)
        for mailbox in self._all():
            mailbox.joined_at = place
        self._is_live.set()

    def take(self, row: FeedRow) -> News:
        """Tell a user's streams what `row` is about; what it is to those who heard all rows before it. Only after `begin`."""
        place = self._place
        if place is None:
            raise RuntimeError("a row of the feed before its beginning")
        if row.seq is not None:
            moment_ms = max(place.moment_ms, min(made_at_ms(row.id), self._clock_ms()))
            self._place = place = Place(place.database, moment_ms, seq_text(row.seq))
        news = self._memory.take(row)
        mailboxes = self._mailboxes.get(user_of(row.id))
        if mailboxes is not None and news is not News.REPEATED:
            event_id = place.event_id if row.seq is not None else None
            telling = telling_of(row, is_new=news is News.NEW, event_id=event_id)
            for mailbox in tuple(mailboxes):
                mailbox.tell(row.id, telling)
        return news

    def is_long_known(self, row: FeedRow) -> bool:
        """Whether a notification was made long before the oldest that is kept in mind."""
        return self._memory.is_long_known(row)

    def reached(self, seq: JsonValue) -> None:
        """The feed got to `seq` without a row."""
        if self._place is not None:
            self._place = Place(self._place.database, self._place.moment_ms, seq_text(seq))

    def end_all(self) -> None:
        """End every stream, so that its client reconnects. Those that come are kept waiting until `begin`."""
        self._place = None
        self._is_live.clear()
        for mailbox in self._all():
            mailbox.end()

    def _all(self) -> list[Mailbox]:
        return [mailbox for mailboxes in list(self._mailboxes.values()) for mailbox in tuple(mailboxes)]

    # What a stream calls

    def _where_live(self) -> Place | None:
        """Where a client is that has been told everything. What was made before has come then, while the feed is open."""
        place = self._place
        if place is None or not self._is_open():
            return place
        return Place(place.database, max(place.moment_ms, self._clock_ms()), place.seq)

    def _leave(self, mailbox: Mailbox) -> None:
        mailboxes = self._mailboxes[mailbox.user]
        mailboxes.remove(mailbox)
        if not mailboxes:
            del self._mailboxes[mailbox.user]
        self._count -= 1

    async def _join(self, last_event_id: str | None, mailbox: Mailbox, give: Callable[[Event], None]) -> None:
        # For as long as CouchDB is away: the client is sent heartbeats meanwhile, and may go.
        await self._is_live.wait()
        if mailbox.joined_at is None or mailbox.is_ended:
            return  # The streams have been ended meanwhile.
        if not last_event_id:
            give(heartbeat(mailbox.joined_at.event_id))
            return
        try:
            await catch_up(last_event_id, mailbox, self._read, self._where_live, give)
        except (CouchError, TimeoutError) as error:
            reason = str(error) or "the changes feed lags behind"
            log.info("a stream could not catch up and is ended; its client will reconnect", reason=reason)
            mailbox.end()

    async def _read(self, user: str, since: str, limit: int) -> list[FeedRow]:
        """A user's changes behind `since`. Raises CouchError, and TimeoutError after READING_SECONDS."""
        only = ids_beginning_with(notification_document_id(user, ""))
        async with self._readings, asyncio.timeout(READING_SECONDS):
            return await self._database.changes_since(since, only, limit)
