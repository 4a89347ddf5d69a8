"""An app in a process of its own that writes messages at a steady rate, whatever becomes of them (an open loop).

Told `{"couchdb": {...}, "rate_per_second": R, "count": N, "first": N, "groups": [...]}`; answers when all are acknowledged:
`{"numbers": [...], "acknowledged_ns": [...], "late_ms": N}`.
"""

import asyncio
import time

import aiohttp
import orjson

from benchmarks.child import couch_headers, lines_of_input, say
from benchmarks.traffic import message, message_id
from router.documents.json_types import JsonObject

CONNECTIONS = 50


async def write(plan: JsonObject) -> JsonObject:
    """Write what the plan says."""
    couchdb, groups = plan["couchdb"], plan["groups"]
    if not isinstance(couchdb, dict) or not isinstance(groups, list):
        raise TypeError("a plan names a database and groups")
    count, first = int(str(plan["count"])), int(str(plan["first"]))
    gap = 1 / float(str(plan["rate_per_second"]))
    acknowledged: dict[int, int] = {}
    late = 0.0
    loop = asyncio.get_running_loop()
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with (
        aiohttp.ClientSession(headers=couch_headers(couchdb), connector=connector) as session,
        asyncio.TaskGroup() as group,
    ):

        async def put(number: int) -> None:
            body = orjson.dumps(message(number, str(groups[number % len(groups)])))
            async with session.put(f"{couchdb['url']}/{message_id(number)}", data=body) as answer:
                # The status line is the acknowledgement.
                acknowledged[number] = time.monotonic_ns()
                answer.raise_for_status()
                await answer.read()

        began = loop.time()
        for index in range(count):
            due = began + index * gap
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            late = max(late, loop.time() - due)
            group.create_task(put(first + index))
    return {
        "numbers": list(acknowledged),
        "acknowledged_ns": list(acknowledged.values()),
        "late_ms": late * 1000,
    }


async def main() -> None:
    """Follow each plan that comes."""
    async for plan in lines_of_input():
        say(await write(plan))


if __name__ == "__main__":
    asyncio.run(main())
