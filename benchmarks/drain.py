"""Drain: how fast a backlog leaves over all four channels, over a bare loop that sends the same requests."""

import asyncio
from collections import Counter
from pathlib import Path

import orjson

from benchmarks.couchdb import Bed, Tail, bed
from benchmarks.figure import Curve, Figure, Result, cumulative, median, over
from benchmarks.peer import Arrivals, Peer, peers, until_accepted
from benchmarks.processes import BenchError, router, run_helper
from benchmarks.stage import Stage, loop_plan, router_variables
from benchmarks.traffic import CHANNELS, GROUPS, groups, mapping, messages
from router.documents.json_types import JsonObject

NAME = "drain"
HOW = (
    "Messages stand in the database before the router starts, spread over {groups} groups with a target on each of four "
    "channels; default settings, Slack's own limit per channel lifted. From the first arrival at a peer to the last "
    "delivery document. Floor: one process that sends the same requests, as many of each kind as the router made, with "
    "the same client libraries and concurrency and ready-made bodies, and reads and writes no document."
)
TIMEOUT_SECONDS = 900.0
LOOKS = {"matrix": "state", "sphinx": "contact"}
"""The requests that a channel makes beside its sends."""


async def measure(stage: Stage) -> Result:
    """Measure it."""
    count = stage.size(10_000, 1_000)
    runs: list[JsonObject] = []
    curves: list[Curve] = []
    for number in range(stage.runs):
        stage.say(f"drain, run {number + 1} of {stage.runs}: {count:,} messages to {len(CHANNELS)} channels")
        async with peers(CHANNELS, stage.folder) as all_peers:
            run, curves = await drain_once(stage, list(all_peers.values()), count)
            runs.append(run)
    rate, floor_rate = median(runs, "router_per_second"), median(runs, "loop_per_second")
    cpu, floor_cpu = median(runs, "router_cpu_per_1000"), median(runs, "loop_cpu_per_1000")
    both = median(runs, "loop_with_documents_per_second")
    return Result(
        NAME,
        HOW.format(groups=GROUPS),
        [
            Figure(
                f"drain {count:,} messages × {len(CHANNELS)} channels, deliveries/s",
                f"{rate:,.0f}/s",
                f"{floor_rate:,.0f}/s",
                over(rate, floor_rate),
                "",
                at_least=0.7,
            ),
            Figure(
                "the same, CPU seconds per 1,000 deliveries",
                f"{cpu:.2f} s",
                f"{floor_cpu:.2f} s",
                over(cpu, floor_cpu),
                "",
                at_most=1.5,
            ),
        ],
        [
            ("a bare loop that also writes the delivery documents, beside the sending", f"{both:,.0f} deliveries/s"),
            ("the router over that loop", f"{over(rate, both):.2f}"),
            ("a bare `_bulk_docs` writer of the same delivery documents", f"{median(runs, 'write_per_second'):,.0f}/s"),
            ("a bare reader of the messages' feed", f"{median(runs, 'read_per_second'):,.0f}/s"),
            ("the router's start to the first arrival", f"{median(runs, 'router_start_seconds'):.2f} s"),
            ("its most resident memory", f"{median(runs, 'router_peak_bytes') / 1e6:,.0f} MB"),
            ("requests for each send: Matrix", f"{1 + median(runs, 'matrix_looks'):.2f}"),
            ("requests for each send: Sphinx", f"{1 + median(runs, 'sphinx_looks'):.2f}"),
        ],
        runs,
        curves,
    )


