"""Reads back what really arrived: alice's rooms and inbox as she sees them, the mailboxes, and what the stand-ins were sent."""

import re
from collections import deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import aiohttp

from router.demo.arrival import Arrival
from router.demo.inbox import InboxReader
from router.demo.matrix_user import MatrixUser
from router.demo.server import Server
from router.demo.smtp import MailServer, ReceivedMail
from router.documents.json_types import JsonObject, JsonValue

REQUEST_TIMEOUT_SECONDS: Final = 15.0
MAILS_KEPT: Final = 1000
"""Mails that wait to be looked at; past that the oldest give way."""
TIMELINE_EVENTS: Final = 100
"""Events of one room that one look shows at most."""
_SLACK_LINK: Final = re.compile(r"<(?P<url>[^<>|]+)(?:\|(?P<label>[^<>]*))?>")


class MailRoom(MailServer):
    """The mail server, with everything that comes in one row."""

    def __init__(self) -> None:
        super().__init__()
        self._row: deque[ReceivedMail] = deque(maxlen=MAILS_KEPT)

    def accept(self, mail: ReceivedMail) -> None:
        """Put a mail into its mailbox, and into the row."""
        super().accept(mail)
        self._row.append(mail)

    def take(self) -> list[ReceivedMail]:
        """What has come since the last time."""
        mails = list(self._row)
        self._row.clear()
        return mails


class Reader:
    """Looks at all five sides. Each look gives what came since the one before."""

    def __init__(
        self,
        alice: MatrixUser,
        mail: MailRoom,
        inbox: InboxReader,
        slack_url: str,
        sphinx_url: str,
        servers: Mapping[str, Server],
    ) -> None:
        """`servers` are those of Matrix and of the stand-ins, by channel."""
        self._alice = alice
        self._mail = mail
        self._inbox = inbox
        self._since = ""
        self._direct_chats: set[str] = set()
        self._urls = {"slack": slack_url, "sphinx": sphinx_url}
        self._seen = dict.fromkeys(self._urls, 0)
        self._servers = servers

    async def look(self) -> list[Arrival]:
        """What has arrived anywhere since the last look. Raises DemoError, MatrixRefusal."""
        with self._servers["matrix"].asked():
            arrivals = await self._matrix()
        arrivals += [mail_arrival(mail) for mail in self._mail.take()]
        arrivals += await self._inbox.look()
        for channel in self._urls:
            with self._servers[channel].asked():
                arrivals += await self._stand_in(channel)
        return arrivals

    async def _matrix(self) -> list[Arrival]:
        filters = quote(f'{{"room":{{"timeline":{{"limit":{TIMELINE_EVENTS}}}}}}}')
        since = f"&since={quote(self._since)}" if self._since else ""
        synced = await self._alice.request("GET", f"/sync?timeout=0&filter={filters}{since}")
        self._since = str(synced["next_batch"])
        rooms = object_at(synced, "rooms")
        for room_id in object_at(rooms, "invite"):
            # Nobody invites her but the router, and that to a direct chat.
            self._direct_chats.add(room_id)
            await self._alice.join(room_id)
        own = self._alice.user_id
        return [
            arrival
            for room_id, room in object_at(rooms, "join").items()
            for arrival in matrix_arrivals(own if room_id in self._direct_chats else room_id, room, own)
        ]

    async def _stand_in(self, channel: str) -> list[Arrival]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        url = f"{self._urls[channel]}/_arrivals?after={self._seen[channel]}"
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            said: JsonObject = await answer.json()
        rows = [row for row in list_at(said, "arrivals") if isinstance(row, dict)]
        self._seen[channel] = max([self._seen[channel], *(int(str(row["number"])) for row in rows)])
        return [READERS[channel](row) for row in rows if row.get("accepted")]


def matrix_arrivals(target: str, room: JsonValue, own: str) -> list[Arrival]:
    """The messages of others in one room of a `/sync` answer, as a person without HTML sees them."""
    events = list_at(object_at(room, "timeline"), "events")
    return [
        Arrival("matrix", target, str(object_at(event, "content").get("body", "")), str(event["event_id"]))
        for event in events
        if isinstance(event, dict) and event.get("type") == "m.room.message" and event.get("sender") != own
    ]


def mail_arrival(mail: ReceivedMail) -> Arrival:
    """A mail, with its subject and the text that a reader sees who shows no HTML."""
    message = mail.message
    part = message.get_body(("plain",))
    text = f"{message['Subject']}\n\n{part.get_content() if part is not None else ''}".strip()
    return Arrival("email", mail.recipient, text, str(message["Message-ID"]).strip("<> ").partition("@")[0])


def slack_arrival(row: JsonObject) -> Arrival:
    """A message that Slack took, with all text of its blocks as a person reads it. A webhook's message names no channel."""
    body = object_at(row, "body")
    text = "\n".join(texts_in(list_at(body, "blocks"))) or read_mrkdwn(str(body.get("text", "")))
    return Arrival("slack", str(body.get("channel", row["path"])), text)


def sphinx_arrival(row: JsonObject) -> Arrival:
    """A message that the Sphinx bot took."""
    body = object_at(row, "body")
    return Arrival("sphinx", str(body["dest"]), str(body["content"]))


READERS: Final = {"slack": slack_arrival, "sphinx": sphinx_arrival}


def read_mrkdwn(text: str) -> str:
    """Slack's mrkdwn with links and `&`, `<`, `>` as a person reads them. The marks of bold and the like stay."""
    text = _SLACK_LINK.sub(lambda link: link["label"] or link["url"], text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def texts_in(value: JsonValue) -> list[str]:
    """Every `text` that is a text, anywhere in `value`, in order, as a person reads it."""
    found: list[str] = []
    if isinstance(value, list):
        for item in value:
            found += texts_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != "text" or not isinstance(item, str):
                found += texts_in(item)
            else:
                # In plain text, `&amp;` is what somebody wrote.
                found.append(read_mrkdwn(item) if value.get("type") == "mrkdwn" else item)
    return found


def object_at(value: JsonValue, key: str) -> JsonObject:
    """The object under `key` of an object; an empty one when there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def list_at(value: JsonValue, key: str) -> list[JsonValue]:
    """The list under `key` of an object; an empty one when there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []
