"""Black hole: what a channel whose peer accepts connections and never answers costs the other channels."""

from benchmarks.couchdb import bed
from benchmarks.figure import Figure, Result, median, over, quantile
from benchmarks.following import following_router, settle, waits_ms, write_steadily
from benchmarks.peer import Peer, peers, until_accepted
from benchmarks.peers.manner import Manner
from benchmarks.stage import Stage
from benchmarks.traffic import CHANNELS, groups, mapping
from router.documents.json_types import JsonObject

NAME = "black_hole"
HOW = (
    "{rate} messages/s for {seconds} s, each to a target on every one of the four channels; Slack's peer either answers at "
    "once, or takes connections and never answers (with ROUTER_SLACK__ATTEMPT_TIMEOUT_SECONDS=5, so that attempts end within "
    "the run). From the acknowledged document to the mail, Matrix and Sphinx peers, all their deliveries together, the first "
    "{skip} s left out. The floor is the router itself with all four healthy; the two in turn."
)
RATE = 20
SKIP_SECONDS = 2
HOLE = "slack"
MORE = {"ROUTER_SLACK__ATTEMPT_TIMEOUT_SECONDS": "5"}
ARRIVAL_TIMEOUT_SECONDS = 120.0


async def measure(stage: Stage) -> Result:
    """Measure it."""
    seconds = stage.size(20, 8)
    runs: list[JsonObject] = []
    async with peers(CHANNELS, stage.folder) as all_peers:
        for number in range(stage.runs):
            run: JsonObject = {}
            for side in ("healthy", "hole"):
                stage.say(f"black hole ({side}), run {number + 1} of {stage.runs}")
                waits = await _run(stage, all_peers, seconds * RATE, with_hole=side == "hole")
                together = [wait for each in waits.values() for wait in each]
                run |= {f"{side}_p50_ms": quantile(together, 0.5), f"{side}_p99_ms": quantile(together, 0.99)}
                run |= {f"{side}_{channel}_p99_ms": quantile(each, 0.99) for channel, each in waits.items()}
            runs.append(run)
    hole, healthy = median(runs, "hole_p99_ms"), median(runs, "healthy_p99_ms")
    return Result(
        NAME,
        HOW.format(rate=RATE, seconds=seconds, skip=SKIP_SECONDS),
        [
            Figure(
                "other channels' p99 with one channel black-holed, over all healthy",
                f"{hole:.1f} ms",
                f"{healthy:.1f} ms",
                over(hole, healthy),
                "",
                at_most=1.2,
            )
        ],
        [
            ("p50, black-holed", f"{median(runs, 'hole_p50_ms'):.1f} ms"),
            ("p50, healthy", f"{median(runs, 'healthy_p50_ms'):.1f} ms"),
            *(
                (
                    f"p99 of {channel}, black-holed and healthy",
                    f"{median(runs, f'hole_{channel}_p99_ms'):.1f} and {median(runs, f'healthy_{channel}_p99_ms'):.1f} ms",
                )
                for channel in CHANNELS
                if channel != HOLE
            ),
        ],
        runs,
    )


async def _run(stage: Stage, all_peers: dict[str, Peer], count: int, *, with_hole: bool) -> dict[str, list[float]]:
    for peer in all_peers.values():
        await peer.reset()
    await settle()
    others = [peer for channel, peer in all_peers.items() if channel != HOLE]
    async with (
        bed(stage.server, mapping(CHANNELS)) as main,
        following_router(stage, main, list(all_peers.values()), MORE) as process,
    ):
        if with_hole:
            await all_peers[HOLE].behave(Manner(hangs=True))
        acknowledged = await write_steadily(stage, main, rate_per_second=RATE, count=count, groups=groups())
        await until_accepted(others, count + 1, ARRIVAL_TIMEOUT_SECONDS, process.check)
        arrived = {peer.channel: (await peer.arrivals()).by_number() for peer in others}
        await all_peers[HOLE].mend()
    return {channel: waits_ms(acknowledged, each, SKIP_SECONDS * RATE) for channel, each in arrived.items()}
