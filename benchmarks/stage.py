"""What every benchmark is handed: the server, how often and how thoroughly to measure, and the settings they share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.couchdb import Bed, CouchServer
from benchmarks.peer import Peer
from router.documents.json_types import JsonObject
from router.settings import EmailSettings, MatrixSettings, SlackSettings, SphinxSettings

UNLIMITED: Final = {"ROUTER_SLACK__TARGET_RATE_PER_SECOND": "1000000"}
"""Slack's own limit of one message a second and channel is set so high that it never bites: what is measured is the router."""

CONCURRENCY: Final[Mapping[str, int]] = {
    "matrix": MatrixSettings().concurrency,
    "email": EmailSettings().concurrency,
    "slack": SlackSettings().concurrency,
    "sphinx": SphinxSettings().concurrency,
}
"""Sends side by side by default; the floors have the same."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a benchmark plays, and how long."""

    server: CouchServer
    folder: Path
    """For logs and files that pass between processes; gone at the end."""
    runs: int
    quick: bool
    """Whether it is only to be seen that everything works: fewer messages, figures that mean little."""
    full: bool
    """Whether what takes long is measured to the end."""
    say: Callable[[str], None]
    """Told what is being done."""

    def size(self, whole: int, quick: int) -> int:
        """So many, or so many when it must be quick."""
        return quick if self.quick else whole


def router_variables(bed: Bed, peers: Sequence[Peer], more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The settings of a router on this database with these peers, all else as by default but for UNLIMITED and `more`."""
    variables = {**bed.variables(), **UNLIMITED}
    for peer in peers:
        variables |= peer.variables()
    return {**variables, **(more or {})}


def loop_plan(peer: Peer, count: int, targets: int, **more: object) -> JsonObject:
    """What the bare client loop is told about one channel (floors/loop.py)."""
    plan: JsonObject = {
        "port": peer.port,
        "concurrency": CONCURRENCY[peer.channel],
        "count": count,
        "targets": targets,
        "looks_per_send": 0,
        "same_message": False,
    }
    return {**plan, **more}  # type: ignore[dict-item]
