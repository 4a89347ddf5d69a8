"""The requests that the router makes of a homeserver, each by matrix-nio, each with a typed answer or `Refused`."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import nio  # type: ignore[import-untyped]

from router.channels.matrix.client import Client, NotAsAsked
from router.channels.matrix.outcomes import Failure, Refused, Step
from router.documents.json_types import JsonObject

DIRECT_CHAT_MARK: Final = "notification-router.direct_chat"
"""State event that names, in a direct chat the router made, for whom it was made: so that it is found again even if the
router was killed before the account data could say so."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token belongs to."""

    user_id: str
    device_id: str | None
    """None for the token of an application service, whose repeats a homeserver tells for an hour at most."""


class Homeserver:
    """A homeserver as the router's user is served by it.

    Every method raises Refused for an answer that is not what was asked for, and aiohttp.ClientError or OSError when none came.
    Nothing is repeated and nothing waited for in here.
    """

    def __init__(self, url: str, user: str, device_id: str) -> None:
        """`url`: base address. `user`: user id, needed for a login by password. Opens no connection yet."""
        self._client = Client(url.rstrip("/"), user, device_id)
        self._device_id = device_id

    @property
    def access_token(self) -> str:
        """The token that requests are made with; empty before the login."""
        token: str = self._client.access_token
        return token

    @access_token.setter
    def access_token(self, token: str) -> None:
        self._client.access_token = token

    @property
    def user_id(self) -> str:
        """The router's user, as `login` or `whoami` found it; before that, as the settings say, or empty."""
        user: str = self._client.user_id or self._client.user
        return user

    async def versions(self) -> list[str]:
        """The versions of the client-server API that are spoken."""
        body = await self._plain(Step.VERSIONS, "GET", "versions", base="/_matrix/client")
        versions = body.get("versions")
        if not isinstance(versions, list) or not versions:
            raise Refused(Failure(Step.VERSIONS, 200))
        return [str(version) for version in versions]

    async def login(self, password: str) -> Identity:
        """Log in under the device id, which stays, and use the token from now on."""
        self._client.device_id = self._device_id
        answer = await self._ask(Step.LOGIN, self._client.login(password, device_name="notification router"))
        return Identity(answer.user_id, answer.device_id)

    async def whoami(self) -> Identity:
        """Whom the access token belongs to."""
        answer = await self._ask(Step.WHOAMI, self._client.whoami())
        return Identity(answer.user_id, answer.device_id)

    async def resolve(self, alias: str) -> tuple[str, list[str]]:
        """The room that an alias names, and servers that are in it."""
        answer = await self._ask(Step.RESOLVE, self._client.room_resolve_alias(alias))
        return answer.room_id, answer.servers

    async def state(self, room_id: str, kind: str, key: str = "") -> JsonObject | None:
        """The content of a state event; None if the room has no such event."""
        try:
            answer = await self._ask(Step.STATE, self._client.room_get_state_event(room_id, kind, key))
        except Refused as refused:
            if (refused.failure.status, refused.failure.errcode) == (404, "M_NOT_FOUND"):
                return None
            raise
        content: JsonObject = answer.content
        return content

    async def join(self, room_id: str, via: Sequence[str]) -> None:
        """Join a room, asking the servers `via` if ours is not in it. Harmless when already joined."""
        # `via` since Matrix 1.12, `server_name` before.
        query = urlencode([(name, server) for name in ("via", "server_name") for server in via])
        await self._plain(Step.JOIN, "POST", "join", room_id, body={}, query=query)

    async def send_message(self, room_id: str, content: JsonObject, transaction_id: str) -> str:
        """Send an `m.room.message` and give its event id: that of the first time, for a transaction id already seen."""
        answer = await self._plain(
            Step.SEND, "PUT", "rooms", room_id, "send", "m.room.message", transaction_id, body=content
        )
        event_id = answer.get("event_id")
        if not isinstance(event_id, str):
            raise Refused(Failure(Step.SEND, 200))
        return event_id

    async def joined_rooms(self) -> list[str]:
        """The rooms that the router's user is in."""
        answer = await self._ask(Step.DIRECT, self._client.joined_rooms())
        rooms: list[str] = answer.rooms
        return rooms

    async def direct_chats(self) -> JsonObject:
        """The account data `m.direct`: a list of room ids for each user id, if everybody who wrote it kept to that."""
        try:
            return await self._plain(Step.DIRECT, "GET", "user", self.user_id, "account_data", "m.direct")
        except Refused as refused:
            if (refused.failure.status, refused.failure.errcode) == (404, "M_NOT_FOUND"):
                return {}
            raise

    async def set_direct_chats(self, content: JsonObject) -> None:
        """Replace the account data `m.direct`."""
        await self._plain(Step.DIRECT, "PUT", "user", self.user_id, "account_data", "m.direct", body=content)

    async def create_direct_chat(self, user_id: str) -> str:
        """Make an unencrypted room for two, invite `user_id`, and give the room's id."""
        mark = {"type": DIRECT_CHAT_MARK, "state_key": "", "content": {"user_id": user_id}}
        answer = await self._ask(
            Step.CREATE,
            self._client.room_create(
                is_direct=True, preset=nio.RoomPreset.trusted_private_chat, invite=[user_id], initial_state=[mark]
            ),
        )
        room_id: str = answer.room_id
        return room_id

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite `user_id` to the room."""
        await self._plain(Step.INVITE, "POST", "rooms", room_id, "invite", body={"user_id": user_id})

    async def profile(self, user_id: str) -> JsonObject:
        """What everybody may know of a user."""
        return await self._plain(Step.PROFILE, "GET", "profile", user_id)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _plain(
        self,
        step: Step,
        method: str,
        *path: str,
        body: JsonObject | None = None,
        base: str = "/_matrix/client/v3",
        query: str = "",
    ) -> JsonObject:
        where = "/".join([base, *(quote(part, safe="") for part in path)]) + (f"?{query}" if query else "")
        answer: JsonObject = await self._ask(step, self._client.request(method, where, body))
        return answer

    async def _ask(self, step: Step, answer: Awaitable[Any]) -> Any:
        """Wait for nio's answer to `step`; Refused if it is not what was asked for."""
        try:
            return await answer
        except NotAsAsked as other:
            errcode, error, ms = (other.body.get(key) for key in ("errcode", "error", "retry_after_ms"))
            raise Refused(
                Failure(
                    step,
                    other.status,
                    errcode if isinstance(errcode, str) and errcode else None,
                    error if isinstance(error, str) else "",
                    other.retry_after,
                    float(ms) if isinstance(ms, int | float) else None,
                )
            ) from None
