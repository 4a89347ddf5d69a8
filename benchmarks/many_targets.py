"""Many targets: one message to ten times as many takes ten times as long, in a bounded memory."""

from benchmarks.couchdb import bed
from benchmarks.figure import Figure, Result, median, over
from benchmarks.peer import peers
from benchmarks.stage import Stage
from benchmarks.wide_message import CONCURRENCY, DELAY_SECONDS, deliver, wide_mapping
from router.documents.json_types import JsonObject

NAME = "many_targets"
HOW = (
    f"One message to targets on Slack whose peer answers after {DELAY_SECONDS * 1000:g} ms, with "
    f"ROUTER_SLACK__CONCURRENCY={CONCURRENCY}; from the acknowledged document to the last delivery document, and the most "
    "resident memory of a router that does nothing else. The floor is the router itself with a tenth of the targets. Called "
    "linear up to 12 times the time, and bounded below 200 MB."
)


async def measure(stage: Stage) -> Result:
    """Measure it."""
    few = stage.size(1_000, 200)
    many = 10 * few
    runs: list[JsonObject] = []
    async with peers(["slack"], stage.folder) as all_peers:
        for number in range(stage.runs):
            run: JsonObject = {}
            for name, targets in (("few", few), ("many", many)):
                stage.say(f"one message to {targets:,} targets, run {number + 1} of {stage.runs}")
                async with bed(stage.server, wide_mapping(targets)) as main:
                    wide = await deliver(stage, main, all_peers["slack"], targets)
                run |= {
                    f"{name}_seconds": wide.recorded_seconds,
                    f"{name}_peak_bytes": wide.peak_memory_bytes,
                    f"{name}_before_bytes": wide.memory_before_bytes,
                }
            runs.append(run)
    seconds, floor = median(runs, "many_seconds"), median(runs, "few_seconds")
    peak, floor_peak = median(runs, "many_peak_bytes") / 1e6, median(runs, "few_peak_bytes") / 1e6
    before = median(runs, "many_before_bytes") / 1e6
    return Result(
        NAME,
        HOW,
        [
            Figure(
                f"one message to {many:,} targets against {few:,}: time",
                f"{seconds:.1f} s",
                f"{floor:.1f} s",
                over(seconds, floor),
                "",
                at_most=12,
            ),
            Figure(
                f"one message to {many:,} targets against {few:,}: most resident memory",
                f"{peak:,.0f} MB",
                f"{floor_peak:,.0f} MB",
                peak,
                " MB",
                at_most=200,
            ),
        ],
        [
            ("resident memory before the message, with the mapping of as many targets loaded", f"{before:,.0f} MB"),
            ("deliveries a second", f"{many / seconds:,.0f}/s"),
        ],
        runs,
    )
