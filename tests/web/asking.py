"""Asking a router's HTTP port."""

import asyncio
from collections.abc import Callable

import httpx

from router.documents.json_types import JsonObject

ANSWER_TIMEOUT_SECONDS = 10.0


async def ask(port: int, path: str) -> httpx.Response:
    """What the port answers."""
    async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_SECONDS) as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


async def ready(
    port: int, condition: Callable[[int, JsonObject], bool], timeout_seconds: float = 15
) -> tuple[int, JsonObject]:
    """Status and body of `/readyz` once they meet `condition`."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while True:
        answer = await ask(port, "/readyz")
        body: JsonObject = answer.json()
        if condition(answer.status_code, body):
            return answer.status_code, body
        assert asyncio.get_running_loop().time() < deadline, f"still {answer.status_code} {body}"
        await asyncio.sleep(0.02)


async def metrics_once(port: int, line: str, timeout_seconds: float = 15) -> str:
    """The text of `/metrics` once it has `line`."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while True:
        text = (await ask(port, "/metrics")).text
        if line in text.splitlines():
            return text
        assert asyncio.get_running_loop().time() < deadline, f"no {line!r} in: {text}"
        await asyncio.sleep(0.02)
