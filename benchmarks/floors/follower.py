"""The bare follower: reads the continuous feed and posts each message to Slack as it comes, and nothing else.

Told `{"couchdb": {...}, "since": SEQ, "port": N, "concurrency": N, "targets": {GROUP: CHANNEL}}`; runs until its input ends.
"""

import asyncio
import json

import aiohttp
import orjson

from benchmarks.child import couch_headers, lines_of_input, say
from benchmarks.floors.http_client import JSON_TYPE, http_client
from router.documents.json_types import JsonObject, JsonValue


class Follower:
    """Posts what it is given, so many at once."""

    def __init__(self, port: int, concurrency: int, targets: JsonObject) -> None:
        self._client = http_client(concurrency)
        self._url = f"http://127.0.0.1:{port}/chat.postMessage"
        self._headers = {"authorization": "Bearer xoxb-bench-token", "content-type": JSON_TYPE}
        self._slots = asyncio.Semaphore(concurrency)
        self._targets = targets
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, document: JsonValue) -> None:
        """Post a document that is a message, beside the others."""
        content = document.get("content") if isinstance(document, dict) else None
        if isinstance(content, dict) and "to" in content:
            task = asyncio.get_running_loop().create_task(self._post(content))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _post(self, content: JsonObject) -> None:
        body = orjson.dumps(
            {"channel": self._targets[str(content["to"])], "text": f"{content['subject']}\n{content['body']}"}
        )
        async with self._slots:
            (await self._client.post(self._url, content=body, headers=self._headers)).raise_for_status()


async def follow(couchdb: JsonObject, since: JsonValue, follower: Follower) -> None:
    """Read the feed for ever."""
    params = {
        "feed": "continuous",
        "include_docs": "true",
        "heartbeat": "10000",
        "since": since if isinstance(since, str) else json.dumps(since),
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
    async with (
        aiohttp.ClientSession(headers=couch_headers(couchdb), timeout=timeout) as session,
        session.get(f"{couchdb['url']}/_changes", params=params) as answer,
    ):
        rest = b""
        while piece := await answer.content.readany():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line:
                    follower.take(orjson.loads(line).get("doc"))


async def main() -> None:
    """Follow what the first line says until the input ends."""
    following: asyncio.Task[None] | None = None
    async for plan in lines_of_input():
        couchdb, targets = plan["couchdb"], plan["targets"]
        if not isinstance(couchdb, dict) or not isinstance(targets, dict):
            raise TypeError("a plan names a database and targets")
        follower = Follower(int(str(plan["port"])), int(str(plan["concurrency"])), targets)
        following = asyncio.create_task(follow(couchdb, plan["since"], follower))
        say({"ready": True})
    if following is not None:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
