"""What has to be done for the inbox now and then: to forget what was kept long enough."""

import asyncio
from typing import Final

from router.couch.errors import CouchError
from router.couch.patience import Complaint
from router.inbox.retention import Retention

FIRST_SECONDS: Final = 60.0
"""How soon after the start it is looked for what is to be forgotten: messages come first."""
INTERVAL_SECONDS: Final = 3600.0
"""And how often after that."""


async def forget_now_and_then(
    retention: Retention, *, first_seconds: float = FIRST_SECONDS, interval_seconds: float = INTERVAL_SECONDS
) -> None:
    """Forget what is due, until cancelled. That CouchDB is away or refuses is told once, and tried again."""
    complaint = Complaint("forgetting old notifications")
    await asyncio.sleep(first_seconds)
    while True:
        try:
            await retention.run()
        except CouchError as error:
            complaint.trouble(str(error))
        else:
            complaint.over()
        await asyncio.sleep(interval_seconds)
