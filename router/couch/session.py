"""One login at one CouchDB server: aiocouch's session with our headers, timeouts and errors."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, cast
from urllib.parse import unquote, urlencode

import aiohttp
from aiocouch.remote import HTTPResponse, RemoteServer, RequestResult
from aiohttp.http import HttpProcessingError
from yarl import URL

from router.couch.codec import decode, encode
from router.couch.errors import Answer, BadAddress, CouchError, Refused, ServerFault, Unreachable, error_of, shortened
from router.documents.json_types import JsonObject, JsonValue
from router.settings import CouchDBSettings

_NO_ANSWER = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)
"""What aiohttp raises instead of a whole answer; the second one, no ClientError, for a body that breaks HTTP's rules."""

MAX_CONNECTIONS = 50
"""Connections to the server at once, the feed's included; a request past that waits, within its timeout."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where the server is and whom to log in as."""

    server: str
    """Its address without credentials and without a slash at the end; safe to show."""
    user: str | None
    authorization: str | None
    """The value of the Authorization header. A secret."""

    def __repr__(self) -> str:
        return f"Login(server={self.server!r}, user={self.user!r})"


def login_of(settings: CouchDBSettings) -> Login:
    """Read the address and the login from `settings`. Credentials inside the address are taken out of it; they count
    where ROUTER_COUCHDB__USERNAME is not set. Raises BadAddress."""
    try:
        url = URL(settings.url.strip())
        ok = url.scheme in ("http", "https") and bool(url.host) and not url.query_string and not url.fragment
    except ValueError:
        ok = False
    if not ok:
        # The address itself is not shown: it may hold a password that could not be told apart.
        raise BadAddress("ROUTER_COUCHDB__URL must be the address of a server, such as http://127.0.0.1:5984")
    user, password = url.user, url.password
    if settings.username is not None:
        user = settings.username
        password = settings.password.get_secret_value() if settings.password else ""
    authorization = None
    if user is not None:
        if ":" in user:
            raise BadAddress("ROUTER_COUCHDB__USERNAME must not hold a colon: it is where the password begins")
        authorization = "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode("ascii")
    return Login(str(url.with_user(None)).rstrip("/"), user, authorization)


