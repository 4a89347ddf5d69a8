"""A router behind a proxy and a gate, and what is written for it while the way to CouchDB, or CouchDB itself, is at fault."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from router.settings import CouchDBSettings, FeedSettings
from tests.peers.gate import Gate, gate_before
from tests.peers.postbox import Postbox
from tests.peers.tcp_proxy import PASS, TcpProxy, tcp_proxy
from tests.service.running import Desk, outcomes, running, settings_for

FAULTY_FEED = FeedSettings(
    heartbeat_seconds=0.2, checkpoint_interval_seconds=0.1, backoff_base_seconds=0.02, backoff_max_seconds=0.2
)
DEADLINE_SECONDS = 15.0
MESSAGES = 3
"""Written in each phase."""


@dataclass
class Scene:
    """A router that runs behind a proxy and a gate, and what was written for it."""

    desk: Desk
    postbox: Postbox
    proxy: TcpProxy
    gate: Gate
    written: list[str] = field(default_factory=list)

    async def write(self, phase: str) -> None:
        """A few messages, each of which says its own name; not by the way that is at fault."""
        for n in range(MESSAGES):
            message_id = f"{phase}-{n}"
            await self.desk.write(message_id, "#a", message_id)
            self.written.append(message_id)

    async def each_arrived_once(self) -> None:
        """Every message written so far has arrived, and its document says so; none arrived twice."""
        documents = await self.desk.all_have("COMPLETE", len(self.written), timeout_seconds=DEADLINE_SECONDS)
        assert {str(d["message_id"]): outcomes(d) for d in documents} == {name: ["sent"] for name in self.written}
        assert Counter(self.postbox.bodies()) == Counter(self.written)

    def arrived(self, phase: str) -> bool:
        """Whether all messages of a phase have."""
        return sum(str(body).startswith(phase) for body in self.postbox.bodies()) == MESSAGES


@asynccontextmanager
async def scene(couchdb: CouchDBSettings, desk: Desk, postbox: Postbox) -> AsyncIterator[Scene]:
    """A router that routes `#a` to one mailbox, for the time of the block."""
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    async with gate_before(couchdb.url) as gate, tcp_proxy(gate.url) as proxy:
        through = couchdb.model_copy(
            update={"url": proxy.url, "request_timeout_seconds": 1.0, "connect_timeout_seconds": 1.0}
        )
        async with running(settings_for(through, kinds, feed=FAULTY_FEED), kinds):
            yield Scene(desk, postbox, proxy, gate)
            # The way is free again, so that the last documents can be written.
            proxy.treat(PASS)
            gate.guard = None
