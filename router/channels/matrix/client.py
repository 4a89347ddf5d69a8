"""matrix-nio's client with its own ideas of errors, repeats and limits taken out."""

import logging
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import nio  # type: ignore[import-untyped]
import orjson

from router.documents.json_types import JsonObject, JsonValue

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""How much of an answer is read. The largest one asked for is `m.direct`, some 100 bytes a direct chat."""

# nio logs whole answers at `debug`, that of a login with its token, and complains of what we classify anyway.
logging.getLogger("nio").setLevel(logging.CRITICAL)


class NotAsAsked(Exception):
    """An answer that is not what was asked for: its status, its body where that is a JSON object, and `Retry-After`."""

    def __init__(self, status: int, body: JsonObject, retry_after: str | None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.retry_after = retry_after


class Client(nio.AsyncClient):  # type: ignore[misc]
    """nio's client, made to judge an answer by its HTTP status before nio interprets it. Raises NotAsAsked for bad ones.

    nio 0.26.0 itself takes the error to a state request for the state (`RoomGetStateEventResponse.from_dict`), drops an
    `errcode` that comes without text, does not read `Retry-After`, and on 429 sleeps and repeats inside the call.
    """

    client_session: aiohttp.ClientSession | None

    def __init__(self, url: str, user: str, device_id: str) -> None:
        # Both counts at 0: nio would else repeat 429 and broken connections for ever, inside the call. No timeout of nio's:
        # the caller's counts.
        config = nio.AsyncClientConfig(
            max_limit_exceeded=0, max_timeouts=0, request_timeout=0, encryption_enabled=False, store_sync_tokens=False
        )
        super().__init__(url, user, device_id, config=config)

    async def request(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Make a request that nio has no words for; the answer as it came. Raises what every other method here raises."""
        answer: _Plain = await self._send(_Plain, method, path, None if body is None else nio.Api.to_json(body))
        return answer.body

    async def send(
        self,
        method: str,
        path: str,
        data: str | None = None,
        headers: dict[str, str] | None = None,
        trace_context: None = None,
        timeout: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Nio's, on connections of our own making."""
        if not self.client_session:
            self.client_session = aiohttp.ClientSession(
                proxy=_proxy_for(self.homeserver), cookie_jar=aiohttp.DummyCookieJar()
            )
        answer: aiohttp.ClientResponse = await super().send(method, path, data, headers, trace_context, timeout)
        return answer

    async def create_matrix_response(
        self,
        response_class: type[nio.Response],
        transport_response: aiohttp.ClientResponse,
        data: tuple[str, ...] | None = None,
        save_to: None = None,  # noqa: ARG002 - nio's, for downloads
    ) -> nio.Response:
        """Nio's, for answers that are what was asked for. Raises NotAsAsked for the others."""
        status = transport_response.status
        body = await _read_object(transport_response)
        if body is None or not 200 <= status < 300:
            raise NotAsAsked(status, body or {}, transport_response.headers.get("Retry-After"))
        answer: nio.Response = response_class.from_dict(body, *(data or ()))
        if isinstance(answer, nio.ErrorResponse):
            raise NotAsAsked(status, {}, None)
        return answer


@dataclass
class _Plain(nio.Response):  # type: ignore[misc]
    """Any JSON object, as it came, for requests that nio has no words for."""

    body: JsonObject

    @classmethod
    def from_dict(cls, body: JsonObject) -> Self:
        """How nio makes its answers."""
        return cls(body)


async def _read_object(answer: aiohttp.ClientResponse) -> JsonObject | None:
    """The body, if it is a JSON object of at most MAX_ANSWER_BYTES; else None."""
    body = bytearray()
    # Left early, by too long a body, a broken connection or a timeout, it closes the connection.
    async with answer:
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                return None
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _proxy_for(url: str) -> str | None:
    """The proxy that the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) names for `url`. Asked once, not on every request."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
