"""Fan-out: one message to many targets whose peer takes its time, over Apprise with as many URLs."""

from benchmarks.apprise_run import apprise_seconds
from benchmarks.couchdb import bed
from benchmarks.figure import Figure, Result, median, over
from benchmarks.peer import Peer, peers
from benchmarks.peers.manner import Manner
from benchmarks.processes import run_helper
from benchmarks.stage import Stage, loop_plan
from benchmarks.wide_message import CONCURRENCY, DELAY_SECONDS, deliver, wide_mapping
from router.documents.json_types import JsonObject

NAME = "fan_out"
HOW = (
    "One message to targets on Slack whose peer answers each request after {ms:g} ms, with "
    "ROUTER_SLACK__CONCURRENCY={concurrency} (at most {most:,.0f}/s then); from the acknowledged document to the peer's last "
    "answer. Apprise {version} notifies as many `json://` URLs of the same peer. Floor: the bare client loop with the same "
    "concurrency."
)
LOOP_TIMEOUT_SECONDS = 300.0


async def measure(stage: Stage) -> Result:
    """Measure it."""
    targets = stage.size(1_000, 200)
    runs: list[JsonObject] = []
    version = ""
    async with peers(["slack"], stage.folder) as all_peers:
        peer = all_peers["slack"]
        for number in range(stage.runs):
            stage.say(f"fan-out to {targets:,} targets, run {number + 1} of {stage.runs}")
            async with bed(stage.server, wide_mapping(targets)) as main:
                wide = await deliver(stage, main, peer, targets)
            loop_seconds = await _loop(stage, peer, targets)
            await peer.reset()
            await peer.behave(Manner(delay_seconds=DELAY_SECONDS))
            apprise, version = await apprise_seconds(stage, peer, targets)
            runs.append(
                {
                    "router_per_second": targets / wide.answered_seconds,
                    "router_to_last_document_per_second": targets / wide.recorded_seconds,
                    "loop_per_second": targets / loop_seconds,
                    "apprise_per_second": targets / apprise,
                }
            )
    rate, floor, other = (median(runs, f"{side}_per_second") for side in ("router", "loop", "apprise"))
    recorded = median(runs, "router_to_last_document_per_second")
    return Result(
        NAME,
        HOW.format(ms=DELAY_SECONDS * 1000, concurrency=CONCURRENCY, most=CONCURRENCY / DELAY_SECONDS, version=version),
        [
            Figure(
                f"one message to {targets:,} targets, over Apprise {version}",
                f"{rate:,.0f}/s",
                f"Apprise {other:,.0f}/s",
                over(rate, other),
                "",
                at_least=20,
            )
        ],
        [
            ("the bare client loop", f"{floor:,.0f}/s"),
            ("the router over that loop", f"{over(rate, floor):.2f}"),
            ("the router to the last delivery document", f"{recorded:,.0f}/s"),
        ],
        runs,
    )


async def _loop(stage: Stage, peer: Peer, targets: int) -> float:
    await peer.reset()
    await peer.behave(Manner(delay_seconds=DELAY_SECONDS))
    plan = loop_plan(peer, targets, targets, concurrency=CONCURRENCY, same_message=True)
    told = await run_helper(
        "client loop",
        ["benchmarks.floors.loop"],
        stage.folder,
        {"channels": {"slack": plan}},
        timeout_seconds=LOOP_TIMEOUT_SECONDS,
    )
    return (int(str(told["ended_ns"])) - int(str(told["began_ns"]))) / 1e9
