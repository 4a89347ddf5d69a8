"""Pure: whether a message may have been routed before, so that CouchDB must be asked for its delivery documents."""

from router.documents.delivery import PREFIX
from router.recent import Recent

REMEMBERED = 20_000
"""Of so many ids it is known that they were seen not long ago, of messages and of deliveries each."""
ROWS_IN_DOUBT = 10_000
"""After a sign that the server began further back, so many rows are taken for old ones."""


class Novelty:
    """To ask costs a message two milliseconds on its way, so it is asked only where the answer may be yes.

    A message is new when it was never changed, did not come lately, and its row is none of those that were there when the
    feed was opened. A server may also begin further back in the middle of a feed, as a cluster does that loses a node: then
    delivery documents pass by that we have not just written.
    """

    def __init__(self) -> None:
        self._rows_in_doubt = 0
        self._messages = Recent(REMEMBERED)
        self._written = Recent(REMEMBERED)

    def opened(self, old_rows: int) -> None:
        """The feed was opened; at most so many of the rows that follow are old."""
        self._rows_in_doubt = max(self._rows_in_doubt, old_rows)

    def is_new(self, message_id: str, rev: str | None) -> bool:
        """Whether the message cannot have delivery documents."""
        return not self._rows_in_doubt and (rev or "").startswith("1-") and not self._messages.has(message_id)

    def routed(self, message_id: str) -> None:
        """The message has been routed."""
        self._messages.add(message_id)

    def wrote(self, delivery_id: str) -> None:
        """We have written this delivery document."""
        self._written.add(delivery_id)

    def passed(self, row_id: str) -> None:
        """A row has passed; it is not in doubt any more what it was."""
        if self._rows_in_doubt:
            self._rows_in_doubt -= 1
        if row_id.startswith(PREFIX) and not self._written.has(row_id):
            self._rows_in_doubt = ROWS_IN_DOUBT
