"""What HTTP channels share: one exchange with a server, its reply bounded in size and time."""

import asyncio
import re
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
import orjson
from httpx_aiohttp import AiohttpTransport

from router import __version__
from router.channels.no_reply import NoReply, no_reply
from router.channels.retry_after import retry_after_seconds
from router.documents.json_types import JsonValue

CONNECT_TIMEOUT_SECONDS: Final = 10.0
"""How long a connection may take to open, TLS and the wait for a free place in the pool included."""
KEEPALIVE_SECONDS: Final = 5.0
"""How long an unused connection is kept. Short: a server that hangs up on an idle connection just as we write to it
leaves us without an answer, and the longer a connection idles the likelier that is."""
MAX_REPLY_BYTES: Final = 1024 * 1024
"""How much of a reply is read. Slack gives back the whole message, each character up to six bytes long."""
ATTEMPT_SHARE: Final = 0.95
"""The part of `attempt_timeout_seconds` that an attempt's requests may use, so that it ends within it, classified."""
MAX_PLACES: Final = 10_000
"""How many addresses are kept ready to use, the latest."""

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
# Not compressed: then the bound on a reply is a bound on memory too.
_HEADERS: Final = MappingProxyType(
    {"user-agent": f"notification-router/{__version__}", "accept": "*/*", "accept-encoding": "identity"}
)
_JSON: Final = MappingProxyType({"content-type": "application/json; charset=utf-8"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    headers: httpx.Headers
    body: bytes
    whole: bool = True
    """False when the connection broke, time ran out or MAX_REPLY_BYTES were reached before the end of `body`."""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> JsonValue:
        """The body as JSON; None also when it is cut or no JSON."""
        if not self.whole:
            return None
        try:
            value: JsonValue = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return value

    def asked_seconds(self, now: datetime) -> float | None:
        """How long the server asked us to wait, by its `Retry-After`; None when it did not say."""
        return retry_after_seconds(self.headers.get("retry-after"), now)


class HttpClient:
    """Connections to one kind of server. Follows no redirects, keeps no cookies; reads bounded replies; obeys HTTPS_PROXY,
    HTTP_PROXY, ALL_PROXY and NO_PROXY.

    httpx is used at its transports (https://www.python-httpx.org/advanced/transports/): what its client adds on top, cookies
    and redirects and a fresh look at the environment and the address, is not wanted here, and costs as much as the request.
    """

    def __init__(self, who: str, connections: int) -> None:
        """`who`: what reasons call the server, `Slack`. `connections`: how many may be open at once."""
        self._who = who
        self._connections = connections
        # By proxy, None for none, and whether it is for TLS.
        self._transports: dict[tuple[str | None, bool], AiohttpTransport] = {}
        self._places: OrderedDict[str, _Place] = OrderedDict()

    async def exchange(
        self, method: str, url: str, *, deadline: float, headers: Mapping[str, str] = NO_HEADERS, json: JsonValue = None
    ) -> Reply | NoReply:
        """Make one request and read the answer, by `deadline` (time of the running loop, seconds).

        `json`, unless None, is sent as the body, with its charset named (Slack asks for that).
        """
        seconds = deadline - asyncio.get_running_loop().time()
        if seconds <= 0:
            return NoReply(f"no time was left in this attempt to ask {self._who}", left=False, host_is_down=False)
        # Always less than all the time there is (aiohttp rounds waits above 5 s up to a whole second of its clock):
        # so whenever the deadline strikes, the connection stood, and the request may have left.
        connect = min(CONNECT_TIMEOUT_SECONDS, seconds / 2)
        place = self._place(url)
        request = httpx.Request(
            method,
            place.url,
            headers={**_HEADERS, **headers} if json is None else {**_HEADERS, **_JSON, **headers},
            content=None if json is None else orjson.dumps(json),
            extensions={"timeout": {"connect": connect, "pool": connect}},
        )
        head: httpx.Response | None = None
        body = bytearray()
        whole = False
        try:
            async with asyncio.timeout(seconds):
                head = await place.transport.handle_async_request(request)
                try:
                    whole = await _read(head, body)
                finally:
                    await head.aclose()
        except (TimeoutError, httpx.RequestError, aiohttp.ClientError) as error:
            if head is None:
                return self._no_reply(error, seconds)
        return Reply(head.status_code, head.headers, bytes(body[:MAX_REPLY_BYTES]), whole)

    async def close(self) -> None:
        """Close the connections."""
        transports, self._transports = self._transports, {}
        self._places.clear()
        for transport in transports.values():
            await transport.aclose()

    def _place(self, url: str) -> "_Place":
        """`url` ready to use. To read one, and to find its proxy, takes longer than to look it up."""
        place = self._places.get(url)
        if place is None:
            place = _Place(httpx.URL(url), self._transport(proxy_for(url), url.startswith("https:")))
            self._places[url] = place
            if len(self._places) > MAX_PLACES:
                self._places.popitem(last=False)
        else:
            self._places.move_to_end(url)
        return place

    def _transport(self, proxy: str | None, is_tls: bool) -> AiohttpTransport:
        transport = self._transports.get((proxy, is_tls))
        if transport is None:
            # To read the trusted authorities takes some 30 ms, so it is left where no certificate is ever looked at: there,
            # nobody is trusted.
            tls = httpx.create_ssl_context() if is_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            transport = AiohttpTransport(
                verify=tls, client=partial(self._session, tls), proxy=None if proxy is None else httpx.Proxy(proxy)
            )
            self._transports[proxy, is_tls] = transport
        return transport

    def _session(self, tls: ssl.SSLContext) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=KEEPALIVE_SECONDS, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _no_reply(self, error: Exception, seconds: float) -> NoReply:
        cause = error.__cause__ if isinstance(error, httpx.RequestError) else error
        # The deadline's own is a TimeoutError and nothing more; aiohttp's are more.
        if isinstance(cause, aiohttp.ClientError):
            return no_reply(cause, self._who)
        return NoReply(f"{self._who} did not answer within {seconds:.3g} seconds", left=True, code="timeout")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a request goes, and by which connections."""

    url: httpx.URL
    transport: AiohttpTransport


async def _read(head: httpx.Response, body: bytearray) -> bool:
    """Read what follows `head` into `body`, MAX_REPLY_BYTES and at most a piece more; whether that was all of it."""
    if not isinstance(head.stream, httpx.AsyncByteStream):
        raise AssertionError("the answer of an asynchronous transport is asynchronous")
    async for piece in head.stream:
        body += piece
        if len(body) > MAX_REPLY_BYTES:
            return False
    return True


def proxy_for(url: str) -> str | None:
    """The proxy that the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) names for `url`."""
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def quoted(text: str, *secrets: str, limit: int = 200) -> str:
    """What the other side said, fit for a reason: one line of at most `limit` characters, in quotes, `secrets` blotted out."""
    for secret in secrets:
        text = text.replace(secret, "…")
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return f"“{line if len(line) <= limit else line[: limit - 1] + '…'}”"
