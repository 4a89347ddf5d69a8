"""The bare clients of the four channels: the router's own client libraries, requests made ready beforehand, nothing else."""

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID, uuid4

import nio  # type: ignore[import-untyped]
import orjson
from aiosmtplib import SMTP

from benchmarks.floors.http_client import JSON_TYPE, http_client
from benchmarks.traffic import group, message, message_id, target
from router.channels.base import Outgoing, Target
from router.channels.email.compose import Sender, compose
from router.channels.email.mailbox import read_address
from router.documents.json_types import JsonObject
from router.documents.message import MessageDocument
from router.rendering.rendered import Rendered
from router.settings import MatrixSettings, SlackSettings, SphinxSettings

_UUID: Final = UUID(int=0)


class Sending(Protocol):
    """Makes the requests of one delivery."""

    async def send(self, number: int, address: str) -> None:
        """Send the message with this number to this target."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class _Ready:
    """A request's bytes, made once as the router makes them, in which only the number and the target change."""

    def __init__(self, body: bytes, address: str) -> None:
        self._body = body
        self._address = address.encode()

    def of(self, number: int, address: str) -> bytes:
        return self._body.replace(message_id(0).encode(), message_id(number).encode()).replace(
            self._address, address.encode()
        )


def rendered() -> Rendered:
    """The content of message 0."""
    return Rendered(MessageDocument.model_validate(message(0, group(0))).content)


def slack_payload(content: Rendered, channel: str) -> JsonObject:
    """The body of chat.postMessage as the router makes it."""
    body = content.slack(SlackSettings().max_text_chars)
    payload: JsonObject = {"text": body.text, "unfurl_links": False, "unfurl_media": False, "channel": channel}
    return {**payload, "blocks": [*body.blocks]}


class _Repeats:
    """Says how many extra requests go with each send, so that on average there are as many as the router made."""

    def __init__(self, per_send: float) -> None:
        self._per_send = per_send
        self._owed = 0.0

    def next(self) -> int:
        self._owed += self._per_send
        whole = int(self._owed + 1e-9)
        self._owed -= whole
        return whole


class SlackSending:
    """chat.postMessage."""

    def __init__(self, port: int, concurrency: int) -> None:
        self._client = http_client(concurrency)
        self._url = f"http://127.0.0.1:{port}/chat.postMessage"
        self._headers = {"authorization": "Bearer xoxb-bench-token", "content-type": JSON_TYPE}
        first = target("slack", 0)
        self._ready = _Ready(orjson.dumps(slack_payload(rendered(), first)), first)

    async def send(self, number: int, address: str) -> None:
        """One POST."""
        body = self._ready.of(number, address)
        (await self._client.post(self._url, content=body, headers=self._headers)).raise_for_status()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class SphinxSending:
    """The look at the contact, and the send."""

    def __init__(self, port: int, concurrency: int, looks_per_send: float) -> None:
        self._client = http_client(concurrency)
        self._base = f"http://127.0.0.1:{port}"
        self._looks = _Repeats(looks_per_send)
        self._headers = {"x-admin-token": "bench-token"}
        self._json_headers = {**self._headers, "content-type": JSON_TYPE}
        first = target("sphinx", 0)
        content = rendered().short_text(SphinxSettings().max_content_bytes)
        body: JsonObject = {"dest": first, "amt_msat": 0, "content": content, "is_tribe": False, "wait": True}
        self._ready = _Ready(orjson.dumps(body), first)

    async def send(self, number: int, address: str) -> None:
        """As many GETs as the router makes, and one POST."""
        for _ in range(self._looks.next()):
            await self._client.get(f"{self._base}/get_contact/{address}", headers=self._headers)
        body = self._ready.of(number, address)
        answer = await self._client.post(f"{self._base}/send", content=body, headers=self._json_headers)
        answer.raise_for_status()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class MatrixSending:
    """The looks at the room's state, and the send."""

    def __init__(self, port: int, looks_per_send: float) -> None:
        config = nio.AsyncClientConfig(
            max_limit_exceeded=0, max_timeouts=0, request_timeout=0, encryption_enabled=False
        )
        self._client = nio.AsyncClient(f"http://127.0.0.1:{port}", "@router:bench.example", config=config)
        self._client.access_token = "bench-token"  # noqa: S105 - the peer takes any
        self._looks = _Repeats(looks_per_send)
        body = rendered().matrix(MatrixSettings().max_content_bytes)
        self._content: JsonObject = {
            "msgtype": "m.text",
            "body": body.body,
            "m.mentions": {},
            "format": "org.matrix.custom.html",
            "formatted_body": body.formatted_body,
        }

    async def send(self, number: int, address: str) -> None:
        """As many GETs as the router makes, and one PUT."""
        for look in range(self._looks.next()):
            await self._client.room_get_state_event(address, ("m.room.encryption", "m.room.tombstone")[look % 2])
        content = {**self._content, "body": str(self._content["body"]).replace(message_id(0), message_id(number))}
        answer = await self._client.room_send(address, "m.room.message", content, str(uuid4()))
        if isinstance(answer, nio.ErrorResponse):
            raise RuntimeError(f"the peer refused: {answer}")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class EmailSending:
    """Mails over connections that stay open, one for each worker."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[SMTP] = []
        mailbox = read_address("router@bench.example")
        first = target("email", 0)
        outgoing = Outgoing(
            "", _UUID, Target("email", first, first), group(0), rendered(), datetime.now(UTC), "x", datetime.now(UTC)
        )
        self._ready = _Ready(compose(outgoing, read_address(first), Sender(mailbox, mailbox.domain)).content, first)

    async def send(self, number: int, address: str) -> None:
        """MAIL, RCPT, DATA."""
        if self._idle:
            connection = self._idle.pop()
        else:
            connection = SMTP(
                hostname="127.0.0.1",
                port=self._port,
                use_tls=False,
                start_tls=False,
                local_hostname="bench.example",
                timeout=30,
            )
            await connection.connect()
        await connection.sendmail("router@bench.example", [address], self._ready.of(number, address))
        self._idle.append(connection)

    async def close(self) -> None:
        """Close the connections."""
        for connection in self._idle:
            connection.close()


def opened(channel: str, port: int, concurrency: int, looks_per_send: float) -> Sending:
    """The bare client of a channel. `looks_per_send`: other requests that the router makes for each send."""
    makers: dict[str, Callable[[], Sending]] = {
        "slack": lambda: SlackSending(port, concurrency),
        "sphinx": lambda: SphinxSending(port, concurrency, looks_per_send),
        "matrix": lambda: MatrixSending(port, looks_per_send),
        "email": lambda: EmailSending(port),
    }
    return makers[channel]()


def in_turn(channel: str, count: int, targets: int) -> Sequence[tuple[int, str]]:
    """Which number goes to which target, in the order that the router's messages have: one target after the other."""
    addresses = itertools.cycle([target(channel, number) for number in range(targets)])
    return [(number, next(addresses)) for number in range(count)]
