"""Tells a client that reconnects what it missed, and joins the live rows behind that without a gap or a repeat.

Of a database in several shards each feed mixes the shards' changes in its own way, and a row's seq says how far that feed was
in each. A live row may have a seq that lies before some rows that were read, and whoever came back with it would be told of
those again. What is read is therefore held against a second reading, from where the live rows began. As long as that finds
anything, the client is told what stands before it, and the rest is read again once the live rows have got so far.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from router.couch.backoff import Backoff
from router.couch.errors import CouchError, Refused
from router.couch.rows import FeedRow
from router.stream.events import Event, heartbeat, reset
from router.stream.mailbox import Mailbox
from router.stream.memory import WRITING_MS, is_new
from router.stream.place import Place, read_place, seq_text
from router.stream.telling import telling_of

log = structlog.stdlib.get_logger("router.stream")

MOST_MISSED: Final = 500
"""A client that missed more is told to fetch its list afresh."""
LIVE_ROWS_SECONDS: Final = 10.0
"""How long the live feed may take to tell what another reading has seen."""
TRIES: Final = 5
"""How often CouchDB is asked before the stream is ended, for its client to come again."""
BACKOFF_BASE_SECONDS: Final = 0.2
BACKOFF_MAX_SECONDS: Final = 3.0

ReadChanges = Callable[[str, str, int], Awaitable[list[FeedRow]]]
"""A user's changes behind a seq, so many at most. Raises CouchError, and TimeoutError when there is too much to look through."""


class _TooMuch(Exception):
    """What was missed cannot be told one by one."""


async def catch_up(
    last_event_id: str,
    mailbox: Mailbox,
    read: ReadChanges,
    where_live: Callable[[], Place | None],
    give: Callable[[Event], None],
) -> None:
    """`give` what came behind `last_event_id`; behind that, `mailbox` holds the rest. It must have joined the live rows.

    `where_live` says how far those are; None when the streams have just been ended. Raises CouchError when CouchDB cannot be
    read, and TimeoutError when the live feed lags; the stream is to be ended then.
    """
    place, joined = read_place(last_event_id), mailbox.joined_at
    if joined is None:
        raise RuntimeError("a stream catches up before it has joined the live rows")
    if place is None or place.database != joined.database:
        give(reset(joined.event_id))
        return
    user = mailbox.user
    try:
        while True:
            if (watch := mailbox.watch) is None:
                return  # The stream has been ended meanwhile.
            missed = await _changes(read, user, place.seq)
            # By their ids alone: what was changed once more in between comes live as well. PouchDB Server reads without a
            # snapshot, and leaves out what is changed while it does: that is found here.
            later = {row.id for row in await _changes(read, user, joined.seq)}
            told = next((index for index, row in enumerate(missed) if row.id in later), len(missed))
            for row in missed[:told]:
                # The moment stays: those still to come may have been made before it.
                place = Place(place.database, place.moment_ms, seq_text(row.seq))
                new = is_new(row, place.moment_ms - WRITING_MS)
                telling = telling_of(row, is_new=new, event_id=place.event_id)
                if telling is not None and telling.is_for(mailbox.customers):
                    give(telling.event)
            if not later:
                give(heartbeat(joined.event_id))
                return
            async with asyncio.timeout(LIVE_ROWS_SECONDS):
                await watch.until_all(later)
            if (live := where_live()) is None:
                return
            mailbox.join_at(live)
            joined = live
    except (_TooMuch, Refused) as error:
        log.debug("a stream is told to fetch its list afresh", user=user, reason=str(error))
        where = mailbox.joined_at
        give(reset(where.event_id if where is not None else None))
    finally:
        mailbox.watch = None


async def _changes(read: ReadChanges, user: str, since: str) -> list[FeedRow]:
    """A user's changes behind `since`. Raises _TooMuch, and CouchError when it failed again and again."""
    backoff = Backoff(BACKOFF_BASE_SECONDS, BACKOFF_MAX_SECONDS)
    for tries_left in reversed(range(TRIES)):
        try:
            rows = await read(user, since, MOST_MISSED + 1)
        except TimeoutError:
            raise _TooMuch("there are too many changes to look through") from None
        except Refused:
            raise
        except CouchError:
            if tries_left == 0:
                raise
            await asyncio.sleep(backoff.next_seconds())
        else:
            if len(rows) > MOST_MISSED:
                raise _TooMuch(f"it missed more than {MOST_MISSED} changes")
            return rows
    raise AssertionError("every try ends in rows or an error")
