"""Shows what arrives, and each delivery document that is written, as it happens."""

import asyncio
from typing import Final

from rich.console import Console

from router.demo import show
from router.demo.scene import Scene

POLL_SECONDS: Final = 0.5


async def show_live(console: Console, scene: Scene) -> None:
    """Go on until cancelled. Raises DemoError when the router ends, and aiohttp.ClientError when a server does."""
    since, _ = await scene.couch.app.changes("now")
    while True:
        since, deliveries = await scene.couch.app.changes(since)
        for delivery in deliveries:
            show.changed(console, delivery)
        for arrival in await scene.reader.look():
            show.arrived(console, arrival)
        scene.router.check()
        await asyncio.sleep(POLL_SECONDS)
