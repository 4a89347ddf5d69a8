"""What the endpoints are made on."""

from dataclasses import dataclass
from typing import Protocol

from starlette.responses import Response

from router.api.access import Access
from router.channels.email.unsubscribe import UnsubscribeLinks
from router.inbox.caller import Caller
from router.inbox.preferences import PreferencesService
from router.inbox.sending import Draft, SendingService
from router.inbox.service import InboxService
from router.reports.service import ReportsService


class Streams(Protocol):
    """The server-sent events of this process."""

    async def response(self, caller: Caller, last_event_id: str | None) -> Response:
        """A stream for the caller, from behind that event on. Raises ApiError when there are too many."""
        ...

    def inject(self, draft: Draft) -> None:
        """Show a notification to those who are connected."""
        ...

    async def close(self) -> None:
        """End all streams."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """All of them."""

    access: Access
    inbox: InboxService
    preferences: PreferencesService
    sending: SendingService
    reports: ReportsService
    streams: Streams
    unsubscribe: UnsubscribeLinks | None
    """None where mails have no such links."""
