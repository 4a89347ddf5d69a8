"""One message to many Slack targets: what fan_out and many_targets measure."""

from dataclasses import dataclass

from benchmarks.couchdb import Bed, Tail
from benchmarks.following import following_router, put_at
from benchmarks.peer import Peer, until_accepted
from benchmarks.peers.manner import Manner
from benchmarks.processes import BenchError
from benchmarks.stage import Stage
from benchmarks.traffic import group, mapping_document, message, target
from router.documents.json_types import JsonObject

CONCURRENCY = 200
"""What a user with so many targets may well set; the default is meant for few."""
DELAY_SECONDS = 0.05
TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Wide:
    """How the message went out; seconds since the document was acknowledged."""

    answered_seconds: float
    """To the peer's last answer."""
    recorded_seconds: float
    """To the last delivery document."""
    memory_before_bytes: int
    peak_memory_bytes: int


def wide_mapping(targets: int) -> JsonObject:
    """Group 0 with so many targets, and group 1 with one other, to warm up with."""
    return mapping_document(
        {
            group(0): {"slack": [target("slack", number) for number in range(targets)]},
            group(1): {"slack": [target("slack", 99_999_999)]},
        }
    )


async def deliver(stage: Stage, main: Bed, peer: Peer, targets: int) -> Wide:
    """Have a running router deliver one message to all targets of group 0."""
    await peer.reset()
    await peer.behave(Manner(delay_seconds=DELAY_SECONDS))
    more = {"ROUTER_SLACK__CONCURRENCY": str(CONCURRENCY)}
    async with following_router(stage, main, [peer], more, to=group(1)) as process:
        memory_before_bytes = process.memory_bytes()
        acknowledged_ns = await put_at(main, message(0, group(0)))
        await until_accepted([peer], targets + 1, TIMEOUT_SECONDS, process.check)
        tail = Tail(main, await main.seq())
        end_ns = await tail.end_ns((await peer.arrivals()).last_answer_ns, TIMEOUT_SECONDS)
        arrivals = await peer.arrivals()
        peak_memory_bytes = process.peak_memory_bytes()
    if arrivals.distinct() != targets + 1:
        raise BenchError(f"{arrivals.distinct() - 1} of {targets} deliveries arrived")
    return Wide(
        (arrivals.last_answer_ns - acknowledged_ns) / 1e9,
        (end_ns - acknowledged_ns) / 1e9,
        memory_before_bytes,
        peak_memory_bytes,
    )
