"""Runs Apprise's side of the fan-out in its own environment."""

from benchmarks.environment import bench_python
from benchmarks.peer import Peer
from benchmarks.processes import run_helper
from benchmarks.stage import Stage

TIMEOUT_SECONDS = 300.0


async def apprise_seconds(stage: Stage, peer: Peer, urls: int) -> tuple[float, str]:
    """How long Apprise takes to notify so many URLs of the peer, and its version."""
    python = await bench_python(stage.say)
    told = await run_helper(
        "apprise",
        ["benchmarks.apprise_side"],
        stage.folder,
        {"port": peer.port, "urls": urls},
        timeout_seconds=TIMEOUT_SECONDS,
        python=str(python),
    )
    return float(str(told["seconds"])), str(told["version"])
