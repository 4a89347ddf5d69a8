"""Who may call what: the dependencies that every endpoint names."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import Request

from router.api.bearer import bearer_in
from router.api.errors import ApiError
from router.api.keys import ApiKeys, key_in
from router.api.rate_limit import RateLimit
from router.api.token_keys import BadToken
from router.api.tokens import TokenVerifier
from router.inbox.caller import Caller, Role

QUERY_TOKEN: Final = "access_token"  # noqa: S105 - the name of a parameter
"""Where a browser's EventSource, which can send no header, has its token (RFC 6750 section 2.3)."""

CallerOf = Callable[[Request], Awaitable[Caller]]
"""A dependency: who calls. Raises ApiError."""


class Access:
    """Verifies callers and counts their requests."""

    def __init__(self, tokens: TokenVerifier, keys: ApiKeys, limit: RateLimit) -> None:
        self._tokens = tokens
        self._keys = keys
        self._limit = limit

    def by_token(self, *roles: Role, in_query: bool = False) -> CallerOf:
        """Whoever has a valid token and one of `roles`; with `in_query` the token may stand in the address too."""

        async def caller(request: Request) -> Caller:
            token = bearer_in(request.headers.get("authorization"))
            if token is None and in_query:
                token = request.query_params.get(QUERY_TOKEN)
            if not token:
                raise _unauthorized("send a token: Authorization: Bearer …", None)
            try:
                found = await self._tokens.verify(token)
            except BadToken as error:
                if error.is_undecided:
                    raise ApiError(503, "unavailable", str(error), {"retry-after": "10"}) from None
                raise _unauthorized(str(error), "invalid_token") from None
            self._count(found)
            if not found.has_any(*roles):
                raise ApiError(403, "forbidden", f"this takes the role {' or '.join(roles)}")
            return found

        return caller

    async def by_key(self, request: Request) -> Caller:
        """The program that has one of our API keys."""
        found = self._keys.caller_of(key_in(request.headers))
        if found is None:
            raise _unauthorized("send one of the keys in ROUTER_API__API_KEYS: X-API-Key: …", None)
        self._count(found)
        return found

    def _count(self, caller: Caller) -> None:
        seconds = self._limit.take(caller.user, asyncio.get_running_loop().time())
        if seconds:
            message = f"too many requests: come again in {seconds} seconds"
            raise ApiError(429, "too_many_requests", message, {"retry-after": str(seconds)})


def _unauthorized(message: str, error: str | None) -> ApiError:
    # RFC 6750 section 3: what is wrong with a token, and nothing where there was none.
    challenge = "Bearer" if error is None else f'Bearer error="{error}"'
    return ApiError(401, "unauthorized", message, {"www-authenticate": challenge})
