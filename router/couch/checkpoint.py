"""The checkpoint: how far the feed has been dealt with, in a `_local` document beside the database's identity."""

from dataclasses import dataclass

from router.couch.database import Database
from router.documents.json_types import JsonValue
from router.documents.timestamps import to_text, utc_now

NAME = "notification-router-checkpoint"
"""The document is `_local/notification-router-checkpoint`: neither replicated nor in the feed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place in the feed of one very database."""

    seq: JsonValue
    """Opaque, as the feed gave it."""
    identity: str
    """The database that `seq` belongs to: see `Database.identity`."""
    ended_cleanly: bool = False
    """Whether the router that wrote it had then recorded all that it had in hand, and ended."""


async def load_checkpoint(database: Database) -> Checkpoint | None:
    """The checkpoint; None when there is none, or none that can be read. Its `seq` is None where a router began and had not
    come anywhere yet. May raise any CouchError."""
    document = await database.get_local(NAME)
    if document is None or not isinstance(document.get("identity"), str):
        return None
    return Checkpoint(document.get("seq"), str(document["identity"]), document.get("ended_cleanly") is True)


async def save_checkpoint(database: Database, checkpoint: Checkpoint) -> None:
    """Write the checkpoint. May raise any CouchError."""
    await database.put_local(
        NAME,
        {
            "seq": checkpoint.seq,
            "identity": checkpoint.identity,
            "ended_cleanly": checkpoint.ended_cleanly,
            "updated_at": to_text(utc_now()),
        },
    )
