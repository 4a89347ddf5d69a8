"""One run: messages are written while the sender, CouchDB and the homeserver are killed; then all that arrived is counted."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Final

import httpx

from benchmarks.crash.couch import Couch
from benchmarks.crash.plan import CHANNELS
from benchmarks.crash.tally import Arrival, Statement, Tally, mismatches, tally
from benchmarks.crash.victim import Victim, beat
from benchmarks.crash.world import World, restart_couchdb, restart_homeserver
from router.documents.delivery import Status
from router.documents.json_types import JsonObject

_POLL_SECONDS: Final = 0.05

Say = Callable[[str], None]


@dataclass(slots=True)
class Result:
    """What one sender made of its messages."""

    sender: str
    messages: int
    tallies: dict[str, Tally]
    """By channel."""
    kills: int = 0
    ended_by_itself: int = 0
    couchdb_restarts: int = 0
    homeserver_restarts: int = 0
    kill_seconds: float = 0
    """How long the killing went on."""
    calm_seconds: float = 0
    """How long it took from the last kill until everything was final."""
    all_final: bool = True
    database_lost: int = 0
    """Message documents that CouchDB had acknowledged and does not have any more: not the sender's fault."""
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> JsonObject:
        """As the table's JSON has it."""
        return {**asdict(self), "tallies": {name: found.to_json() for name, found in self.tallies.items()}}


@dataclass(frozen=True, slots=True)
class Records:
    """How a sender writes down what became of a message."""

    prefix: str
    """What the `_id` of each such document starts with."""
    read: Callable[[JsonObject], Statement]


class Progress:
    """How many of the messages stand in CouchDB."""

    def __init__(self, total: int) -> None:
        self._total = total
        self.written = 0

    async def reaches(self, share: float) -> None:
        """Wait until so much has been written, 0 to 1."""
        while self.written < share * self._total:  # noqa: ASYNC110 - the writer tells nobody
            await asyncio.sleep(_POLL_SECONDS)


def broken_promises(result: Result) -> list[str]:
    """What the router promises and did not keep, a sentence each."""
    broken = mismatches(result.tallies)
    if not result.all_final:
        broken.append("not every delivery was final in the end")
    if result.ended_by_itself:
        broken.append(f"the router ended by itself {result.ended_by_itself} times")
    return broken


async def besiege(
    world: World,
    sender: str,
    victim: Victim,
    records: Records,
    say: Say,
    next_kill: Callable[[], Awaitable[None]] | None = None,
) -> Result:
    """Write the plan's messages, kill everything meanwhile, wait until all is final, and compare.

    `next_kill` comes back when the victim is to be killed again; the plan's beat unless given.
    """
    plan, loop = world.plan, asyncio.get_running_loop()
    progress, calm = Progress(plan.messages), asyncio.Event()
    result = Result(sender, plan.messages, {})
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        group.create_task(victim.haunt(next_kill or beat(plan.kill_every_seconds), calm), name="killer")
        restarts = group.create_task(_restart_servers(world, progress, result, say), name="restarts")
        await _write_messages(world, progress)
        say(f"all {plan.messages} messages written; killing on until all is final")
        await restarts
        left = plan.kill_for_seconds - (loop.time() - began)
        all_final = await _all_final(world, records, left, say)
        calm.set()
    result.kill_seconds = loop.time() - began
    say(f"{victim.kills} kills in {result.kill_seconds:.0f} s")
    result.all_final = all_final or await _all_final(world, records, plan.calm_seconds, say)
    result.calm_seconds = 0.0 if all_final else loop.time() - began - result.kill_seconds
    await victim.end()
    result.kills, result.ended_by_itself = victim.kills, victim.ended_by_itself
    async with world.couch.http() as http:
        written = {str(document["_id"]) for document in await world.couch.documents(http, "crash-")}
        statements = await _statements(world.couch, http, records)
    result.database_lost = len(set(plan.ids) - written)
    result.tallies = compare(world, await world.arrivals(), statements)
    return result


def compare(
    world: World, arrivals: Iterable[Arrival], statements: dict[tuple[str, str], Statement]
) -> dict[str, Tally]:
    """The tally of each channel. `statements` by channel and message."""
    arrivals = list(arrivals)
    return {
        channel: tally(
            {message_id: world.target(channel, message_id) for message_id in world.plan.ids},
            (arrival for arrival in arrivals if arrival.channel == channel),
            {message_id: said for (on, message_id), said in statements.items() if on == channel},
        )
        for channel in CHANNELS
    }


async def _write_messages(world: World, progress: Progress) -> None:
    """Write all messages at an even pace; what CouchDB did not take while it was down follows as fast as it can."""
    plan, loop = world.plan, asyncio.get_running_loop()
    began = loop.time()
    async with world.couch.http() as http:
        for number, message_id in enumerate(plan.ids):
            await asyncio.sleep(began + number * plan.feed_seconds / plan.messages - loop.time())
            await world.couch.put(http, plan.message(message_id))
            progress.written += 1


async def _restart_servers(world: World, progress: Progress, result: Result, say: Say) -> None:
    """Kill CouchDB and the homeserver and start them again when the plan says so."""
    plan = world.plan

    async def couchdb() -> None:
        await restart_couchdb(world.couch, plan.down_seconds)
        result.couchdb_restarts += 1

    async def homeserver() -> None:
        await restart_homeserver(world.synapse, plan.down_seconds)
        result.homeserver_restarts += 1

    due: list[tuple[float, str, Callable[[], Awaitable[None]]]] = [
        *((share, "CouchDB", couchdb) for share in plan.couchdb_restarts_at),
        *((share, "the homeserver", homeserver) for share in plan.homeserver_restarts_at),
    ]
    for share, name, restart in sorted(due, key=lambda one: one[0]):
        await progress.reaches(share)
        say(f"{progress.written} messages written; {name} is killed and started again")
        await restart()


async def _all_final(world: World, records: Records, within_seconds: float, say: Say) -> bool:
    """Wait until each message has a final document for each channel; whether that came to pass in time."""
    wanted = len(CHANNELS) * world.plan.messages
    final = -1
    try:
        async with asyncio.timeout(max(0, within_seconds)), world.couch.http() as http:
            while True:
                # Counting is cheap. Reading them all is not, and is no use before there are enough.
                if await world.couch.document_count(http) >= wanted + world.plan.messages:
                    statements = await _statements(world.couch, http, records)
                    before, final = final, sum(_is_final(said) for said in statements.values())
                    if final >= wanted:
                        return True
                    if final != before:
                        say(f"{final} of {wanted} deliveries are final")
                await asyncio.sleep(world.plan.look_seconds)
    except TimeoutError:
        return False


async def _statements(couch: Couch, http: httpx.AsyncClient, records: Records) -> dict[tuple[str, str], Statement]:
    found = await couch.documents(http, records.prefix)
    return {(str(document["channel"]), str(document["message_id"])): records.read(document) for document in found}


def _is_final(said: Statement) -> bool:
    return Status(said.status).is_final
