"""Start-up: from the start of the process to the first delivery, with nothing and with much left over from before."""

import time
from datetime import timedelta

from benchmarks.couchdb import Bed, bed
from benchmarks.figure import Figure, Result, median
from benchmarks.following import follower_plan, settle
from benchmarks.peer import Peer, peers
from benchmarks.pending import build_indexes, checkpoint_here, left_pending
from benchmarks.processes import BenchError, RouterProcess, helper, router
from benchmarks.stage import Stage, router_variables
from benchmarks.traffic import CHANNELS, group, mapping, message
from router.documents.json_types import JsonObject

NAME = "start_up"
HOW = (
    "A message to a target on each of the four channels is written the moment the router's process is started; until its "
    "first delivery is at a peer. With pending deliveries: four channels' worth, due over the next day, {due} of them due now; "
    "checkpoint and indexes as a router leaves them that was stopped, and, once, with the indexes still to be built. Floor: "
    "the start of a bare follower, Python and its HTTP libraries included, to its first post."
)
TIMEOUT_SECONDS = 300.0
DUE_MESSAGES = 50
NEW = 8_000_000
"""Number of the first message that is written at a start."""


async def measure(stage: Stage) -> Result:
    """Measure it."""
    pending = stage.size(100_000, 8_000)
    runs: list[JsonObject] = []
    async with peers(CHANNELS, stage.folder) as all_peers:
        every = list(all_peers.values())
        for number in range(stage.runs):
            stage.say(f"start-up with nothing pending, run {number + 1} of {stage.runs}")
            async with bed(stage.server, mapping(CHANNELS)) as main:
                first, last = await _start(stage, main, every, NEW)
            async with bed(stage.server, mapping(CHANNELS)) as main:
                floor = await _floor(stage, main, all_peers["slack"])
            runs.append({"empty_seconds": first, "empty_all_seconds": last, "floor_seconds": floor})
        stage.say(f"start-up with {pending:,} pending: writing them")
        later = left_pending(CHANNELS, range(pending // len(CHANNELS)), timedelta(hours=1), timedelta(days=1))
        async with bed(stage.server, mapping(CHANNELS), later) as main:
            await _some_due(main, 0)
            cold, _ = await _start(stage, main, every, NEW)
            stage.say("building the indexes")
            began = time.monotonic()
            await build_indexes(main)
            index_seconds = time.monotonic() - began
            for number in range(stage.runs):
                stage.say(f"start-up with {pending:,} pending, run {number + 1} of {stage.runs}")
                await _some_due(main, number + 1)
                await build_indexes(main)
                first, last = await _start(stage, main, every, NEW + number + 1)
                runs[number] |= {"pending_seconds": first, "pending_all_seconds": last}
    floor = median(runs, "floor_seconds")
    figures = []
    for side, what, limit in (("empty", "nothing pending", 2.0), ("pending", f"{pending:,} pending", 4.0)):
        seconds = median(runs, f"{side}_seconds")
        figures.append(
            Figure(
                f"start-up: process start to first delivery, {what}",
                f"{seconds:.2f} s",
                f"{floor:.2f} s",
                seconds,
                " s",
                at_most=limit,
            )
        )
    return Result(
        NAME,
        HOW.format(due=DUE_MESSAGES * len(CHANNELS)),
        figures,
        [
            (
                "until it is delivered on all four channels, nothing pending",
                f"{median(runs, 'empty_all_seconds'):.2f} s",
            ),
            (f"the same, {pending:,} pending", f"{median(runs, 'pending_all_seconds'):.2f} s"),
            (f"with {pending:,} pending and the indexes still to be built (once)", f"{cold:.2f} s to the first"),
            ("what was left to build of the indexes then", f"{index_seconds:.1f} s"),
        ],
        runs,
    )


async def _some_due(main: Bed, number: int) -> None:
    numbers = range(5_000_000 + number * DUE_MESSAGES, 5_000_000 + (number + 1) * DUE_MESSAGES)
    await main.fill(left_pending(CHANNELS, numbers, timedelta(seconds=-60), timedelta(seconds=1)))
    await checkpoint_here(main)


async def _start(stage: Stage, main: Bed, every: list[Peer], number: int) -> tuple[float, float]:
    """Start a router and write a message; seconds until it was delivered on the first channel, and on the last."""
    for peer in every:
        await peer.reset()
    await settle()
    async with router(router_variables(main, every), stage.folder) as process:
        await main.database.put(message(number, group(7)))
        arrived = [await _arrival_ns(peer, number, process) for peer in every]
    return (min(arrived) - process.started_ns) / 1e9, (max(arrived) - process.started_ns) / 1e9


async def _arrival_ns(peer: Peer, number: int, process: RouterProcess | None) -> int:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        # Asking is waiting: a round through the peer's process.
        found = (await peer.arrivals()).by_number().get(number)
        if found is not None:
            return found
        if process is not None:
            process.check()
        if time.monotonic() > deadline:
            raise BenchError(f"the new message did not arrive on {peer.channel} within {TIMEOUT_SECONDS:g} s")
        await settle()


async def _floor(stage: Stage, main: Bed, peer: Peer) -> float:
    await peer.reset()
    await settle()
    since = await main.seq()
    began_ns = time.monotonic_ns()
    async with helper("bare follower", ["benchmarks.floors.follower"], stage.folder) as process:
        await main.database.put(message(NEW, group(7)))
        await process.ask(follower_plan(main, peer, since))
        return (await _arrival_ns(peer, NEW, None) - began_ns) / 1e9
