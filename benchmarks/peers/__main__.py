"""One peer as a process: `python -m benchmarks.peers CHANNEL`, told what to do by lines of JSON, answering each with one."""

import asyncio
import sys
from contextlib import suppress

from benchmarks.child import lines_of_input, say
from benchmarks.peers.http import HttpSink
from benchmarks.peers.ledger import Ledger
from benchmarks.peers.manner import Manner
from benchmarks.peers.services import HTTP_SERVICES
from benchmarks.peers.smtp import SmtpSink
from router.documents.json_types import JsonObject

BACKLOG = 1024
"""Connections that may wait to be accepted: many are opened at once."""


class Peer:
    """A sink behind a port that can be closed and opened again."""

    def __init__(self, sink: HttpSink | SmtpSink) -> None:
        self._sink = sink
        self._server: asyncio.Server | None = None
        self._port = 0

    async def accept(self) -> None:
        """Listen; on the same port as before, if there was one."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._sink.protocol, "127.0.0.1", self._port, backlog=BACKLOG)
            self._port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()

    def hang_up(self) -> None:
        """Break all connections."""
        for transport in list(self._sink.connections):
            transport.abort()

    async def told(self, command: JsonObject) -> JsonObject:
        """Do what a line says; the answer to it."""
        sink = self._sink
        match command["do"]:
            case "count":
                return sink.ledger.count()
            case "report":
                return sink.ledger.report()
            case "reset":
                sink.ledger = Ledger()
                sink.behave(Manner())
                await self.accept()
            case "behave":
                sink.behave(Manner(**{k: v for k, v in command.items() if k != "do"}))  # type: ignore[arg-type]
            case "refuse":
                self.refuse()
            case "accept":
                # What was asked while it hung is never answered: whoever waits for that learns so now.
                self.hang_up()
                await self.accept()
            case other:
                raise ValueError(f"no such command: {other}")
        return {"port": self._port}


async def main(channel: str) -> None:
    """Serve until standard input ends."""
    peer = Peer(SmtpSink() if channel == "email" else HTTP_SERVICES[channel]())
    await peer.accept()
    say({"port": peer._port})
    async for command in lines_of_input():
        say(await peer.told(command))
    peer.refuse()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
