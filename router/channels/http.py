"""What HTTP channels share: one exchange with a server, and, when no answer came, whether the request may have left."""

import asyncio
import os
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiohttp
import httpx
import orjson
from httpx_aiohttp import HttpxAiohttpClient

from router import __version__
from router.channels.base import Code, Retry, Uncertain
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


@dataclass(frozen=True, slots=True)
class NoReply:
    """No answer came."""

    reason: str
    """One sentence, without an address or a secret."""
    left: bool
    """Whether the server may have got the request. False only when that is certain."""
    code: Code = None


def unanswered(no_reply: NoReply) -> Retry | Uncertain:
    """The outcome of a request that must not be made twice and got no answer."""
    if no_reply.left:
        return Uncertain(f"{no_reply.reason}; it may have arrived or not", no_reply.code)
    return Retry(no_reply.reason, no_reply.code)


FAILURES: Final[tuple[tuple[type[aiohttp.ClientError], str, bool], ...]] = (
    (aiohttp.ClientConnectorCertificateError, "the TLS certificate of {} is not to be trusted", False),
    (aiohttp.ClientConnectorSSLError, "the TLS handshake with {} failed", False),
    (aiohttp.ClientConnectorDNSError, "the name of {} could not be resolved", False),
    (aiohttp.ClientProxyConnectionError, "the proxy on the way to {} could not be reached", False),
    (aiohttp.ClientHttpProxyError, "the proxy on the way to {} refused", False),
    (aiohttp.ClientConnectorError, "{} could not be reached", False),
    (aiohttp.ConnectionTimeoutError, "no connection to {} in time", False),
    (aiohttp.InvalidURL, "the address of {} is no address", False),
    (aiohttp.ServerTimeoutError, "{} did not answer in time", True),
    (aiohttp.ServerDisconnectedError, "{} hung up without an answer", True),
    (aiohttp.ClientResponseError, "{} answered with something that is not HTTP", True),
    (aiohttp.ClientError, "the connection to {} broke before an answer came", True),
)
"""What each failure says and whether the request may have left; the first row that fits counts.

The rows are aiohttp's own exceptions, not httpx's: httpx-aiohttp 0.2.0 (`transport.py`, AIOHTTP_EXC_MAP) turns
`ServerDisconnectedError` and `ClientOSError`, both of which come after the request was written, into
`httpx.ConnectTimeout`, and lets `ClientResponseError` through as it is. The original is the `__cause__`.
"""


class HttpClient:
    """Connections to one kind of server. Follows no redirects; reads bounded replies; obeys HTTPS_PROXY and NO_PROXY."""

    def __init__(self, who: str, connections: int) -> None:
        """`who`: what reasons call the server, `Slack`. `connections`: how many may be open at once."""
        self._who = who
        self._client = HttpxAiohttpClient(
            limits=httpx.Limits(max_connections=connections, keepalive_expiry=KEEPALIVE_SECONDS),
            follow_redirects=False,
            # Not compressed: then the bound on a reply is a bound on memory too.
            headers={"user-agent": f"notification-router/{__version__}", "accept-encoding": "identity"},
        )

    async def exchange(
        self, method: str, url: str, *, deadline: float, headers: dict[str, str] | None = None, json: JsonValue = None
    ) -> Reply | NoReply:
        """Make one request and read the answer, by `deadline` (time of the running loop, seconds).

        `json`, unless None, is sent as the body, with its charset named (Slack asks for that).
        """
        seconds = deadline - asyncio.get_running_loop().time()
        if seconds <= 0:
            return NoReply(f"no time was left in this attempt to ask {self._who}", left=False)
        # Always less than all the time there is (aiohttp rounds waits above 5 s up to a whole second of its clock):
        # so whenever the deadline strikes, the connection stood, and the request may have left.
        connect = min(CONNECT_TIMEOUT_SECONDS, seconds / 2)
        content = None
        headers = dict(headers or {})
        if json is not None:
            content = orjson.dumps(json)
            headers["content-type"] = "application/json; charset=utf-8"
        head: httpx.Response | None = None
        body = bytearray()
        whole = False
        try:
            async with asyncio.timeout(seconds):
                async with self._client.stream(
                    method,
                    url,
                    content=content,
                    headers=headers,
                    timeout=httpx.Timeout(None, connect=connect, pool=connect),
                ) as head:
                    async for chunk in head.aiter_raw():
                        body += chunk
                        if len(body) > MAX_REPLY_BYTES:
                            break
                    else:
                        whole = True
        except (TimeoutError, httpx.RequestError, aiohttp.ClientError) as error:
            if head is None:
                return self._no_reply(error, seconds)
        return Reply(head.status_code, head.headers, bytes(body[:MAX_REPLY_BYTES]), whole)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _no_reply(self, error: Exception, seconds: float) -> NoReply:
        cause = error.__cause__ if isinstance(error, httpx.RequestError) else error
        for kind, words, left in FAILURES:
            if isinstance(cause, kind):
                reason = words.format(self._who)
                # Never str(cause): it may hold the address, and the address may be the secret.
                if type(cause) is aiohttp.ClientConnectorError and (cause.errno or 0) > 0:
                    reason += f" ({os.strerror(cause.errno or 0).lower()})"
                return NoReply(reason, left, type(cause).__name__)
        return NoReply(f"{self._who} did not answer within {seconds:.3g} seconds", left=True, code="timeout")


def quoted(text: str, *secrets: str, limit: int = 200) -> str:
    """What the other side said, fit for a reason: one line of at most `limit` characters, in quotes, `secrets` blotted out."""
    for secret in secrets:
        text = text.replace(secret, "…")
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return f"“{line if len(line) <= limit else line[: limit - 1] + '…'}”"
