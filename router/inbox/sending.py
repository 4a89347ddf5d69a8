"""Test notifications: one through the whole path, as an app would send it."""

from dataclasses import dataclass
from uuid import uuid4

from router.couch.database import Database
from router.couch.errors import Refused
from router.documents.json_types import JsonObject
from router.documents.message import USER_SIGN
from router.documents.problems import InvalidDocumentError, shown
from router.documents.timestamps import utc_now
from router.documents.user_id import check_user_id
from router.documents.web_address import check_web_address
from router.inbox.audit import audit_entry
from router.inbox.caller import Caller
from router.inbox.errors import Code, InboxError, told_as
from router.inbox.preferences import check_topic
from router.routing.catalogue import NO_CATALOGUE, read_catalogue

MAX_USERS = 1000
"""Most users that one test notification goes to, as many as a message may name."""
_SEND = (Code.FAILED_TO_SEND, "the notification cannot be sent just now: try again in a moment")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a test notification says, and to whom."""

    title: str
    content: str
    user_ids: tuple[str, ...]
    type: str | None = None
    event: str | None = None
    customer_id: str | None = None
    rec_type: str | None = None
    rec_id: str | None = None
    link_url: str | None = None
    link_text: str | None = None


class SendingService:
    """Every method raises InboxError, and nothing else, for what a client or CouchDB does wrong."""

    def __init__(self, database: Database, catalogue_id: str) -> None:
        self._database = database
        self._catalogue_id = catalogue_id

    async def check(self, draft: Draft) -> None:
        """Raises InboxError (`invalid_user_id`, `invalid_group`, `invalid_event`) for what cannot be meant."""
        if not 1 <= len(draft.user_ids) <= MAX_USERS:
            raise InboxError(
                Code.INVALID_USER_ID, f"user_ids must name 1 to {MAX_USERS} users, not {len(draft.user_ids)}"
            )
        for number, user in enumerate(draft.user_ids):
            try:
                check_user_id(user)
            except ValueError as error:
                raise InboxError(Code.INVALID_USER_ID, f"user_ids[{number}] {error}") from None
        if not draft.title.strip() and not draft.content.strip():
            raise InboxError(Code.INVALID_QUERY, f"title and content are empty: {shown(draft.title)}")
        if draft.link_url is not None:
            try:
                check_web_address(draft.link_url)
            except ValueError as error:
                raise InboxError(Code.INVALID_QUERY, f"the link {error}") from None
        with told_as(*_SEND):
            document = await self._database.get(self._catalogue_id)
        try:
            catalogue = NO_CATALOGUE if document is None else read_catalogue(document, ())
        except InvalidDocumentError:
            catalogue = NO_CATALOGUE
        check_topic(catalogue, draft.type, draft.event)

    async def send(self, caller: Caller, draft: Draft) -> str:
        """Write the message document of `draft`; its `_id`."""
        await self.check(draft)
        message_id = f"trigger-{uuid4()}"
        said = {
            "to": [USER_SIGN + user for user in dict.fromkeys(draft.user_ids)],
            "subject": draft.title,
            "body": draft.content,
            "type": draft.type,
            "event": draft.event,
            "customer_id": draft.customer_id,
            "rec_type": draft.rec_type,
            "rec_id": draft.rec_id,
        }
        content: JsonObject = {key: value for key, value in said.items() if value is not None}  # type: ignore[misc]
        if draft.link_url is not None:
            content["link"] = {"url": draft.link_url, "text": draft.link_text}
        entry = audit_entry(caller, "send", [message_id], utc_now()).to_document()
        with told_as(*_SEND):
            results = await self._database.bulk([{"_id": message_id, "content": content}, entry])
            result = results[message_id]
            if result.rev is None:
                raise Refused(f"CouchDB refuses {message_id}: {result.reason or result.error}")
        return message_id
