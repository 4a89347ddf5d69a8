"""Memory: what a router keeps resident while all channels are down and a backlog grows, and that it drains afterwards."""

import asyncio
import time
from collections.abc import Sequence

from benchmarks.couchdb import Bed, bed
from benchmarks.figure import Figure, Result, median, over
from benchmarks.peer import Peer, peers
from benchmarks.peers.manner import Manner
from benchmarks.processes import BenchError, RouterProcess, router
from benchmarks.stage import Stage, router_variables
from benchmarks.traffic import CHANNELS, group, mapping_document, messages, target
from router.documents.json_types import JsonObject

NAME = "memory"
HOW = (
    "A backlog of messages stands in the database, each for one target ({groups} targets, the four channels in turn), and no "
    "channel works: {down}. The router reads the backlog and records it PENDING, for {limit:.0f} minutes at most; its most "
    "resident memory until {watch} s after that. The floor is the router itself with the small backlog. Then the channels come "
    "back, and it is watched delivering until {drained}. Retries come after 30 s at most "
    "(ROUTER_…__RETRY__MAX_DELAY_SECONDS), so that nobody waits for ten minutes."
)
DOWN = {
    "mixed": "email and Slack refuse connections, Matrix and Sphinx accept them and never answer",
    "refuse": "all refuse connections",
    "hang": "all accept connections and never answer",
}
REFUSING = {"mixed": ("email", "slack"), "refuse": CHANNELS, "hang": ()}
GROUPS = 200
WATCH_SECONDS = 10
RECORD_LIMIT_SECONDS = 360.0
"""How long the router gets to record the backlog, unless `--full`; the backlog is in the database all the while."""
DRAIN_TIMEOUT_SECONDS = 900.0
FULL_LIMIT_SECONDS = 7200.0
MORE = {f"ROUTER_{channel.upper()}__RETRY__MAX_DELAY_SECONDS": "30" for channel in CHANNELS}


async def measure(stage: Stage) -> Result:
    """Measure it: once for each way of being down, since a run is long and memory hardly varies; `--full` has all ways."""
    small, large = stage.size(10_000, 1_000), stage.size(200_000, 10_000)
    drained = large if stage.full else stage.size(5_000, 1_000)
    ways = tuple(DOWN) if stage.full else ("mixed",)
    runs: list[JsonObject] = []
    async with peers(CHANNELS, stage.folder) as all_peers:
        for way in ways:
            run: JsonObject = {"way": way}
            for name, count, enough in (("small", small, small // 5), ("large", large, drained)):
                stage.say(f"memory with a backlog of {count:,}, {DOWN[way]}")
                found = await _run(stage, all_peers, way, count, enough)
                run |= {f"{name}_{key}": value for key, value in found.items()}
            runs.append(run)
    figures = []
    for run in runs:
        peak, floor = float(str(run["large_peak_bytes"])), float(str(run["small_peak_bytes"]))
        what = f"backlog of {large:,} messages, all channels down ({run['way']}): most resident memory"
        sizes = f"{peak / 1e6:,.0f} MB", f"{floor / 1e6:,.0f} MB at {small:,}"
        figures += [
            Figure(f"{what}, over that at {small:,}", *sizes, over(peak, floor), "", at_most=1.3),
            Figure(what, *sizes, peak / 1e6, " MB", at_most=200),
        ]
    return Result(
        NAME,
        HOW.format(
            groups=GROUPS,
            down="; ".join(DOWN[way] for way in ways),
            limit=_limit_seconds(stage) / 60,
            watch=WATCH_SECONDS,
            drained=f"{drained:,} of the large backlog are there",
        ),
        figures,
        [
            (
                f"recorded of the backlog of {large:,}",
                f"{median(runs, 'large_recorded'):,.0f} ({median(runs, 'large_recorded_per_second'):,.0f}/s)",
            ),
            ("resident memory at the end of the watch", f"{median(runs, 'large_end_bytes') / 1e6:,.0f} MB"),
            ("the channels come back: until the first delivery", f"{median(runs, 'large_first_seconds'):.1f} s"),
            (
                f"until {drained:,} deliveries",
                f"{median(runs, 'large_drained_seconds'):.1f} s ({median(runs, 'large_drained_per_second'):,.0f}/s)",
            ),
            ("most resident memory while it drains", f"{median(runs, 'large_drain_peak_bytes') / 1e6:,.0f} MB"),
        ],
        runs,
    )


def _mapping() -> JsonObject:
    """Each group has one target on one channel, so that a message is one delivery."""
    return mapping_document(
        {group(n): {CHANNELS[n % len(CHANNELS)]: [target(CHANNELS[n % len(CHANNELS)], n)]} for n in range(GROUPS)}
    )


async def _run(stage: Stage, all_peers: dict[str, Peer], way: str, count: int, enough: int) -> JsonObject:
    every = list(all_peers.values())
    for channel, peer in all_peers.items():
        await peer.reset()
        if channel in REFUSING[way]:
            await peer.refuse()
        else:
            await peer.behave(Manner(hangs=True))
    backlog = messages(count, [group(n) for n in range(GROUPS)])
    async with bed(stage.server, _mapping(), backlog) as main:
        before = await main.documents()
        async with router(router_variables(main, every, MORE), stage.folder) as process:
            began = time.monotonic()
            recorded = count - await _until_recorded(stage, main, process, before + count)
            recorded_seconds = time.monotonic() - began
            await asyncio.sleep(WATCH_SECONDS)
            found: JsonObject = {
                "recorded": recorded,
                "recorded_per_second": recorded / recorded_seconds,
                "peak_bytes": process.peak_memory_bytes(),
                "end_bytes": process.memory_bytes(),
            }
            for peer in every:
                await peer.mend()
            return {**found, **await _drained(stage, every, process, enough)}


def _limit_seconds(stage: Stage) -> float:
    return FULL_LIMIT_SECONDS if stage.full else RECORD_LIMIT_SECONDS


async def _until_recorded(stage: Stage, main: Bed, process: RouterProcess, documents: int) -> int:
    """Wait until there are so many documents (the messages, and one for each delivery), or time is up; how many lack."""
    deadline = time.monotonic() + _limit_seconds(stage)
    told = time.monotonic()
    while (there := await main.documents()) < documents:
        process.check()
        if time.monotonic() > deadline:
            break
        if time.monotonic() - told > 30:
            told = time.monotonic()
            stage.say(f"  {documents - there:,} still to be recorded; {process.memory_bytes() / 1e6:,.0f} MB")
        await asyncio.sleep(0.5)
    return max(0, documents - there)


async def _drained(stage: Stage, every: Sequence[Peer], process: RouterProcess, enough: int) -> JsonObject:
    began = time.monotonic()
    first: float | None = None
    told = began
    while (there := sum([await peer.accepted() for peer in every])) < enough:
        process.check()
        now = time.monotonic()
        if there and first is None:
            first = now - began
        if now - began > (FULL_LIMIT_SECONDS if stage.full else DRAIN_TIMEOUT_SECONDS):
            raise BenchError(f"{now - began:.0f} s after the channels came back only {there:,} deliveries have arrived")
        if now - told > 30:
            told = now
            stage.say(f"  {there:,} delivered; {process.memory_bytes() / 1e6:,.0f} MB")
        await asyncio.sleep(0.1)
    seconds = time.monotonic() - began
    return {
        "first_seconds": seconds if first is None else first,
        "drained_seconds": seconds,
        "drained_per_second": enough / seconds,
        "drain_peak_bytes": process.peak_memory_bytes(),
    }
