"""A Slack stand-in whose #admins is archived, so that it refuses every message there."""

import asyncio

from tests.peers.__main__ import serve
from tests.peers.slack import ADMINS, SlackPeer

if __name__ == "__main__":
    peer = SlackPeer()
    peer.channels[ADMINS].archived = True
    asyncio.run(serve(peer))
