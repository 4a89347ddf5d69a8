"""Ends what is still to be sent of messages whose documents were deleted."""

from collections.abc import Sequence
from itertools import chain

from router.couch.database import Database
from router.couch.deliveries import find_deliveries
from router.couch.patience import Patience
from router.delivery.dispatcher import Dispatcher
from router.delivery.recorder import Recorder
from router.delivery.verdict import cancel
from router.documents.timestamps import utc_now


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
        found = await self._patience.until_done(
            "looking for the deliveries of deleted messages",
            lambda: find_deliveries(self._database, message_ids, open_only=True),
        )
        for delivery in chain.from_iterable(each.values() for each in found.values()):
            # What is in a lane's window is being attempted; what comes of that is seen when it would be tried again.
            if not self._dispatcher.holds(delivery.channel, delivery.id):
                cancel(delivery, utc_now())
                await self._recorder.submit(delivery)
