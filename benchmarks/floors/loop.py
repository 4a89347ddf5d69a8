"""The bare client loop: sends the requests that the router sends, side by side as the router does, and nothing else.

Told `{"channels": {NAME: {port, concurrency, count, targets, looks_per_send, same_message}}, "documents": FILE or null,
"couchdb": {...}}`. With `documents` (a file of JSON lines) it also writes as many delivery documents as it has sent, in
batches, beside the sending: what the router must do too.
"""

import asyncio
import time

import aiohttp
import orjson

from benchmarks.child import couch_headers, cpu_seconds, json_lines, lines_of_input, say
from benchmarks.floors.clients import in_turn, opened
from router.documents.json_types import JsonObject

PER_WRITE = 200
LINGER_SECONDS = 0.003
"""How long a batch of documents waits for company."""


class Progress:
    """How many were sent."""

    sent = 0
    is_over = False


async def run_channel(name: str, plan: JsonObject, progress: Progress) -> None:
    """Send all that goes over one channel."""
    concurrency, count = int(str(plan["concurrency"])), int(str(plan["count"]))
    client = opened(name, int(str(plan["port"])), concurrency, float(str(plan["looks_per_send"])))
    work = in_turn(name, count, int(str(plan["targets"])))
    left = iter([(0, address) for _, address in work] if plan["same_message"] else work)

    async def serve() -> None:
        for number, address in left:
            await client.send(number, address)
            progress.sent += 1

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(serve())
    finally:
        await client.close()


async def write_documents(file: str, couchdb: JsonObject, progress: Progress) -> None:
    """Write a document for each send, in batches, until all are written."""
    documents = json_lines(file)
    written = 0
    async with aiohttp.ClientSession(headers=couch_headers(couchdb)) as session:
        while written < len(documents):
            batch = documents[written : min(progress.sent, written + PER_WRITE)]
            if not batch:
                if progress.is_over and written >= progress.sent:
                    return
                await asyncio.sleep(LINGER_SECONDS)
                continue
            async with session.post(f"{couchdb['url']}/_bulk_docs", data=orjson.dumps({"docs": batch})) as answer:
                answer.raise_for_status()
                await answer.read()
            written += len(batch)


async def main() -> None:
    """Run one plan."""
    async for plan in lines_of_input():
        channels, couchdb = plan["channels"], plan.get("couchdb")
        if not isinstance(channels, dict):
            raise TypeError("a plan names channels")
        progress = Progress()
        began, cpu_began = time.monotonic_ns(), cpu_seconds()
        async with asyncio.TaskGroup() as group:
            if plan.get("documents") and isinstance(couchdb, dict):
                group.create_task(write_documents(str(plan["documents"]), couchdb, progress))
            sending = [
                group.create_task(run_channel(name, each, progress))
                for name, each in channels.items()
                if isinstance(each, dict)
            ]
            await asyncio.gather(*sending)
            progress.is_over = True
        ended = time.monotonic_ns()
        say({"began_ns": began, "ended_ns": ended, "cpu_seconds": cpu_seconds() - cpu_began})


if __name__ == "__main__":
    asyncio.run(main())