async def drain_once(stage: Stage, all_peers: list[Peer], count: int) -> tuple[JsonObject, list[Curve]]:
    """The figures of the router and of its floors with so many messages, and the curves to draw."""
    documents = stage.folder / "deliveries.jsonl"
    async with bed(stage.server, mapping(CHANNELS), messages(count, groups())) as main:
        run, arrivals = await _router(stage, main, all_peers, count)
        await _keep(main, documents, count * len(all_peers))
        read = await _couchdb_floor(stage, {"do": "read", "couchdb": main.plan, "count": count})
    run["read_per_second"] = count / read
    looks = {channel: arrivals[channel].requests.get(kind, 0) / count for channel, kind in LOOKS.items()}
    run |= {f"{channel}_looks": each for channel, each in looks.items()}
    channels: JsonObject = {
        peer.channel: loop_plan(peer, count, GROUPS, looks_per_send=looks.get(peer.channel, 0)) for peer in all_peers
    }
    run |= _named("loop", count, await _loop(stage, all_peers, {"channels": channels}))
    floor_arrivals = [moment for peer in all_peers for moment in (await peer.arrivals()).at_ns]
    async with bed(stage.server) as other:
        written = await _couchdb_floor(stage, {"do": "write", "couchdb": other.plan, "documents": str(documents)})
    run["write_per_second"] = count * len(all_peers) / written
    async with bed(stage.server) as other:
        plan: JsonObject = {"channels": channels, "documents": str(documents), "couchdb": other.plan}
        run |= _named("loop_with_documents", count, await _loop(stage, all_peers, plan))
    curves = [
        cumulative("router", [moment for each in arrivals.values() for moment in each.at_ns]),
        *(cumulative(f"router: {channel}", each.at_ns) for channel, each in arrivals.items()),
        cumulative("bare client loop", floor_arrivals),
    ]
    return run, curves


async def _router(stage: Stage, main: Bed, all_peers: list[Peer], count: int) -> tuple[JsonObject, dict[str, Arrivals]]:
    for peer in all_peers:
        await peer.reset()
    async with router(router_variables(main, all_peers), stage.folder) as process:
        while not any([await peer.accepted() for peer in all_peers]):
            process.check()
            await asyncio.sleep(0.02)
        cpu_began = process.cpu_seconds()
        await until_accepted(all_peers, count, TIMEOUT_SECONDS, process.check)
        tail = Tail(main, await main.seq())
        arrivals = {peer.channel: await peer.arrivals() for peer in all_peers}
        end_ns = await tail.end_ns(max(each.last_answer_ns for each in arrivals.values()), TIMEOUT_SECONDS)
        cpu_seconds = process.cpu_seconds() - cpu_began
        peak_bytes = process.peak_memory_bytes()
    first_ns = min(each.first_ns() for each in arrivals.values())
    deliveries = count * len(all_peers)
    for channel, each in arrivals.items():
        if each.distinct() != count:
            raise BenchError(f"{each.distinct()} of {count} deliveries arrived on {channel}")
    seconds = (end_ns - first_ns) / 1e9
    run: JsonObject = {
        "router_seconds": seconds,
        "router_per_second": deliveries / seconds,
        "router_cpu_per_1000": cpu_seconds / deliveries * 1000,
        "router_start_seconds": (first_ns - process.started_ns) / 1e9,
        "router_peak_bytes": peak_bytes,
        "repeats": sum(len(each.numbers) for each in arrivals.values()) - deliveries,
        "seconds_by_channel": {channel: (each.last_ns() - first_ns) / 1e9 for channel, each in arrivals.items()},
    }
    return run, arrivals


async def _keep(main: Bed, file: Path, count: int) -> None:
    """See that every delivery is complete, and keep the documents for the floors to write."""
    statuses: Counter[str] = Counter()
    with file.open("wb") as output:
        async for document in main.deliveries():
            statuses[str(document["status"])] += 1
            output.write(orjson.dumps({k: v for k, v in document.items() if k != "_rev"}) + b"\n")
    if statuses != {"COMPLETE": count}:
        raise BenchError(f"{count} deliveries should be complete; it is {dict(statuses)}")


async def _loop(stage: Stage, all_peers: list[Peer], plan: JsonObject) -> JsonObject:
    for peer in all_peers:
        await peer.reset()
    return await run_helper(
        "client loop", ["benchmarks.floors.loop"], stage.folder, plan, timeout_seconds=TIMEOUT_SECONDS
    )


def _named(name: str, count: int, told: JsonObject) -> JsonObject:
    seconds = (int(str(told["ended_ns"])) - int(str(told["began_ns"]))) / 1e9
    deliveries = count * len(CHANNELS)
    return {
        f"{name}_seconds": seconds,
        f"{name}_per_second": deliveries / seconds,
        f"{name}_cpu_per_1000": float(str(told["cpu_seconds"])) / deliveries * 1000,
    }


async def _couchdb_floor(stage: Stage, plan: JsonObject) -> float:
    told = await run_helper(
        "couchdb floor", ["benchmarks.floors.couchdb"], stage.folder, plan, timeout_seconds=TIMEOUT_SECONDS
    )
    return float(str(told["seconds"]))
