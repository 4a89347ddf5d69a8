"""Runs a stand-in as a process: `python -m tests.peers slack|sphinx [--port N]`. Says in one line of JSON how to reach it."""

import argparse
import asyncio
import signal
import sys

import orjson

from tests.peers.slack import SlackPeer
from tests.peers.sphinx import SphinxPeer


async def serve(peer: SlackPeer | SphinxPeer) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with peer:
        sys.stdout.write(orjson.dumps(peer.describe()).decode() + "\n")
        sys.stdout.flush()
        await stop.wait()


async def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description="A stand-in as a process of its own.")
    parser.add_argument("peer", choices=("slack", "sphinx"))
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 for a free one")
    parser.add_argument("--one-per-second", action="store_true", help="slack: 429 for more than a message a second")
    parser.add_argument("--looks-until-key", type=int, default=1, help="sphinx: looks before a key is there")
    options = parser.parse_args()
    if options.peer == "slack":
        await serve(SlackPeer(options.port, one_per_second=options.one_per_second))
    else:
        await serve(SphinxPeer(options.port, looks_until_key=options.looks_until_key))


if __name__ == "__main__":
    asyncio.run(main())
