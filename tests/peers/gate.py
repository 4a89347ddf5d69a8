"""A gate in front of a CouchDB: hands requests on, and answers some of them itself as the test says."""

from asyncio import Event
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from router.documents.json_types import JsonValue

FromRequest = Callable[[JsonValue], JsonValue]
"""From the body of a request to the body of its answer."""
Guard = Callable[[str, str], tuple[int, JsonValue | FromRequest] | None]
"""From the method and the path of a request to the status and body to answer it with; None hands it on."""


@dataclass(slots=True)
class Gate:
    """An open gate; the router is given its `url` instead of the server's."""

    url: str = ""
    guard: Guard | None = None
    feed_url: str | None = None
    """The server that requests for the continuous changes feed go to, where that is another one."""
    stopped: list[str] = field(default_factory=list)
    """What the guard answered, as `PUT /db/doc`."""

    def refuse_documents(self) -> Event:
        """Answer 503 to whoever writes documents in bulk, until there is another guard. Set when the first one did."""
        refused = Event()

        def refuse(_: str, path: str) -> tuple[int, JsonValue] | None:
            if not path.endswith("/_bulk_docs"):
                return None
            refused.set()
            return 503, {"error": "no", "reason": "no"}

        self.guard = refuse
        return refused


@asynccontextmanager
async def gate_before(server_url: str) -> AsyncIterator[Gate]:
    """Open a gate before the server for the time of the block."""
    gate = Gate()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=5)) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            if gate.guard is not None and (said := gate.guard(request.method, request.path)) is not None:
                gate.stopped.append(f"{request.method} {request.path}")
                status, body = said
                return web.json_response(body(await request.json()) if callable(body) else body, status=status)
            is_feed = request.query.get("feed") == "continuous"
            base = gate.feed_url if gate.feed_url is not None and is_feed else server_url
            headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
            async with session.request(
                request.method, f"{base}{request.raw_path}", data=await request.read(), headers=headers
            ) as answer:
                response = web.StreamResponse(status=answer.status)
                response.content_type = answer.content_type
                # The feed never ends: each piece goes on as it comes. Whoever asked may have gone by then.
                with suppress(ConnectionResetError):
                    await response.prepare(request)
                    async for piece in answer.content.iter_any():
                        await response.write(piece)
                    await response.write_eof()
                return response

        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            gate.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield gate
        finally:
            await runner.cleanup()
