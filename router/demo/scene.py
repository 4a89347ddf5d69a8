"""The demo's scene until the block ends: all servers up, users and a room made, the mapping in force, router and API running."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from router.demo import story
from router.demo.api_user import ApiUser
from router.demo.child import Child
from router.demo.couch_user import Couch, CouchUser
from router.demo.environment import router_settings
from router.demo.inbox import InboxReader
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
    api_alice: ApiUser
    """Alice with a token for the HTTP API."""

    def check(self) -> None:
        """Raise DemoError when the router or its HTTP API has ended."""
        self.router.check()
        self.api_alice.process.check()


@asynccontextmanager
async def open_scene(
    folder: Path, steps: Steps, stand_ins: Mapping[str, Sequence[str]] = STAND_INS
) -> AsyncIterator[Scene]:
    """Start everything, and stop it when the block ends, whatever ends it.

    Raises what the methods of `Start` do.
    """
    async with AsyncExitStack() as stack:
        start = Start(folder, steps, stack)
        async with _side_by_side() as parts:
            couchdb = parts.create_task(start.couchdb())
            matrix = parts.create_task(start.matrix())
            mail = parts.create_task(start.mail())
            slack = parts.create_task(start.stand_in("slack", stand_ins["slack"]))
            sphinx = parts.create_task(start.stand_in("sphinx", stand_ins["sphinx"]))
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
        async with _side_by_side() as parts:
            api = parts.create_task(start.api(settings))
            running = parts.create_task(_run_router(start, couch.admin, settings, story.mapping(addresses)))
        mapping, router = running.result()
        inbox = InboxReader(api.result())
        servers = {channel: start.asked(channel) for channel in SERVERS}
        reader = Reader(alice, mail_room, inbox, str(slack.result()["url"]), str(sphinx.result()["url"]), servers)
        router_url = f"http://127.0.0.1:{settings['ROUTER_HTTP__PORT']}"
        yield Scene(folder, couch, addresses, mapping, reader, router, router_url, api.result())


async def _run_router(
    start: Start, admin: CouchUser, settings: dict[str, str], mapping: JsonObject
) -> tuple[JsonObject, Child]:
    """The mapping document as it stands in CouchDB, and the router that goes by it."""
    pushed = await start.mapping(admin, settings, mapping)
    await start.users(admin)
    return pushed, await start.router(admin, settings, str(pushed["_rev"]))


@asynccontextmanager
async def _side_by_side() -> AsyncIterator[asyncio.TaskGroup]:
    """For parts that start side by side. Raises the first failure alone, which ended the others: one sentence will do."""
    try:
        async with asyncio.TaskGroup() as parts:
            yield parts
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
