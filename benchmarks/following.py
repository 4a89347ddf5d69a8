"""What several benchmarks do: have the router or the bare follower run on a database, and see that it follows."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from benchmarks.couchdb import Bed
from benchmarks.peer import Peer, until_accepted
from benchmarks.processes import Helper, RouterProcess, helper, router, run_helper
from benchmarks.stage import CONCURRENCY, Stage, router_variables
from benchmarks.traffic import GROUPS, group, message, target
from router.documents.json_types import JsonObject

UP_TIMEOUT_SECONDS = 60.0
FIRST_NUMBER = 9_000_000
"""Number of the message that shows that somebody follows; those that are measured have lower ones."""


@asynccontextmanager
async def following_router(
    stage: Stage, bed: Bed, peers: Sequence[Peer], more: Mapping[str, str] | None = None, *, to: str | None = None
) -> AsyncIterator[RouterProcess]:
    """A router that has delivered its first message, `to` that group, on all of these peers."""
    async with router(router_variables(bed, peers, more), stage.folder) as process:
        await bed.database.put(message(FIRST_NUMBER, to or group(0)))
        await until_accepted(peers, 1, UP_TIMEOUT_SECONDS, process.check)
        yield process


@asynccontextmanager
async def following_floor(stage: Stage, bed: Bed, peer: Peer) -> AsyncIterator[Helper]:
    """A bare follower that has posted its first message to the Slack peer."""
    async with helper("bare follower", ["benchmarks.floors.follower"], stage.folder) as process:
        await process.ask(follower_plan(bed, peer, await bed.seq()))
        await bed.database.put(message(FIRST_NUMBER, group(0)))
        await until_accepted([peer], 1, UP_TIMEOUT_SECONDS)
        yield process


def follower_plan(bed: Bed, peer: Peer, since: object) -> JsonObject:
    """What the bare follower is told."""
    plan: JsonObject = {
        "couchdb": bed.plan,
        "port": peer.port,
        "concurrency": CONCURRENCY["slack"],
        "targets": {group(number): target("slack", number) for number in range(GROUPS)},
    }
    return {**plan, "since": since}  # type: ignore[dict-item]


async def write_steadily(
    stage: Stage, bed: Bed, *, rate_per_second: float, count: int, groups: Sequence[str], first: int = 0
) -> dict[int, int]:
    """Have so many messages written at a steady rate by a process of its own; when each was acknowledged (monotonic, ns)."""
    plan: JsonObject = {
        "couchdb": bed.plan,
        "rate_per_second": rate_per_second,
        "count": count,
        "first": first,
        "groups": list(groups),
    }
    told = await run_helper(
        "writer", ["benchmarks.writer"], stage.folder, plan, timeout_seconds=60 + 3 * count / rate_per_second
    )
    numbers, moments = told["numbers"], told["acknowledged_ns"]
    if not isinstance(numbers, list) or not isinstance(moments, list):
        raise TypeError("the writer gave no moments")
    return {int(str(number)): int(str(ns)) for number, ns in zip(numbers, moments, strict=True)}


async def put_at(bed: Bed, document: JsonObject) -> int:
    """Write a document; when it was acknowledged (monotonic, ns)."""
    await bed.database.put(document)
    return time.monotonic_ns()


def waits_ms(acknowledged: Mapping[int, int], arrived: Mapping[int, int], skip: int) -> list[float]:
    """How long each message took from its acknowledgement to its arrival, but for the first `skip`. A little below zero
    where the feed was quicker than the answer to the writer."""
    return [(arrived[number] - ns) / 1e6 for number, ns in sorted(acknowledged.items())[skip:]]


async def settle() -> None:
    """Let what the last step left behind (a server's compaction, ending processes) calm down."""
    await asyncio.sleep(0.5)
