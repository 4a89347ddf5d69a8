"""The demo's scene: all servers up, users and a room made, the mapping in force and the router running, until the block ends."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from router.demo import story
from router.demo.child import Child
from router.demo.couch_user import Couch
from router.demo.environment import router_settings
from router.demo.received import Reader
from router.demo.start import SERVERS, Start
from router.demo.steps import Steps
from router.documents.json_types import JsonObject

STAND_INS: Final[Mapping[str, Sequence[str]]] = {
    "slack": ("tests.peers", "slack"),
    "sphinx": ("tests.peers", "sphinx"),
}
"""The Python module, with its arguments, that stands in for a service which nobody can run at home."""


@dataclass(frozen=True)
class Scene:
    """What runs, and how to reach it."""

    folder: Path
    couch: Couch
    addresses: story.Addresses
    mapping: JsonObject
    """The mapping document as it stands in CouchDB."""
    reader: Reader
    router: Child
    router_url: str
    """The address of the router's HTTP port."""


@asynccontextmanager
async def open_scene(
    folder: Path, steps: Steps, stand_ins: Mapping[str, Sequence[str]] = STAND_INS
) -> AsyncIterator[Scene]:
    """Start everything, and stop it when the block ends, whatever ends it.

    Raises what the methods of `Start` do.
    """
    async with AsyncExitStack() as stack:
        start = Start(folder, steps, stack)
        try:
            async with asyncio.TaskGroup() as parts:
                couchdb = parts.create_task(start.couchdb())
                matrix = parts.create_task(start.matrix())
                mail = parts.create_task(start.mail())
                slack = parts.create_task(start.stand_in("slack", stand_ins["slack"]))
                sphinx = parts.create_task(start.stand_in("sphinx", stand_ins["sphinx"]))
        except BaseExceptionGroup as failures:
            # One sentence will do; the first failure ended the other parts.
            raise failures.exceptions[0] from None
        couch, mail_room = couchdb.result(), mail.result()
        router_user, alice, room_id = matrix.result()
        settings = router_settings(
            couch, router_user, (mail_room.host, mail_room.port), slack.result(), sphinx.result()
        )
        channels = slack.result()["channels"]
        names = channels if isinstance(channels, dict) else {}
        addresses = story.Addresses(
            room=room_id,
            mailbox=story.MAILBOX,
            slack_admins=str(names["admins"]),
            slack_webhook=str(slack.result()["webhook"]),
            person=str(sphinx.result()["contact_info"]),
        )
        mapping = await start.mapping(couch.admin, settings, story.mapping(addresses))
        router = await start.router(couch.admin, settings, str(mapping["_rev"]))
        servers = {channel: start.asked(channel) for channel in SERVERS}
        reader = Reader(alice, mail_room, str(slack.result()["url"]), str(sphinx.result()["url"]), servers)
        router_url = f"http://127.0.0.1:{settings['ROUTER_HTTP__PORT']}"
        yield Scene(folder, couch, addresses, mapping, reader, router, router_url)
