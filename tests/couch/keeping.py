"""Holds a lease for the time of a block."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from router.couch.lease import Lease


@asynccontextmanager
async def kept(lease: Lease) -> AsyncIterator[asyncio.Task[str]]:
    """Renew it for the time of the block."""
    keeping = asyncio.create_task(lease.keep())
    try:
        yield keeping
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
