"""A peer's process as the benchmark sees it, and all four of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.manner import Manner
from benchmarks.peers.services import variables
from benchmarks.processes import BenchError, Helper, helper
from router.documents.json_types import JsonObject, JsonValue

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came to one peer; the lists belong together."""

    numbers: list[int]
    targets: list[str]
    at_ns: list[int]
    last_answer_ns: int
    requests: dict[str, int]
    """How many requests of each kind came, `send` and `limited` among them."""

    def first_ns(self) -> int:
        """When the first one came."""
        return min(self.at_ns)

    def last_ns(self) -> int:
        """When the last one came."""
        return max(self.at_ns)

    def by_number(self) -> dict[int, int]:
        """When each message came first."""
        first: dict[int, int] = {}
        for number, at_ns in zip(self.numbers, self.at_ns, strict=True):
            first.setdefault(number, at_ns)
        return first

    def distinct(self) -> int:
        """How many deliveries came, repeats left out."""
        return len(set(zip(self.numbers, self.targets, strict=True)))


class Peer:
    """One peer."""

    def __init__(self, channel: str, process: Helper, port: int) -> None:
        self.channel = channel
        self.port = port
        self._process = process

    @property
    def url(self) -> str:
        """Its address, where it speaks HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def variables(self) -> dict[str, str]:
        """The settings of a router that uses it."""
        return {name: str(value) for name, value in variables(self.channel, self.port).items()}

    async def reset(self) -> None:
        """Forget what came; answer at once, everything."""
        await self._process.ask({"do": "reset"})

    async def behave(self, manner: Manner) -> None:
        """Answer in this manner from now on."""
        await self._process.ask({"do": "behave", **asdict(manner)})

    async def refuse(self) -> None:
        """Refuse connections from now on."""
        await self._process.ask({"do": "refuse"})

    async def mend(self) -> None:
        """Be well again: break the connections that hang, accept new ones, answer at once."""
        await self._process.ask({"do": "behave"})
        await self._process.ask({"do": "accept"})

    async def accepted(self) -> int:
        """How many sends it has accepted."""
        return _int((await self._process.ask({"do": "count"}))["accepted"])

    async def arrivals(self) -> Arrivals:
        """All that came since the last `reset`."""
        told = await self._process.ask({"do": "report"})
        targets, requests = told["targets"], told["requests"]
        if not isinstance(targets, list) or not isinstance(requests, dict):
            raise BenchError(f"the {self.channel} peer gave no report")
        return Arrivals(
            _ints(told["numbers"]),
            [str(target) for target in targets],
            _ints(told["arrived_ns"]),
            _int(told["last_answer_ns"]),
            {kind: _int(count) for kind, count in requests.items()},
        )


def _int(value: JsonValue) -> int:
    if not isinstance(value, int):
        raise BenchError("a peer's report could not be read")
    return value


def _ints(value: JsonValue) -> list[int]:
    if not isinstance(value, list):
        raise BenchError("a peer's report could not be read")
    return [_int(each) for each in value]


@asynccontextmanager
async def peers(channels: Sequence[str], folder: Path) -> AsyncIterator[dict[str, Peer]]:
    """A peer for each of the channels, for the time of the block."""
    async with AsyncExitStack() as stack:
        found: dict[str, Peer] = {}
        for channel in channels:
            process = await stack.enter_async_context(helper(f"{channel} peer", ["benchmarks.peers", channel], folder))
            told: JsonObject = await process.answer()
            found[channel] = Peer(channel, process, _int(told["port"]))
        yield found


async def until_accepted(
    peers: Sequence[Peer], count: int, timeout_seconds: float, check: Callable[[], None] = lambda: None
) -> None:
    """Wait until each of these peers has accepted so many sends. `check` raises when there is no use in waiting on."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        accepted = [await peer.accepted() for peer in peers]
        if all(each >= count for each in accepted):
            return
        check()
        if time.monotonic() > deadline:
            so_far = ", ".join(f"{peer.channel} {each}" for peer, each in zip(peers, accepted, strict=True))
            raise BenchError(f"after {timeout_seconds:g} s not all of {count} deliveries have arrived: {so_far}")
        await asyncio.sleep(POLL_SECONDS)
