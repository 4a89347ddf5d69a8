"""From a target to the room that its messages go to, and whether plain text may go there."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from router.channels.matrix.direct_chats import DirectChats
from router.channels.matrix.homeserver import Homeserver
from router.channels.matrix.targets import server_of

log = structlog.stdlib.get_logger("router.matrix")

ALIAS_FRESH_SECONDS: Final = 60.0
"""How long an alias is believed to name the same room. A router that may still post in the old one would not notice else."""
ROOM_FRESH_SECONDS: Final = 60.0
"""How long a room that was found open to plain text, or replaced, is believed to be still so. See `Rooms.replacement`."""
MAX_ROOMS: Final = 10_000
"""Of how many rooms that is remembered; beyond it, the one not asked for longest goes."""
MAX_SERVERS: Final = 5
"""How many servers are asked, at most, to let us into a room that ours is not in."""


class Encrypted(Exception):
    """The room is encrypted, and the router has no encryption: nothing may be sent there."""


@dataclass(frozen=True, slots=True)
class _Named:
    room_id: str
    servers: tuple[str, ...]
    until: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """A room that is not encrypted."""

    replacement: str | None
    until: float


class Rooms:
    """Rooms by target. What it remembers is bounded by MAX_ROOMS and by the targets in the mapping."""

    def __init__(self, homeserver: Homeserver, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._homeserver = homeserver
        self._clock = clock
        self._direct = DirectChats(homeserver)
        self._aliases: dict[str, _Named] = {}
        self._encrypted: set[str] = set()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    async def find(self, address: str) -> str:
        """The id of the room for `address`. Raises direct_chats.Declined, and what `Homeserver` raises."""
        if address.startswith("@"):
            return await self._direct.find(address)
        if address.startswith("#"):
            return (await self._named(address)).room_id
        return address

    def forget(self, address: str, *rooms: str) -> None:
        """Look afresh next time: the last of `rooms`, to which `address` led by way of the others, did not let us in.

        The alias or the user may have moved on, and the rooms may be replaced or encrypted by now.
        """
        self._aliases.pop(address, None)
        self._direct.forget(address)
        for room_id in rooms:
            self._seen.pop(room_id, None)

    async def replacement(self, room_id: str) -> str | None:
        """The room that this one was upgraded to, if it was; else None, and then plain text may go to this one.

        To know for sure would take two questions before every message, which cost the homeserver and us more than the message
        itself, and even then the room may turn before the message is there. So an answer is believed for ROOM_FRESH_SECONDS.
        The price: for that long after a room turned encrypted, a message may still go there in plain text, and for that long
        after it was replaced, one may go to the old room if the router may post there. What is known to be encrypted stays
        so for good, as Matrix has no way back, and nothing is ever sent there. A room that refuses a message is looked at
        afresh (`forget`). Raises Encrypted, and what `Homeserver` raises: then too, nothing may be sent.
        """
        if room_id in self._encrypted:
            raise Encrypted(room_id)
        seen = self._seen.get(room_id)
        if seen is None or self._clock() >= seen.until:
            # Until it is looked at in full, nothing is known of it.
            self._seen.pop(room_id, None)
            # The time counts from before the questions: an answer may be old when it comes.
            until = self._clock() + ROOM_FRESH_SECONDS
            seen = _Seen(await self._look(room_id), until)
            self._seen[room_id] = seen
            if len(self._seen) > MAX_ROOMS:
                self._seen.popitem(last=False)
        else:
            self._seen.move_to_end(room_id)
        return seen.replacement

    async def _look(self, room_id: str) -> str | None:
        tombstone = await self._homeserver.state(room_id, "m.room.tombstone")
        successor = tombstone.get("replacement_room") if tombstone else None
        if isinstance(successor, str) and successor.startswith("!"):
            return successor
        # Any content counts, even none: it is the event that turns encryption on for good.
        if await self._homeserver.state(room_id, "m.room.encryption") is not None:
            self._encrypted.add(room_id)
            self._seen.pop(room_id, None)
            raise Encrypted(room_id)
        return None

    async def join(self, room_id: str, address: str) -> None:
        """Join the room that `address` led to. Raises what `Homeserver` raises."""
        named = self._aliases.get(address)
        via = [*(named.servers if named else ()), *(filter(None, [server_of(room_id), server_of(address)]))]
        await self._homeserver.join(room_id, list(dict.fromkeys(via))[:MAX_SERVERS])
        log.info("joined a room", room_id=room_id, target=address)

    async def _named(self, alias: str) -> _Named:
        known = self._aliases.get(alias)
        if known is None or self._clock() >= known.until:
            room_id, servers = await self._homeserver.resolve(alias)
            known = _Named(room_id, tuple(servers), self._clock() + ALIAS_FRESH_SECONDS)
            self._aliases[alias] = known
        return known
