"""The HTTP client as the router has it: httpx on aiohttp's connections."""

import httpx
from httpx_aiohttp import HttpxAiohttpClient

JSON_TYPE = "application/json; charset=utf-8"


def http_client(connections: int) -> HttpxAiohttpClient:
    """A client that may have so many connections open at once."""
    return HttpxAiohttpClient(
        limits=httpx.Limits(max_connections=connections, keepalive_expiry=5.0),
        timeout=httpx.Timeout(None, connect=30, pool=None),
        headers={"accept-encoding": "identity"},
    )
