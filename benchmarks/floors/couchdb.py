"""The bare feed reader and the bare `_bulk_docs` writer.

Told `{"do": "read", "couchdb": {...}, "count": N}`: reads N message documents off the continuous feed; or
`{"do": "write", "couchdb": {...}, "documents": FILE}`: writes the documents of a file of JSON lines, one request at a time.
"""

import asyncio
import time

import aiohttp
import orjson

from benchmarks.child import couch_headers, cpu_seconds, json_lines, lines_of_input, say
from router.documents.json_types import JsonObject

PER_WRITE = 500
READ_TIMEOUT_SECONDS = 60.0


async def read(session: aiohttp.ClientSession, url: str, count: int) -> None:
    """Read so many messages off the feed, from its beginning."""
    params = {"feed": "continuous", "include_docs": "true", "heartbeat": "10000", "since": "0"}
    async with session.get(f"{url}/_changes", params=params) as answer:
        rest, found = b"", 0
        while found < count and (piece := await answer.content.readany()):
            *lines, rest = (rest + piece).split(b"\n")
            found += sum("content" in (orjson.loads(line).get("doc") or ()) for line in lines if line)


async def write(session: aiohttp.ClientSession, url: str, file: str) -> None:
    """Write all documents, batch after batch."""
    documents = json_lines(file)
    for start in range(0, len(documents), PER_WRITE):
        body = orjson.dumps({"docs": documents[start : start + PER_WRITE]})
        async with session.post(f"{url}/_bulk_docs", data=body) as answer:
            answer.raise_for_status()
            await answer.read()


async def main() -> None:
    """Do one thing and say how long it took."""
    async for plan in lines_of_input():
        couchdb = plan["couchdb"]
        if not isinstance(couchdb, dict):
            raise TypeError("a plan names a database")
        timeout = aiohttp.ClientTimeout(total=None, sock_read=READ_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(headers=couch_headers(couchdb), timeout=timeout) as session:
            began, cpu_began = time.monotonic_ns(), cpu_seconds()
            url = str(couchdb["url"])
            if plan["do"] == "read":
                await read(session, url, int(str(plan["count"])))
            else:
                await write(session, url, str(plan["documents"]))
            told: JsonObject = {
                "seconds": (time.monotonic_ns() - began) / 1e9,
                "cpu_seconds": cpu_seconds() - cpu_began,
            }
        say(told)


if __name__ == "__main__":
    asyncio.run(main())
