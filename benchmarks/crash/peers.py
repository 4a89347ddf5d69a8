"""The other side as processes that log every arrival: `python -m benchmarks.crash.peers slack|sphinx|mail|webhook LOG`.

Each says in one line of JSON how to reach it. Each answers some time after it has taken a message, as services on the internet
do: that is the moment in which a sender that is killed cannot know what became of it.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Final

import orjson
from aiohttp import web
from aiosmtpd.smtp import SMTP

from benchmarks.crash.plan import contact_info, message_named_in, slack_channel
from router.demo.smtp import MailServer
from router.documents.json_types import JsonObject
from tests.peers.slack import SlackChannelState, SlackPeer
from tests.peers.sphinx import SphinxPeer
from tests.peers.stand_in import StandIn, accept, arrived_body, say

ANSWER_SECONDS: Final = 0.05


class Log:
    """A file with a line of JSON for each message that was taken. No two peers share one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self.count = 0

    def write(self, channel: str, text: str, target: str, reference: str | None, handle: str | None = None) -> None:
        """Note an arrival. `text` names its message; `handle` is what a repeat can be told by."""
        self.count += 1
        line: JsonObject = {
            "channel": channel,
            "message_id": message_named_in(text),
            "target": target,
            "reference": reference,
            "handle": handle,
        }
        self._file.write(orjson.dumps(line) + b"\n")


class LoggedSlack(SlackPeer):
    """The stand-in for Slack with a channel for each group."""

    def __init__(self, log: Log, groups: int) -> None:
        super().__init__()
        self._log = log
        for group in range(groups):
            self.add_channel(SlackChannelState(slack_channel(group), f"team-{group:02}"))

    async def _post_message(self, request: web.Request) -> web.Response:
        response = await super()._post_message(request)
        answer = _answered(response)
        if answer.get("ok") is True:
            text = orjson.dumps(arrived_body(request)).decode()
            self._log.write("slack", text, str(answer["channel"]), str(answer["ts"]))
        await asyncio.sleep(ANSWER_SECONDS)
        return response


class LoggedSphinx(SphinxPeer):
    """The stand-in for the Sphinx bot, which knows the person of each group."""

    def __init__(self, log: Log, groups: int) -> None:
        super().__init__()
        self._log = log
        for group in range(groups):
            self.befriend(contact_info(group))

    async def _send(self, request: web.Request) -> web.Response:
        response = await super()._send(request)
        answer, body = _answered(response), arrived_body(request)
        if answer.get("status") in ("COMPLETE", "PENDING") and isinstance(body, dict):
            self._log.write("sphinx", str(body["content"]), str(body["dest"]), str(answer["tag"]))
        await asyncio.sleep(ANSWER_SECONDS)
        return response


class WebhookPeer(StandIn):
    """Takes what Alertmanager posts to `/matrix`, `/email` and so on: it stands for that channel."""

    def __init__(self, log: Log, port: int) -> None:
        super().__init__(self._add_routes, port)
        self._log = log

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/{channel}", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        body = arrived_body(request)
        alerts = body.get("alerts") if isinstance(body, dict) else None
        if not isinstance(alerts, list):
            return say("not what Alertmanager posts", 400)
        for alert in alerts:
            labels = alert.get("labels") if isinstance(alert, dict) else None
            if isinstance(labels, dict):
                channel = request.match_info["channel"]
                self._log.write(channel, str(labels.get("message")), str(labels.get("team")), None)
        accept(request)
        await asyncio.sleep(ANSWER_SECONDS)
        return say("ok")


@asynccontextmanager
async def mail_server(log: Log) -> AsyncIterator[JsonObject]:
    """An SMTP server that gives each mail a queue id of its own, as mail servers do."""

    async def taken(stage: str, conversation: SMTP) -> str | None:
        envelope = conversation.envelope
        if stage != "TAKEN" or envelope is None:
            return None
        mail = message_from_bytes(envelope.original_content or b"", policy=default)
        body = mail.get_body(("plain", "html"))
        text = f"{mail['Subject']} {body.get_content() if body is not None else ''}"
        queue_id = f"M{log.count:06}"
        for recipient in envelope.rcpt_tos:
            log.write("email", text, recipient, queue_id, str(mail["Message-ID"]))
        await asyncio.sleep(ANSWER_SECONDS)
        return f"250 2.0.0 OK: queued as {queue_id}"

    async with MailServer(answer=taken, mails_kept=1) as server:
        yield {"host": server.host, "port": server.port}


@asynccontextmanager
async def _stand_in(peer: LoggedSlack | LoggedSphinx | WebhookPeer) -> AsyncIterator[JsonObject]:
    async with peer:
        yield {"url": peer.url} if isinstance(peer, WebhookPeer) else peer.describe()


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash.peers")
    parser.add_argument("peer", choices=("slack", "sphinx", "mail", "webhook"))
    parser.add_argument("log", type=Path)
    parser.add_argument("--groups", type=int, default=1)
    parser.add_argument("--port", type=int, default=0, help="webhook: port on 127.0.0.1; 0 for a free one")
    options = parser.parse_args()
    log = Log(options.log)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    servers = {
        "slack": lambda: _stand_in(LoggedSlack(log, options.groups)),
        "sphinx": lambda: _stand_in(LoggedSphinx(log, options.groups)),
        "mail": lambda: mail_server(log),
        "webhook": lambda: _stand_in(WebhookPeer(log, options.port)),
    }
    async with servers[options.peer]() as description:
        sys.stdout.write(orjson.dumps(description).decode() + "\n")
        sys.stdout.flush()
        await stop.wait()


def _answered(response: web.Response) -> JsonObject:
    """The JSON object that `response` holds; empty when it holds none."""
    answer = orjson.loads(response.body) if isinstance(response.body, bytes) and response.body else None
    return answer if isinstance(answer, dict) else {}


if __name__ == "__main__":
    asyncio.run(main())
