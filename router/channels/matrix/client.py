"""matrix-nio's client with its own ideas of errors, repeats and limits taken out."""

import logging
from typing import Final

import aiohttp
import nio  # type: ignore[import-untyped]
import orjson

from router.channels.http import proxy_for
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
        """Make a request that nio has no words for, or too many; the answer as it came. Raises what all methods here raise.

        `path` is percent-encoded. A message goes this way: nio's own (`room_send`) alone takes a third more CPU than a whole
        `MatrixChannel.send` takes so, for it takes the path apart, puts it together again, and looks at the answer by a schema.
        """
        headers = {"Content-Type": "application/json"}
        if self.access_token:
            headers["Authorization"] = f"Bearer {self.access_token}"
        answer = await self.send(method, path, None if body is None else nio.Api.to_json(body), headers)
        return await _read_good(answer)

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
                proxy=proxy_for(self.homeserver), cookie_jar=aiohttp.DummyCookieJar()
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
        body = await _read_good(transport_response)
        answer: nio.Response = response_class.from_dict(body, *(data or ()))
        if isinstance(answer, nio.ErrorResponse):
            raise NotAsAsked(transport_response.status, {}, None)
        return answer


async def _read_good(answer: aiohttp.ClientResponse) -> JsonObject:
    """The body of an answer that says success. Raises NotAsAsked for the others."""
    body = await _read_object(answer)
    if body is None or not 200 <= answer.status < 300:
        raise NotAsAsked(answer.status, body or {}, answer.headers.get("Retry-After"))
    return body


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
