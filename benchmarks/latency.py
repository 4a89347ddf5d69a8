"""Latency: from a document that CouchDB has acknowledged to its bytes at the peer, over a bare follower that posts."""

from benchmarks.couchdb import bed
from benchmarks.figure import Curve, Figure, Result, distribution, median, over, quantile
from benchmarks.following import following_floor, following_router, settle, waits_ms, write_steadily
from benchmarks.peer import Peer, peers, until_accepted
from benchmarks.processes import BenchError
from benchmarks.stage import Stage
from benchmarks.traffic import GROUPS, groups, mapping
from router.documents.json_types import JsonObject

NAME = "latency"
HOW = (
    "A process of its own writes messages one by one, evenly spaced, whatever becomes of them; each has one target, on Slack, "
    f"{GROUPS} in turn. From the moment the writer has CouchDB's acknowledgement to the moment the first byte of the request "
    "is at the peer (one monotonic clock for all processes). The messages of the first second are left out. Floor: a process "
    "that follows the feed and posts with the same HTTP client and concurrency, and nothing else; router and floor in turn."
)
RATES = (50, 200)
ARRIVAL_TIMEOUT_SECONDS = 60.0
SIDES = ("router", "floor")


async def measure(stage: Stage) -> Result:
    """Measure it."""
    runs: list[JsonObject] = []
    all_waits: dict[tuple[str, int], list[float]] = {(side, rate): [] for side in SIDES for rate in RATES}
    async with peers(["slack"], stage.folder) as all_peers:
        for number in range(stage.runs):
            run: JsonObject = {}
            for rate in RATES:
                stage.say(f"latency at {rate} messages/s, run {number + 1} of {stage.runs}")
                for side in SIDES:
                    found = await waits(stage, all_peers["slack"], side, rate, rate * _seconds(stage, rate))
                    all_waits[side, rate] += found
                    run |= {
                        f"{side}_{rate}_p50_ms": quantile(found, 0.5),
                        f"{side}_{rate}_p99_ms": quantile(found, 0.99),
                    }
            runs.append(run)
    figures = []
    for rate in RATES:
        for share, limit in (("p50", 1.5), ("p99", 2.0)):
            ours, floor = (median(runs, f"{side}_{rate}_{share}_ms") for side in SIDES)
            what = f"acknowledged document → bytes at the peer, {rate} messages/s, {share}"
            figures.append(Figure(what, f"{ours:.1f} ms", f"{floor:.1f} ms", over(ours, floor), "", at_most=limit))
    return Result(NAME, HOW, figures, [], runs, _curves(all_waits))


def _curves(all_waits: dict[tuple[str, int], list[float]]) -> list[Curve]:
    labels = {"router": "router", "floor": "bare follower"}
    # A plot with a logarithmic axis shows nothing at or below zero.
    return [
        distribution(f"{labels[side]} at {rate} messages/s", [max(each, 0.05) for each in found])
        for (side, rate), found in all_waits.items()
    ]


def _seconds(stage: Stage, rate: int) -> int:
    return stage.size(12 if rate < 100 else 6, 3)


async def waits(stage: Stage, peer: Peer, side: str, rate: int, count: int) -> list[float]:
    """How long (ms) each of so many messages took with the router or the floor, but for those of the first second."""
    await peer.reset()
    await settle()
    async with bed(stage.server, mapping(["slack"])) as main:
        start = following_router(stage, main, [peer]) if side == "router" else following_floor(stage, main, peer)
        async with start:
            acknowledged = await write_steadily(stage, main, rate_per_second=rate, count=count, groups=groups())
            await until_accepted([peer], count + 1, ARRIVAL_TIMEOUT_SECONDS)
            arrivals = await peer.arrivals()
    if arrivals.distinct() != count + 1:
        raise BenchError(f"{arrivals.distinct() - 1} of {count} messages arrived")
    return waits_ms(acknowledged, arrivals.by_number(), skip=rate)
