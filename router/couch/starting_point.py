"""Where in the feed to begin, and how much of what follows an earlier router may have sent without a word."""

from dataclasses import dataclass
from functools import partial

import structlog

from router.couch.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from router.couch.database import Database
from router.couch.errors import Conflict, Refused
from router.couch.patience import Patience
from router.documents.json_types import JsonValue

log = structlog.stdlib.get_logger("router.service")

UNKNOWN_ROWS = 10_000
"""So many rows are taken for old where the server does not tell how many there are."""
MIXED_SHARE = 5
"""The feed of a sharded database mixes old rows with newer ones: among so many times as many rows all old ones are found."""
MOST_MIXED_ROWS = 1000
"""But beside the old rows no more than this are taken for old."""


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where a run begins."""

    since: JsonValue
    """0, "now", or a seq of the database."""
    identity: str
    """See `Database.identity`."""
    old_rows: int
    """At most so many of the rows that follow were there before."""
    rows_in_doubt: int
    """Of the rows that follow, so many may have been read by a router that ended without warning, and what it did about
    them is known only where there is a document."""


async def find_starting_point(database: Database, patience: Patience, first_since: JsonValue) -> StartingPoint:
    """Read the checkpoint, and leave a note there that a router works from now on. `first_since` is for a database without
    one. Waits while CouchDB is away."""
    identity = await patience.until_done("asking which database this is", database.identity)
    checkpoint = await patience.until_done("reading the checkpoint", partial(load_checkpoint, database))
    since, had_warning = _since(checkpoint, identity, first_since)
    old = await old_rows(database, patience, since)
    if not had_warning:
        log.info("the last run ended without warning", changes_since=old)
    place = None if checkpoint is None or checkpoint.identity != identity else checkpoint.seq
    try:
        await patience.until_done(
            "saving the checkpoint", lambda: save_checkpoint(database, Checkpoint(place, identity, ended_cleanly=False))
        )
    except (Conflict, Refused) as error:
        log.warning("the checkpoint cannot be saved; routing goes on", reason=str(error))
    return StartingPoint(since, identity, old, 0 if had_warning else old)


def _since(checkpoint: Checkpoint | None, identity: str, first_since: JsonValue) -> tuple[JsonValue, bool]:
    """Where to begin, and whether all is known that an earlier router did from there on."""
    if checkpoint is None:
        log.info("no checkpoint yet", since=first_since)
        return first_since, True
    if checkpoint.identity != identity:
        log.warning(
            "the database was dropped and made again since the last run; starting from its beginning, "
            "deliveries that have a document are not made again"
        )
        return 0, True
    since = first_since if checkpoint.seq is None else checkpoint.seq
    return since, checkpoint.ended_cleanly or since == "now"


async def old_rows(database: Database, patience: Patience, since: JsonValue) -> int:
    """At most so many of the rows that follow `since` were there before this moment. 0 only when none was. Waits while
    CouchDB is away."""
    if since == "now":
        return 0
    try:
        behind = await patience.until_done("asking how far the feed is", lambda: database.changes_behind(since))
    except Refused:
        behind = None  # A seq that this server cannot read: the feed will say so, and begin anew.
    if behind is None:
        return UNKNOWN_ROWS
    return min(behind * MIXED_SHARE, behind + MOST_MIXED_ROWS)
