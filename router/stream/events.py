"""Pure: the events of a stream, and how they look on the wire (server-sent events, WHATWG HTML section 9.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from router.couch.codec import encode as to_json
from router.documents.json_types import JsonObject
from router.documents.notification import Notification
from router.documents.timestamps import to_text

MEDIA_TYPE: Final = "text/event-stream"
"""What such a stream is in `Content-Type`."""


class Kind(StrEnum):
    """What an event tells."""

    NOTIFICATION = "notification"
    """A new one. On the wire it has no `event:`, so that `EventSource.onmessage` gets it."""
    READ = "read"
    """It was marked read or unread, on whatever device."""
    DELETED = "deleted"
    """Its user deleted it, or it is gone."""
    RESET = "reset"
    """More happened than can be told one by one: fetch the list afresh."""
    HEARTBEAT = "heartbeat"
    """The stream lives. A comment, which clients pass over; an `id:` with it is kept by them all the same."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one stream."""

    kind: Kind
    data: bytes = b""
    """JSON in one line of UTF-8; empty for a heartbeat."""
    id: str | None = None
    """What the client sends as `Last-Event-ID` when it reconnects, to be told what came after this event; None to leave it."""


_COLON_LINE: Final[Mapping[Kind, bytes]] = {
    Kind.NOTIFICATION: b"",
    Kind.READ: b"event: read\n",
    Kind.DELETED: b"event: deleted\n",
    Kind.RESET: b"event: reset\n",
    Kind.HEARTBEAT: b": heartbeat\n",
}


def encode(event: Event) -> bytes:
    """`event` as it is sent, the empty line behind it included."""
    id_line = b"" if event.id is None else b"id: %b\n" % event.id.encode("ascii")
    data_line = b"data: %b\n" % event.data if event.data else b""
    return b"%b%b%b\n" % (_COLON_LINE[event.kind], id_line, data_line)


def data_of(notification: Notification) -> JsonObject:
    """What a stream tells of a new notification."""
    return {
        "id": notification.id,
        "type": notification.type,
        "event": notification.event,
        "title": notification.title,
        "content": notification.content,
        "link_url": notification.link_url,
        "link_text": notification.link_text,
        "read": notification.read,
        "created_at": to_text(notification.created_at),
    }


def added(data: JsonObject, event_id: str | None = None) -> Event:
    """A new notification, as `data_of` makes it. Raises ValueError or TypeError for what cannot be written as JSON."""
    return Event(Kind.NOTIFICATION, to_json(data), event_id)


def marked(notification_id: str, *, read: bool, event_id: str | None) -> Event:
    """A notification was marked read or unread."""
    return Event(Kind.READ, to_json({"id": notification_id, "read": read}), event_id)


def deleted(notification_id: str, event_id: str | None) -> Event:
    """A notification is gone."""
    return Event(Kind.DELETED, to_json({"id": notification_id}), event_id)


def reset(event_id: str | None) -> Event:
    """The client is to fetch the list afresh. It has data, since a client drops an event that has none."""
    return Event(Kind.RESET, b"{}", event_id)


def heartbeat(event_id: str | None = None) -> Event:
    """The stream lives."""
    return Event(Kind.HEARTBEAT, id=event_id)
