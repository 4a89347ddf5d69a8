"""Waits for an event, but not longer than so many seconds."""

import asyncio


async def wait_for(event: asyncio.Event, timeout_seconds: float) -> None:
    """Come back when `event` is set, or when the time is over."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    except TimeoutError:
        return
