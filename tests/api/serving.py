"""The HTTP API on a port of its own, on a test's database, and clients of it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from router.api.serving import serve_api
from router.documents.json_types import JsonObject, JsonValue
from router.settings import ApiSettings, CouchDBSettings, FeedSettings, Settings
from tests.api.issuer import SECRET, token

API_KEY = "an-api-key-of-the-tests"
CHANNELS = ("email", "inapp", "postbox")
START_TIMEOUT_SECONDS = 10.0
QUICK_FEED = FeedSettings(heartbeat_seconds=0.5, backoff_base_seconds=0.02, backoff_max_seconds=0.2)


@dataclass
class Api:
    """A running API."""

    url: str
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, user: str | None = "alice", /, **claims: JsonValue) -> httpx.AsyncClient:
        """A client that calls as `user`, with these claims in its token; as nobody for None."""
        headers = {} if user is None else {"authorization": f"Bearer {token(sub=user, **claims)}"}
        client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20, trust_env=False)
        self.clients.append(client)
        return client

    def program(self) -> httpx.AsyncClient:
        """A client with an API key."""
        client = self.client(None)
        client.headers["x-api-key"] = API_KEY
        return client


def api_settings(couchdb: CouchDBSettings, **more: object) -> Settings:
    """Settings that make the API quick enough for tests; `more` goes for the API."""
    values: dict[str, object] = {
        "jwt_secret": SECRET,
        "api_keys": API_KEY,
        "rate_per_second": 1000,
        "burst": 1000,
        **more,
    }
    return Settings(couchdb=couchdb, feed=QUICK_FEED, api=ApiSettings.model_validate(values), _env_file=None)


@asynccontextmanager
async def serving(settings: Settings, port: int = 0) -> AsyncIterator[Api]:
    """Serve the API for the time of the block, on a port that is free or on this one."""
    listener = socket.create_server(("127.0.0.1", port))
    api = Api(f"http://127.0.0.1:{listener.getsockname()[1]}")
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve_api(settings, CHANNELS, listener, stop))
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                # The port listens: the first request waits until it is served.
                (await api.client(None).get("/healthz")).raise_for_status()
            yield api
        finally:
            stop.set()
            for client in api.clients:
                await client.aclose()
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            await task


def said(answer: httpx.Response, status: int, code: str) -> str:
    """The sentence of a refusal, which has this status and this code."""
    body: JsonObject = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), answer.text
    assert set(body) == {"code", "message"}
    return str(body["message"])
