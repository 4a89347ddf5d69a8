"""A person with an account on a Matrix homeserver: makes rooms, invites, joins, and reads what arrived."""

import asyncio
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import aiohttp

from router.documents.json_types import JsonObject, JsonValue

REQUEST_TIMEOUT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


class MatrixRefusal(Exception):
    """The homeserver refused a request."""

    def __init__(self, status: int, errcode: str, message: str) -> None:
        super().__init__(f"the homeserver answered {status} {errcode}: {message}")
        self.status = status
        self.errcode = errcode


async def call(method: str, url: str, body: JsonObject | None = None, *, token: str | None = None) -> JsonObject:
    """One request of the client-server API and its answer. Raises MatrixRefusal; aiohttp.ClientError when nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.request(method, url, json=body, headers=headers) as answer,
    ):
        found: JsonObject = await answer.json()
        if answer.status >= 300:
            raise MatrixRefusal(answer.status, str(found.get("errcode")), str(found.get("error")))
        return found


@dataclass(frozen=True)
class MatrixUser:
    """A user who is logged in, and what such a user does."""

    homeserver: str
    user_id: str
    access_token: str = field(repr=False)
    device_id: str
    password: str = field(default="", repr=False)

    async def request(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Call `path` below /_matrix/client/v3 as this user. Raises MatrixRefusal."""
        return await call(method, f"{self.homeserver}/_matrix/client/v3{path}", body, token=self.access_token)

    async def create_room(
        self,
        *,
        invite: tuple[str, ...] = (),
        alias: str | None = None,
        name: str | None = None,
        public: bool = False,
        encrypted: bool = False,
    ) -> str:
        """Make a room and give its id. `alias` is the local part alone, `ops`."""
        body: JsonObject = {"preset": "public_chat" if public else "private_chat", "invite": list(invite)}
        if alias is not None:
            body["room_alias_name"] = alias
        if name is not None:
            body["name"] = name
        if encrypted:
            encryption: JsonObject = {"algorithm": "m.megolm.v1.aes-sha2"}
            body["initial_state"] = [{"type": "m.room.encryption", "state_key": "", "content": encryption}]
        return str((await self.request("POST", "/createRoom", body))["room_id"])

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite `user_id` to the room."""
        await self.request("POST", f"/rooms/{quote(room_id)}/invite", {"user_id": user_id})

    async def join(self, room_id: str) -> None:
        """Join the room, by an invitation or because it is public."""
        await self.request("POST", f"/join/{quote(room_id)}", {})

    async def leave(self, room_id: str) -> None:
        """Leave the room, or decline the invitation to it."""
        await self.request("POST", f"/rooms/{quote(room_id)}/leave", {})

    async def set_state(self, room_id: str, kind: str, content: JsonObject) -> None:
        """Put `content` into the room's state under `kind` (`m.room.encryption`, …)."""
        await self.request("PUT", f"/rooms/{quote(room_id)}/state/{quote(kind)}", content)

    async def say(self, room_id: str, text: str, transaction: str) -> None:
        """Send a plain text message."""
        await self.request(
            "PUT",
            f"/rooms/{quote(room_id)}/send/m.room.message/{quote(transaction)}",
            {"msgtype": "m.text", "body": text},
        )

    async def invitations(self) -> list[str]:
        """The rooms this user is invited to and has not answered."""
        rooms = (await self.request("GET", "/sync?timeout=0")).get("rooms")
        invited = rooms.get("invite") if isinstance(rooms, dict) else None
        return list(invited) if isinstance(invited, dict) else []

    async def messages(self, room_id: str) -> list[JsonObject]:
        """All message events of the room, oldest first, as this user is shown them."""
        return [
            event for event in await self.events(room_id) if event.get("type") in ("m.room.message", "m.room.encrypted")
        ]

    async def events(self, room_id: str) -> list[JsonObject]:
        """All events of the room, oldest first."""
        found: list[JsonValue] = []
        where = ""
        while True:
            page = await self.request("GET", f"/rooms/{quote(room_id)}/messages?dir=b&limit=100{where}")
            chunk = page.get("chunk")
            found += chunk if isinstance(chunk, list) else []
            if not isinstance(page.get("end"), str):
                return [event for event in reversed(found) if isinstance(event, dict)]
            where = f"&from={quote(str(page['end']))}"

    async def wait_for_messages(
        self, room_id: str, count: int, *, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS
    ) -> list[JsonObject]:
        """Wait until the room holds at least `count` messages, and give them. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                found = await self.messages(room_id)
                if len(found) >= count:
                    return found
                await asyncio.sleep(_POLL_SECONDS)
