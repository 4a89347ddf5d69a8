"""The four ways by which a message leaves over HTTP, each with the little that its server must say before the message itself."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from router.channels import matrix, slack, sphinx
from router.channels.base import Channel, Outgoing
from router.documents.message import Content
from router.rendering.rendered import Rendered
from router.settings import MatrixSettings, SlackSettings, SphinxSettings
from tests.channels import fixed_content
from tests.channels.raw_server import Script, answer, read_request
from tests.peers.sphinx import PUBKEY

SECRET: Final = "hushhushhush"

Opened = tuple[Channel, Outgoing]


@dataclass(frozen=True, slots=True)
class Way:
    """How a message leaves by one channel."""

    name: str
    open: Callable[[str, float], Opened]
    """A channel for a server at an address that gives each attempt some seconds, and a delivery by it."""
    message: bytes
    """What is in the first line of the request that carries the message."""
    accepted: bytes
    """The body of an answer that accepts it."""
    before: tuple[tuple[bytes, bytes], ...] = ()
    """What is in the first line of the requests that go before, and the whole answers to them."""

    def server(self, on_message: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> Script:
        """What a server does that answers what goes before, and does `on_message` to the message."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                try:
                    request = await read_request(reader)
                except asyncio.IncompleteReadError:
                    return
                line = request.partition(b"\r\n")[0]
                if self.message in line:
                    await on_message(writer)
                    return
                known = [said for part, said in self.before if part in line]
                writer.write(known[0] if known else answer(b"<html>", b"404 Not Found"))
                await writer.drain()

        return script


def _matrix(url: str, seconds: float) -> Opened:
    settings = MatrixSettings(homeserver=url, access_token=SECRET, attempt_timeout_seconds=seconds)
    content = Rendered(Content(to="#admins", body="hello"))
    return matrix.KIND.open(settings), fixed_content.outgoing(matrix.KIND.parse_target("!room", settings), content)


def _slack(url: str, seconds: float) -> Opened:
    settings = SlackSettings(bot_token=SECRET, api_url=f"{url}/api", attempt_timeout_seconds=seconds)
    return slack.KIND.open(settings), fixed_content.outgoing(slack.KIND.parse_target("#general", settings))


def _webhook(url: str, seconds: float) -> Opened:
    settings = SlackSettings(webhook_hosts=(urlsplit(url).netloc,), attempt_timeout_seconds=seconds)
    hook = f"{url}/services/T01234567/B01234567/{SECRET}"
    return slack.KIND.open(settings), fixed_content.outgoing(slack.KIND.parse_target(hook, settings))


def _sphinx(url: str, seconds: float) -> Opened:
    settings = SphinxSettings(url=url, admin_token=SECRET, attempt_timeout_seconds=seconds)
    return sphinx.KIND.open(settings), fixed_content.outgoing(sphinx.KIND.parse_target(PUBKEY, settings))


_NO_STATE: Final = answer(b'{"errcode":"M_NOT_FOUND","error":"Event not found."}', b"404 Not Found")

MATRIX: Final = Way(
    "matrix",
    _matrix,
    b"/send/m.room.message/",
    b'{"event_id":"$event"}',
    ((b"/account/whoami", answer(b'{"user_id":"@router:example.org","device_id":"D"}')), (b"/state/", _NO_STATE)),
)
SLACK: Final = Way("slack", _slack, b"/api/chat.postMessage", b'{"ok":true,"ts":"1.2"}')
WEBHOOK: Final = Way("webhook", _webhook, b"/services/", b"ok")
SPHINX: Final = Way(
    "sphinx",
    _sphinx,
    b"POST /send ",
    b'{"status":"COMPLETE","tag":"t1"}',
    ((b"/get_contact/", answer(b'{"pubkey":"02","contact_key":"03"}')),),
)

WAYS: Final = (MATRIX, SLACK, WEBHOOK, SPHINX)