class Session(RemoteServer):
    """aiocouch's session, whose every request goes through `_request` here: orjson both ways, and errors of ours only.

    Must be made inside a running event loop, and closed.
    """

    def __init__(self, settings: CouchDBSettings) -> None:
        """Raises BadAddress. Opens no connection yet."""
        self.login = login_of(settings)
        self._origin = URL(self.login.server).origin()
        self._settings = settings
        super().__init__(
            self.login.server,
            timeout=aiohttp.ClientTimeout(
                total=settings.request_timeout_seconds, sock_connect=settings.connect_timeout_seconds
            ),
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(self._add_headers,),
        )

    async def _add_headers(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # PouchDB Server says text/plain unless asked for JSON, and holds a compressed feed back for ever.
        request.headers["Accept"] = "application/json"
        request.headers["Accept-Encoding"] = "identity"
        if self.login.authorization is not None and request.url.origin() == self._origin:
            request.headers["Authorization"] = self.login.authorization
        return await handler(request)

    def _url(self, path: str, params: Mapping[str, Any] | None) -> URL:
        # Paths come quoted: an id may hold `/`, `+`, `%` and `#`, and nobody may quote them once more or less.
        query = urlencode({name: _parameter(value) for name, value in (params or {}).items() if value is not None})
        return URL(f"{self.login.server}{path}" + (f"?{query}" if query else ""), encoded=True)

    async def _request(
        self, method: str, path: str, *, params: dict[str, Any] | None = None, return_json: bool = True, **kwargs: Any
    ) -> RequestResult:
        """One request and its whole answer. Raises CouchError for everything but a 2xx whose body can be read."""
        if (data := kwargs.pop("json", None)) is not None:
            try:
                # As a file, since aiohttp warns of large bodies that are bytes.
                kwargs["data"] = BytesIO(encode(data))
            except (TypeError, ValueError):
                raise Refused(f"What {method} {unquote(path)} would write cannot be written as JSON") from None
            kwargs["headers"] = {"Content-Type": "application/json"}
        try:
            async with self._http_session.request(
                method, self._url(path, params), allow_redirects=False, **kwargs
            ) as response:
                body = await response.read()
        except _NO_ANSWER as error:
            raise self._no_answer(error) from error
        if not 200 <= response.status < 300:
            raise self._error(response, path, body)
        if not return_json:
            return HTTPResponse(response), body
        try:
            value = decode(body) if body.strip() else None
        except ValueError:
            raise self.garbage(f"no JSON for {method} {unquote(path)}") from None
        return HTTPResponse(response), cast("dict[str, Any]", value)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        params: Mapping[str, JsonValue],
        *,
        read_timeout_seconds: float,
        body: JsonObject | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """GET `path` (quoted), or POST it where there is a `body`, and leave the answer to be read from the response, which may
        take for ever: only opening the connection and each single read have a deadline. Who reads should keep one of their own
        beside it: aiohttp 3.14 forgets its deadline after a malformed chunk.

        Raises CouchError for a status that is no success, and for what breaks the connection inside the `with` block.
        """
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._settings.connect_timeout_seconds, sock_read=read_timeout_seconds
        )
        try:
            async with self._http_session.request(
                "GET" if body is None else "POST",
                self._url(path, params),
                allow_redirects=False,
                timeout=timeout,
                data=None if body is None else encode(body),
                headers=None if body is None else {"Content-Type": "application/json"},
            ) as response:
                if response.status != 200:
                    async with asyncio.timeout(self._settings.request_timeout_seconds):
                        said = await response.read()
                    raise self._error(response, path, said)
                yield response
        except _NO_ANSWER as error:
            raise self._no_answer(error, read_timeout_seconds) from error

    async def query(self, path: str, params: JsonObject, body: JsonObject | None = None) -> JsonValue:
        """Ask an index: GET, or POST where there is a `body`, since the keys in it may be too many for an address.

        The POST is made once more when the server had just closed an idle connection; aiohttp does that by itself only
        for methods that are safe to repeat. Raises CouchError.
        """
        if body is None:
            _, answer = await self._get(path, params=params)
            return cast("JsonValue", answer)
        try:
            _, answer = await self._post(path, data=body, params=params)
        except Unreachable as error:
            if not isinstance(error.__cause__, aiohttp.ServerDisconnectedError):
                raise
            _, answer = await self._post(path, data=body, params=params)
        return cast("JsonValue", answer)

    def garbage(self, what: str) -> ServerFault:
        """The error for an answer that CouchDB would not give; `what` says what it was."""
        return ServerFault(
            f"What answers at {self.login.server} does not speak as CouchDB does ({what}): check ROUTER_COUCHDB__URL"
        )

    def _error(self, response: aiohttp.ClientResponse, path: str, body: bytes) -> CouchError:
        """The error that an answer without success stands for."""
        try:
            said = decode(body) if body.strip() else None
        except ValueError:
            said = None
        if not isinstance(said, dict):
            # HEAD has no body; a proxy has its own.
            said = {}
        return error_of(
            Answer(
                server=self.login.server,
                user=self.login.user,
                method=response.method,
                path=unquote(path),
                database=unquote(path.lstrip("/").partition("/")[0]),
                status=response.status,
                reason=shortened(said.get("reason")),
            )
        )

    def _no_answer(self, error: Exception, read_timeout_seconds: float | None = None) -> CouchError:
        """The error for a request that got no answer. The text of `error` is left out: it was not made to be shown."""
        where = f"CouchDB at {self.login.server}"
        if isinstance(error, aiohttp.InvalidURL):
            return BadAddress("ROUTER_COUCHDB__URL must be the address of a server, such as http://127.0.0.1:5984")
        if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
            return ServerFault(f"What answers at {self.login.server} does not speak HTTP: check ROUTER_COUCHDB__URL")
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            seconds = self._settings.connect_timeout_seconds
            why = f"no connection within {seconds:g} s, ROUTER_COUCHDB__CONNECT_TIMEOUT_SECONDS"
        elif isinstance(error, TimeoutError):
            if read_timeout_seconds is not None:
                why = f"silent for {read_timeout_seconds:g} s"
            else:
                seconds = self._settings.request_timeout_seconds
                why = f"no answer within {seconds:g} s, ROUTER_COUCHDB__REQUEST_TIMEOUT_SECONDS"
        else:
            why = next(text for kind, text in _BROKEN if isinstance(error, kind))
        return Unreachable(f"{where} cannot be reached ({why}): see that it runs and that ROUTER_COUCHDB__URL is right")


_BROKEN: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted"),
    (aiohttp.ClientSSLError, "no TLS connection"),
    (aiohttp.ClientConnectorDNSError, "its host name is not known"),
    (aiohttp.ClientConnectorError, "no connection"),
    (Exception, "the connection broke"),
)
"""What aiohttp raises when there is no answer, the most special first."""


def _parameter(value: object) -> str:
    """A query parameter as CouchDB reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
