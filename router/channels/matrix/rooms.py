"""From a target to the room that its messages go to, and whether plain text may go there."""

import time
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
MAX_SERVERS: Final = 5
"""How many servers are asked, at most, to let us into a room that ours is not in."""


class Encrypted(Exception):
    """The room is encrypted, and the router has no encryption: nothing may be sent there."""


@dataclass(frozen=True, slots=True)
class _Named:
    room_id: str
    servers: tuple[str, ...]
    until: float


class Rooms:
    """Rooms by target. What it remembers is bounded by the targets in the mapping."""

    def __init__(self, homeserver: Homeserver, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._homeserver = homeserver
        self._clock = clock
        self._direct = DirectChats(homeserver)
        self._aliases: dict[str, _Named] = {}
        self._encrypted: set[str] = set()

    async def find(self, address: str) -> str:
        """The id of the room for `address`. Raises direct_chats.Declined, and what `Homeserver` raises."""
        if address.startswith("@"):
            return await self._direct.find(address)
        if address.startswith("#"):
            return (await self._named(address)).room_id
        return address

    def forget(self, address: str) -> None:
        """Have `find` look afresh: the room it gave did not let us in, so the alias or the user may have moved on."""
        self._aliases.pop(address, None)
        self._direct.forget(address)

    async def replacement(self, room_id: str) -> str | None:
        """The room that this one was upgraded to, if it was; else None, and then plain text may go to this one, now.

        Asked before every message: a room may be replaced, or turn encrypted, at any moment. Encrypted it stays, so that alone
        is remembered. Raises Encrypted, and what `Homeserver` raises: then too, nothing may be sent.
        """
        if room_id not in self._encrypted:
            tombstone = await self._homeserver.state(room_id, "m.room.tombstone")
            successor = tombstone.get("replacement_room") if tombstone else None
            if isinstance(successor, str) and successor.startswith("!"):
                return successor
            # Any content counts, even none: it is the event that turns encryption on for good.
            if await self._homeserver.state(room_id, "m.room.encryption") is not None:
                self._encrypted.add(room_id)
        if room_id in self._encrypted:
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
