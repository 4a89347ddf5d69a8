"""Pure: a place in the changes feed as the `id:` of an event, which clients give back as `Last-Event-ID`."""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from router.couch.codec import encode
from router.documents.json_types import JsonValue

MAX_ID_CHARS: Final = 4096
"""Longest id that is given or read. A seq of CouchDB grows with the database's shards; most servers take a header of 8 kB."""
NAME_BYTES: Final = 4

_WRITTEN: Final = re.compile(r"([0-9a-f]{8})\.([0-9]{1,15})\.([!-~]+)", re.ASCII)


def database_name(identity: str) -> str:
    """A short name, 8 characters, for the database that `Database.identity` names."""
    return blake2b(identity.encode(), digest_size=NAME_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which change of which database, and when a stream was there.

    The database is part of it since CouchDB takes a seq of another database for the beginning, and PouchDB Server takes any.
    """

    database: str
    """As `database_name` gives it."""
    moment_ms: int
    """Milliseconds since 1970, by this process's clock."""
    seq: str
    """Opaque, as it goes into the parameter `since`."""

    @property
    def event_id(self) -> str | None:
        """It as an event's id; None for one that no header could hold."""
        text = f"{self.database}.{self.moment_ms}.{self.seq}"
        return text if len(text) <= MAX_ID_CHARS and _WRITTEN.fullmatch(text) else None


def seq_text(seq: JsonValue) -> str:
    """A seq of the feed as it goes into the parameter `since`."""
    return seq if isinstance(seq, str) else encode(seq).decode()


def read_place(event_id: str) -> Place | None:
    """The place that a client gives back; None for what was never one."""
    if len(event_id) > MAX_ID_CHARS:
        return None
    match = _WRITTEN.fullmatch(event_id)
    return None if match is None else Place(match[1], int(match[2]), match[3])
