"""Puts a notification document into a user's inbox. What front ends make of it is the HTTP API's business."""

import asyncio
from typing import Final

from router.channels.base import ChannelKind, CheckResult, Outcome, Outgoing, Rejected, Retry, Scope, Sent
from router.channels.inapp.targets import CHANNEL, parse_target
from router.channels.inapp.writer import BatchWriter
from router.couch.database import BulkResult, Database
from router.couch.errors import CouchError
from router.documents.json_types import JsonObject
from router.documents.notification import Notification, notification_document_id, notification_id
from router.settings import InAppSettings


class InAppChannel:
    """One user's delivery is one document, named by the delivery: a repeat finds it there."""

    def __init__(self, settings: InAppSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._writer = BatchWriter(database.bulk)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Write the notification. That it is there already is as good."""
        document = notification_of(outgoing, self._settings.max_content_bytes)
        reference = str(document["_id"])
        try:
            async with asyncio.timeout(self._settings.attempt_timeout_seconds):
                result = await self._writer.write(document)
        except TimeoutError:
            return Retry(
                f"CouchDB took longer than {self._settings.attempt_timeout_seconds:g} seconds for {reference}",
                code="timeout",
                host_is_down=True,
            )
        except CouchError as error:
            return Retry(str(error), code=error.status, host_is_down=True)
        return _outcome(result, reference)

    async def check(self) -> list[CheckResult]:
        """Say whose inboxes there are."""
        return [CheckResult("write", ok=True, detail=f"notification documents in database {self._database.name}")]

    async def close(self) -> None:
        """Write nothing more."""
        await self._writer.close()


def notification_of(outgoing: Outgoing, max_content_bytes: int) -> JsonObject:
    """The document that a delivery becomes; the same on every attempt."""
    content, body = outgoing.content.content, outgoing.content.inbox(max_content_bytes)
    user, link = outgoing.target.address, content.link
    notification = Notification(
        document_id=notification_document_id(user, notification_id(outgoing.routed_at, outgoing.uuid)),
        user=user,
        type=content.type,
        event=content.event,
        title=body.title,
        content=body.content,
        link_url=link.url if link is not None else None,
        link_text=link.text if link is not None else None,
        created_at=outgoing.routed_at,
        customer_id=content.customer_id,
        rec_type=content.rec_type,
        rec_id=content.rec_id,
        message_id=outgoing.message_id,
    )
    return notification.to_document()


def _outcome(result: BulkResult, reference: str) -> Outcome:
    if result.rev is not None or result.error == "conflict":
        return Sent(reference)
    if result.error == "forbidden":
        reason = f"CouchDB refuses {reference}: {result.reason}; the router's user needs the role notification-router"
        return Rejected(reason, Scope.CHANNEL, code=result.error)
    return Retry(f"CouchDB did not take {reference}: {result.reason or result.error}", code=result.error)


def missing(settings: InAppSettings) -> str | None:
    """None when the inbox is in use; else the sentence that says what to set."""
    return None if settings.enabled else "the in-app inbox is off: set ROUTER_INAPP__ENABLED=true"


def _open(_: InAppSettings) -> InAppChannel:
    raise AssertionError("the in-app inbox is in a database: it is opened on one")


KIND: Final = ChannelKind(
    name=CHANNEL,
    settings_type=InAppSettings,
    parse_target=parse_target,
    missing=missing,
    open=_open,
    open_on=InAppChannel,
    tells_repeats=True,  # by the document's id
    is_recorded_first=True,  # which holds the moment of the routing
)
