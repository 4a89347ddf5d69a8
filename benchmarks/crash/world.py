"""All that a sender can reach: CouchDB, Synapse, a mail server, Slack and a Sphinx bot, each a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from benchmarks.crash.couch import Couch
from benchmarks.crash.plan import Plan, contact_info, group_name, mailbox, message_named_in, pubkey, slack_channel
from benchmarks.crash.tally import Arrival
from router.demo.child import Child
from router.demo.environment import clean_environment
from router.demo.matrix_user import MatrixUser
from router.demo.synapse import Synapse
from router.documents.json_types import JsonObject

CHECKOUT: Final = Path(__file__).resolve().parents[2]
MAPPING_ID: Final = "ccs.notifications"
PEERS: Final = ("slack", "sphinx", "mail")


@dataclass(frozen=True, slots=True)
class World:
    """One run's servers."""

    plan: Plan
    folder: Path
    couch: Couch
    synapse: Synapse
    bot: MatrixUser
    """Whom the sender is on Matrix; it is in every room."""
    rooms: tuple[str, ...]
    """The room of each group."""
    peers: dict[str, JsonObject]
    """How to reach `slack`, `sphinx` and `mail`."""

    def target(self, channel: str, message_id: str) -> str:
        """Where a message is to arrive, as arrivals name it."""
        group = self.plan.group_of(message_id)
        if channel == "matrix":
            return self.rooms[group]
        return {"email": mailbox, "slack": slack_channel, "sphinx": pubkey}[channel](group)

    def mapping(self) -> JsonObject:
        """The mapping document."""
        groups: JsonObject = {
            group_name(group): {
                "matrix": [room],
                "email": [mailbox(group)],
                "slack": [slack_channel(group)],
                "sphinx": [contact_info(group)],
            }
            for group, room in enumerate(self.rooms)
        }
        return {"_id": MAPPING_ID, "mapping": groups}

    async def arrivals(self) -> list[Arrival]:
        """Everything that has arrived anywhere: from the peers' logs and the rooms' timelines."""
        found = [arrival for peer in PEERS for arrival in logged(self.folder / f"{peer}.arrivals")]
        for room in self.rooms:
            for event in await self.bot.messages(room):
                content, event_id = event["content"], str(event["event_id"])
                message_id = message_named_in(str(content.get("body"))) if isinstance(content, dict) else None
                if message_id is not None:
                    found.append(Arrival("matrix", message_id, room, event_id, event_id))
        return found


def logged(log: Path) -> list[Arrival]:
    """The arrivals that a peer has logged."""
    return [Arrival(**orjson.loads(line)) for line in log.read_bytes().splitlines()]


def child_environment() -> dict[str, str]:
    """For processes that run code of this checkout, whichever other one may be installed."""
    return {**clean_environment(), "PYTHONPATH": str(CHECKOUT)}


@asynccontextmanager
async def peer(name: str, folder: Path, *arguments: str) -> AsyncIterator[JsonObject]:
    """Run a peer for the time of the block; its arrivals go to `{name}.arrivals` in `folder`."""
    module = ("benchmarks.crash.peers", name, str(folder / f"{name}.arrivals"), *arguments)
    async with Child(name, module, cwd=folder, environment=child_environment(), log=folder / f"{name}.log") as child:
        yield await child.first_line()


@asynccontextmanager
async def world(plan: Plan, folder: Path, couch: Couch, synapse: Synapse) -> AsyncIterator[World]:
    """Rooms on a running Synapse, the peers, and the mapping in CouchDB."""
    async with AsyncExitStack() as stack:
        groups = ("--groups", str(plan.groups))
        starting = [stack.enter_async_context(peer(name, folder, *groups)) for name in PEERS]
        described = dict(zip(PEERS, [await one for one in starting], strict=True))
        bot = await synapse.register(f"router-{couch.database}")
        rooms = tuple([await bot.create_room(name=group_name(group)) for group in range(plan.groups)])
        found = World(plan, folder, couch, synapse, bot, rooms, described)
        async with couch.http() as http:
            await couch.put(http, found.mapping())
        yield found


async def restart_homeserver(synapse: Synapse, down_seconds: float) -> None:
    """Kill it and start it again."""
    await synapse.kill()
    await asyncio.sleep(down_seconds)
    await synapse.start()


async def restart_couchdb(couch: Couch, down_seconds: float) -> None:
    """Kill it and start it again."""
    await couch.kill()
    await asyncio.sleep(down_seconds)
    await couch.start()
