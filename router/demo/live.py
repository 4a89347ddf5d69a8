"""Shows what arrives, each delivery document that is written, and what becomes of edits of the mapping, as it happens."""

import asyncio
from time import monotonic
from typing import Final

from rich.console import Console

from router.couch.mapping_store import STATUS_ID
from router.demo import show
from router.demo.couch_user import delivery_of
from router.demo.naming import Naming
from router.demo.scene import Scene

POLL_SECONDS: Final = 0.5


async def show_live(console: Console, scene: Scene) -> None:
    """Go on until cancelled. Raises DemoError when the router or its API ends or a server does not answer."""
    since, _ = await scene.couch.app.changes("now")
    naming = Naming()
    while True:
        since, documents = await scene.couch.app.changes(since)
        deliveries = [delivery for delivery in map(delivery_of, documents) if delivery is not None]
        for document in documents:
            if document["_id"] == STATUS_ID:
                show.mapping_changed(console, document)
        for delivery in deliveries:
            naming.learn(delivery)
        for arrival, message_id in naming.name(await scene.reader.look(), monotonic()):
            show.arrived(console, arrival, message_id)
        for delivery in deliveries:
            show.changed(console, delivery)
        scene.check()
        await asyncio.sleep(POLL_SECONDS)
