"""Ends what is still to be sent of messages whose documents were deleted."""

from collections.abc import Sequence

from router.couch import design
from router.couch.database import Database
from router.couch.patience import Patience
from router.delivery.dispatcher import Dispatcher
from router.delivery.reading_back import read_back
from router.delivery.recorder import Recorder
from router.delivery.verdict import cancel
from router.documents.delivery import Status
from router.documents.timestamps import utc_now

PAGE = 200
"""Delivery documents that are ended in one go."""

_OPEN = frozenset(status.value for status in Status if not status.is_final)


class Cancellation:
    """What a deletion means: nothing of the message is begun any more; an attempt under way is not called back."""

    def __init__(self, database: Database, dispatcher: Dispatcher, recorder: Recorder, patience: Patience) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._patience = patience

    async def cancel(self, message_ids: Sequence[str]) -> None:
        """Have the deliveries of these messages that wait, in memory or in CouchDB, end `CANCELLED`."""
        for message_id in message_ids:
            await self._dispatcher.cancel(message_id)
        keys = list(message_ids)
        rows = await self._patience.until_done(
            "looking for the deliveries of deleted messages",
            lambda: self._database.view(design.NAME, design.BY_MESSAGE, keys=keys),
        )
        waiting = [row.id for row in rows if row.value in _OPEN]
        for start in range(0, len(waiting), PAGE):
            await self._end(waiting[start : start + PAGE])

    async def _end(self, ids: list[str]) -> None:
        documents = await self._patience.until_done(
            "reading the deliveries of deleted messages", lambda: self._database.get_many(ids)
        )
        for delivery in await read_back(documents.values(), self._recorder):
            # What is in a lane's window is being attempted; what comes of that is seen when it would be tried again.
            if delivery.status.is_final or self._dispatcher.holds(delivery.channel, delivery.id):
                continue
            cancel(delivery, utc_now())
            await self._recorder.submit(delivery)
