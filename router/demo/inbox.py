"""Reads a user's in-app inbox back through the HTTP API, as a front end does."""

from typing import Final

from router.demo.api_user import ApiUser
from router.demo.arrival import Arrival
from router.demo.child import DemoError
from router.documents.json_types import JsonObject
from router.documents.notification import notification_document_id
from router.rendering.body import read_body

PATH: Final = "/v1/notifications"
CHANNEL: Final = "inapp"
LOOKED_AT: Final = 100
"""Notifications that one look shows at most."""
SEEN_KEPT: Final = 10_000
NOT_NOW: Final = (429, 503)
"""Whoever asks too often, or while CouchDB is busy, is to come again."""


class InboxReader:
    """One user's inbox. Each look gives what came since the one before."""

    def __init__(self, user: ApiUser) -> None:
        self._user = user
        self._seen: dict[str, None] = {}

    async def look(self) -> list[Arrival]:
        """What has come into the inbox, oldest first; nothing when the API asks to come again later. Raises DemoError."""
        status, said = await self._user.get(f"{PATH}?limit={LOOKED_AT}")
        if status in NOT_NOW:
            return []
        if status != 200:
            raise DemoError(
                f"{self._user.process.name} does not show the inbox of {self._user.name}: {status} {said.get('message')}; "
                f"its log: {self._user.process.log}"
            )
        page = said["notifications"]
        shown = [each for each in reversed(page if isinstance(page, list) else []) if isinstance(each, dict)]
        new = [each for each in shown if str(each["id"]) not in self._seen]
        self._seen |= dict.fromkeys(str(each["id"]) for each in new)
        while len(self._seen) > SEEN_KEPT:
            del self._seen[next(iter(self._seen))]
        return [inbox_arrival(self._user.name, each) for each in new]


def inbox_arrival(user: str, notification: JsonObject) -> Arrival:
    """A notification as a person reads it who sees its title, its text and its link."""
    parts = [str(notification["title"]), read_body(str(notification["content"]), "html").text]
    if notification.get("link_url"):
        parts.append(f"{notification.get('link_text') or 'Link'}: {notification['link_url']}")
    text = "\n\n".join(part for part in parts if part)
    return Arrival(CHANNEL, user, text, notification_document_id(user, str(notification["id"])))
