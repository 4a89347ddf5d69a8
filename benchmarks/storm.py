"""429 storm: how much of what a peer allows is used, and how many calls it has to refuse."""

import asyncio

from benchmarks.couchdb import bed
from benchmarks.figure import Figure, Result, median
from benchmarks.following import following_router
from benchmarks.peer import Peer, peers, until_accepted
from benchmarks.peers.manner import Manner
from benchmarks.stage import Stage
from benchmarks.traffic import GROUPS, groups, mapping, messages
from router.documents.json_types import JsonObject

NAME = "storm"
HOW = (
    "A backlog for Slack, {groups} targets; the peer takes {rate} sends a second (token bucket, burst {burst}) and answers all "
    "others 429 with `Retry-After` in whole seconds, rounded up. No limit of ours is set: the router has only the answers to go "
    "by. For {seconds} s from the first send: accepted sends over those that the bucket allows, and 429s over all sends."
)
RATE = 10
BURST = 10
START_TIMEOUT_SECONDS = 60.0


async def measure(stage: Stage) -> Result:
    """Measure it."""
    seconds = stage.size(30, 10)
    runs: list[JsonObject] = []
    async with peers(["slack"], stage.folder) as all_peers:
        for number in range(stage.runs):
            stage.say(f"429 storm for {seconds} s, run {number + 1} of {stage.runs}")
            runs.append(await _run(stage, all_peers["slack"], seconds))
    used, wasted = median(runs, "used"), median(runs, "wasted")
    allowed = BURST + RATE * seconds
    return Result(
        NAME,
        HOW.format(groups=GROUPS, rate=RATE, burst=BURST, seconds=seconds),
        [
            Figure(
                "429 storm: share of the allowed rate used",
                f"{median(runs, 'accepted'):.0f} accepted",
                f"{allowed} allowed",
                used,
                "",
                at_least=0.95,
            ),
            Figure(
                "429 storm: calls wasted",
                f"{median(runs, 'limited'):.0f} of {median(runs, 'calls'):.0f} calls",
                "0",
                wasted,
                "",
                at_most=0.05,
            ),
        ],
        [],
        runs,
    )


async def _run(stage: Stage, peer: Peer, seconds: int) -> JsonObject:
    await peer.reset()
    count = 2 * (BURST + RATE * seconds)
    async with (
        bed(stage.server, mapping(["slack"])) as main,
        # Warm, so that the first sends come at full speed.
        following_router(stage, main, [peer]) as process,
    ):
        await peer.reset()
        await peer.behave(Manner(rate_per_second=RATE, burst=BURST))
        await main.fill(messages(count, groups()))
        await until_accepted([peer], 1, START_TIMEOUT_SECONDS, process.check)
        await asyncio.sleep(seconds + 0.2)
        arrivals = await peer.arrivals()
        await peer.mend()
    first = arrivals.first_ns()
    accepted = sum(at_ns <= first + seconds * 1e9 for at_ns in arrivals.at_ns)
    limited = arrivals.requests.get("limited", 0)
    calls = arrivals.requests["send"]
    return {
        "accepted": accepted,
        "limited": limited,
        "calls": calls,
        "used": accepted / (BURST + RATE * seconds),
        "wasted": limited / calls,
    }
