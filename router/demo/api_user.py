"""A user of the HTTP API with a token, who reads and writes as a front end does."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import aiohttp
import jwt

from router.demo.child import Child, DemoError
from router.demo.server import Server
from router.documents.json_types import JsonObject
from router.documents.timestamps import utc_now

REQUEST_TIMEOUT_SECONDS: Final = 15.0
TOKEN_DAYS: Final = 30
"""How long a token is good. Its secret is the demo's own, and ends with it."""


def token_for(user: str, secret: str) -> str:
    """A token of `user`, as the login of an app would make it."""
    return jwt.encode({"sub": user, "exp": utc_now() + timedelta(days=TOKEN_DAYS)}, secret, algorithm="HS256")


@dataclass(frozen=True)
class ApiUser:
    """A user, as the HTTP API knows them."""

    api_url: str
    """`http://127.0.0.1:…`."""
    name: str
    token: str = field(repr=False)
    process: Child
    """The API's."""

    async def get(self, path: str) -> tuple[int, JsonObject]:
        """GET `path` (quoted): the status and the answer, whatever they are. Raises DemoError when nobody answers."""
        return await self._request("GET", path)

    async def put(self, path: str, body: JsonObject) -> tuple[int, JsonObject]:
        """PUT `body` to `path` (quoted), likewise."""
        return await self._request("PUT", path, body)

    async def _request(self, method: str, path: str, body: JsonObject | None = None) -> tuple[int, JsonObject]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            with Server(self.process.name, self.process.log).asked():
                async with (
                    aiohttp.ClientSession(timeout=timeout) as session,
                    session.request(method, f"{self.api_url}{path}", json=body, headers=headers) as answer,
                ):
                    said: JsonObject = await answer.json()
                    return answer.status, said
        except DemoError:
            # Where it has ended, how it did says more than that it does not answer.
            await self.process.check_after_silence()
            raise
