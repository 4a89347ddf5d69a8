"""The least of a Matrix homeserver, for answers that a real one cannot be brought to give: it knows one user and every room."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from router.documents.json_types import JsonObject, JsonValue
from tests.peers.stand_in import StandIn, accept, arrived_body, say

USER: Final = "@router:example.org"
PASSWORD: Final = "correct horse"
TOKEN: Final = "syt_first"
_NOT_FOUND: Final[JsonObject] = {"errcode": "M_NOT_FOUND", "error": "Event not found."}


class HomeserverPeer(StandIn):
    """`async with`; `next(…, path=…)` says what to answer instead. Every login gives a new token and ends the one before."""

    def __init__(self) -> None:
        super().__init__(self._add_routes)
        self.token = TOKEN
        self.logins = 0
        self.direct_chats: JsonObject | None = None

    def _add_routes(self, routes: web.UrlDispatcher) -> None:
        base = "/_matrix/client/v3"
        routes.add_get("/_matrix/client/versions", self._versions)
        routes.add_post(f"{base}/login", self._login)
        routes.add_get(f"{base}/account/whoami", self._guarded({"user_id": USER, "device_id": "DEVICE"}))
        routes.add_get(
            f"{base}/directory/room/{{alias}}", self._guarded({"room_id": "!alias", "servers": ["example.org"]})
        )
        routes.add_get(f"{base}/rooms/{{room}}/state/{{kind}}/{{key:.*}}", self._state)
        routes.add_get(f"{base}/rooms/{{room}}/state/{{kind}}", self._state)
        routes.add_put(f"{base}/rooms/{{room}}/send/m.room.message/{{transaction}}", self._send)
        routes.add_post(f"{base}/join/{{room}}", self._guarded({"room_id": "!joined"}))
        routes.add_get(f"{base}/joined_rooms", self._guarded({"joined_rooms": []}))
        routes.add_get(f"{base}/profile/{{user}}", self._guarded({}))
        routes.add_post(f"{base}/createRoom", self._guarded({"room_id": "!made"}))
        routes.add_get(f"{base}/user/{{user}}/account_data/m.direct", self._show_direct)
        routes.add_put(f"{base}/user/{{user}}/account_data/m.direct", self._keep_direct)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Bearer {self.token}":
            return None
        return say({"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed.", "soft_logout": True}, 401)

    def _guarded(self, body: JsonValue) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            return self._refusal(request) or say(body)

        return answer

    async def _versions(self, _request: web.Request) -> web.Response:
        return say({"versions": ["v1.1", "v1.12"]})

    async def _login(self, request: web.Request) -> web.Response:
        body = arrived_body(request)
        if not isinstance(body, dict) or body.get("password") != PASSWORD:
            return say({"errcode": "M_FORBIDDEN", "error": "Invalid username or password"}, 403)
        self.logins += 1
        self.token = f"syt_{self.logins}"
        return say({"user_id": USER, "device_id": str(body.get("device_id")), "access_token": self.token})

    async def _state(self, request: web.Request) -> web.Response:
        return self._refusal(request) or say(_NOT_FOUND, 404)

    async def _send(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is None:
            accept(request)
        return refusal or say({"event_id": f"$of-{request.match_info['transaction']}"})

    async def _show_direct(self, request: web.Request) -> web.Response:
        if self.direct_chats is None:
            return say(_NOT_FOUND, 404)
        return self._refusal(request) or say(self.direct_chats)

    async def _keep_direct(self, request: web.Request) -> web.Response:
        body = arrived_body(request)
        self.direct_chats = body if isinstance(body, dict) else None
        return self._refusal(request) or say({})
