"""The room in which the router talks to one user: found if there is one, made once if not."""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

import structlog

from router.channels.matrix.homeserver import DIRECT_CHAT_MARK, Homeserver
from router.channels.matrix.outcomes import Refused
from router.documents.json_types import JsonObject

log = structlog.stdlib.get_logger("router.matrix")

_THERE: Final = ("join", "invite")


class Declined(Exception):
    """The user left the direct chat again after one more invitation."""


class DirectChats:
    """Direct chats by user id. What it remembers is bounded by the users in the mapping and the rooms the router is in."""

    def __init__(self, homeserver: Homeserver) -> None:
        self._homeserver = homeserver
        self._known: dict[str, str] = {}
        self._marks: dict[str, str | None] = {}
        """For whom the router made a room, by room; None for a room that is no direct chat of its making."""
        self._invited_again: set[str] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._account_data = asyncio.Lock()

    async def find(self, user_id: str) -> str:
        """The room to reach `user_id` in. However many ask at once, one room is made.

        Somebody who left is invited once more: chats get tidied away by accident. Whoever leaves after that is not pestered.
        Raises Declined then, and what `Homeserver` raises.
        """
        async with self._locks.setdefault(user_id, asyncio.Lock()):
            room_id = self._known.get(user_id)
            if room_id is None:
                room_id = await self._listed(user_id) or await self._marked(user_id)
            if room_id is None:
                room_id = await self._make(user_id)
            else:
                await self._bring_back(room_id, user_id)
            self._known[user_id] = room_id
            return room_id

    def forget(self, user_id: str) -> None:
        """Look for the room afresh next time: the router may not use the one it knew."""
        self._known.pop(user_id, None)

    async def _listed(self, user_id: str) -> str | None:
        """The room that the account data name: one where the user is, rather than one they left."""
        rooms = _rooms_of(await self._homeserver.direct_chats(), user_id)
        if not rooms:
            return None
        joined = set(await self._homeserver.joined_rooms())
        found: dict[str, str] = {}
        for room_id in rooms:
            if room_id in joined:
                found.setdefault(await self._membership(room_id, user_id), room_id)
        return found.get("join") or found.get("invite") or found.get("leave")

    async def _marked(self, user_id: str) -> str | None:
        """The room the router made for this user and was stopped before it could note it; notes it now."""
        for room_id in await self._homeserver.joined_rooms():
            if room_id not in self._marks:
                mark = await self._homeserver.state(room_id, DIRECT_CHAT_MARK)
                marked = mark.get("user_id") if mark else None
                self._marks[room_id] = marked if isinstance(marked, str) else None
            if self._marks[room_id] == user_id and await self._membership(room_id, user_id) != "ban":
                await self._note(user_id, room_id)
                return room_id
        return None

    async def _make(self, user_id: str) -> str:
        try:
            await self._homeserver.profile(user_id)
        except Refused as refused:
            # A homeserver may hide profiles (403), but not even Synapse objects to inviting somebody who does not exist.
            if refused.failure.errcode != "M_FORBIDDEN":
                raise
        room_id = await self._homeserver.create_direct_chat(user_id)
        log.info("opened a direct chat", room_id=room_id, target=user_id)
        self._marks[room_id] = user_id
        await self._note(user_id, room_id)
        return room_id

    async def _note(self, user_id: str, room_id: str) -> None:
        """Add the room to the account data, which holds everybody's: read, change, write, one at a time."""
        async with self._account_data:
            content = await self._homeserver.direct_chats()
            rooms = _rooms_of(content, user_id)
            if room_id not in rooms:
                await self._homeserver.set_direct_chats({**content, user_id: [*rooms, room_id]})

    async def _bring_back(self, room_id: str, user_id: str) -> None:
        if await self._membership(room_id, user_id) in _THERE:
            return
        if user_id in self._invited_again:
            raise Declined(user_id)
        await self._homeserver.invite(room_id, user_id)
        self._invited_again.add(user_id)

    async def _membership(self, room_id: str, user_id: str) -> str:
        """`join`, `invite`, `leave` or `ban`."""
        event = await self._homeserver.state(room_id, "m.room.member", user_id)
        membership = event.get("membership") if event else None
        return membership if membership in ("join", "invite", "ban") and isinstance(membership, str) else "leave"


def _rooms_of(direct_chats: JsonObject, user_id: str) -> list[str]:
    rooms = direct_chats.get(user_id)
    return [room for room in rooms if isinstance(room, str)] if isinstance(rooms, list) else []
