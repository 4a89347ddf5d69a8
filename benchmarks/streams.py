"""Server-sent events: many streams that are mostly idle, and how long a notification takes from CouchDB to its reader."""

import asyncio
import time
from datetime import timedelta
from uuid import uuid4

import jwt

from benchmarks.couchdb import Bed, bed
from benchmarks.figure import Figure, Result, median, over, quantile
from benchmarks.processes import free_port, helper, router
from benchmarks.stage import Stage
from router.documents.json_types import JsonObject
from router.documents.notification import Notification, notification_document_id, notification_id
from router.documents.timestamps import utc_now

NAME = "streams"
HOW = (
    "{streams:,} users with a stream each, all on one `router serve`; {rate:g} notifications a second for {seconds:g} s, "
    "written as documents one by one, to {listening} of the users in turn. From the moment the writer has CouchDB's "
    "acknowledgement to the moment the reader has the line (one monotonic clock for all processes), the first second left out. "
    "Memory: the resident memory of `router serve` with all streams, less that with one. There is no floor, and the marks are "
    "our own."
)
RATE_PER_SECOND = 100.0
SHARE = 0.01
SECRET = "the secret of the streams' benchmark"  # noqa: S105 - nothing is behind it
WARM_UP_SECONDS = 1.0
HEARD_TIMEOUT_SECONDS = 60.0
LIVE_TIMEOUT_SECONDS = 30.0


async def measure(stage: Stage) -> Result:
    """Measure it."""
    streams, seconds = stage.size(2_000, 100), stage.size(20, 3)
    listening = max(1, int(streams * SHARE))
    runs: list[JsonObject] = []
    for number in range(stage.runs):
        stage.say(f"{streams:,} streams, run {number + 1} of {stage.runs}")
        async with bed(stage.server, None) as main:
            runs.append(await _run(stage, main, streams, listening, seconds))
    each, p50, p99 = (median(runs, name) for name in ("bytes_per_stream", "p50_ms", "p99_ms"))
    return Result(
        NAME,
        HOW.format(streams=streams, rate=RATE_PER_SECOND, seconds=seconds, listening=listening),
        [
            Figure(
                f"memory for each of {streams:,} idle streams",
                f"{each / 1024:.1f} KiB",
                "",
                each / 1024,
                " KiB",
                at_most=64,
            ),
            Figure(
                f"acknowledged document → reader, {RATE_PER_SECOND:g} notifications/s to 1 % of {streams:,} streams, p99",
                f"{p99:.1f} ms",
                "",
                p99,
                " ms",
                at_most=250,
            ),
        ],
        [
            ("p50", f"{p50:.1f} ms"),
            ("heard of those that were written", f"{median(runs, 'share_heard'):.4f}"),
            ("CPU time of `router serve` for each notification", f"{median(runs, 'cpu_ms'):.1f} ms"),
            ("its most resident memory", f"{median(runs, 'memory_mb'):.0f} MB"),
        ],
        runs,
    )


async def _run(stage: Stage, main: Bed, streams: int, listening: int, seconds: float) -> JsonObject:
    port = free_port()
    variables = {
        **main.variables(),
        "ROUTER_API__PORT": str(port),
        "ROUTER_API__JWT_SECRET": SECRET,
        "ROUTER_API__STREAMS": str(streams + 10),
        "ROUTER_LOG__LEVEL": "warning",
    }
    expires = int((utc_now() + timedelta(hours=1)).timestamp())
    tokens = [jwt.encode({"sub": f"user-{n}", "exp": expires}, SECRET, "HS256") for n in range(streams + 1)]
    url = f"http://127.0.0.1:{port}/v1/notifications/sse"
    async with (
        router(variables, stage.folder, "serve") as api,
        helper("listeners", ["benchmarks.listeners"], stage.folder) as listeners,
        helper("first listener", ["benchmarks.listeners"], stage.folder) as first,
    ):
        await _until_open(port)
        # With one stream everything is imported and the feed is followed.
        await first.ask({"url": url, "tokens": [*tokens[-1:]]}, LIVE_TIMEOUT_SECONDS)
        alone = api.memory_bytes()
        await listeners.ask({"url": url, "tokens": [*tokens[:-1]]}, LIVE_TIMEOUT_SECONDS * 5)
        grown = api.memory_bytes() - alone
        cpu = api.cpu_seconds()
        acknowledged = await _write(main, listening, seconds)
        told = await listeners.ask(
            {"heard": len(acknowledged), "timeout_seconds": HEARD_TIMEOUT_SECONDS}, HEARD_TIMEOUT_SECONDS * 2
        )
        api.check()
        titles, heard = told["titles"], told["heard_ns"]
        if not isinstance(titles, list) or not isinstance(heard, list):
            raise TypeError("a listener answers with lists")
        heard_at = {str(title): int(str(moment)) for title, moment in zip(titles, heard, strict=True)}
        began = min(acknowledged.values())
        waits = [
            (heard_at[title] - moment) / 1e6
            for title, moment in acknowledged.items()
            if title in heard_at and moment > began + WARM_UP_SECONDS * 1e9
        ]
        return {
            "bytes_per_stream": grown / streams,
            "p50_ms": quantile(waits, 0.5),
            "p99_ms": quantile(waits, 0.99),
            "share_heard": over(len(heard_at), len(acknowledged)),
            "cpu_ms": (api.cpu_seconds() - cpu) * 1000 / len(acknowledged),
            "memory_mb": api.peak_memory_bytes() / 1e6,
        }


async def _write(main: Bed, listening: int, seconds: float) -> dict[str, int]:
    """Write notifications, evenly spaced, whatever becomes of them; when each was acknowledged, by title."""
    acknowledged: dict[str, int] = {}
    loop = asyncio.get_running_loop()

    async def put(number: int) -> None:
        user, now, title = f"user-{number % listening}", utc_now(), f"number {number}"
        document_id = notification_document_id(user, notification_id(now, uuid4()))
        made = Notification(document_id=document_id, user=user, title=title, content="<b>x</b>", created_at=now)
        await main.database.put(made.to_document())
        acknowledged[title] = time.monotonic_ns()

    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(int(RATE_PER_SECOND * seconds)):
            if (wait := began + number / RATE_PER_SECOND - loop.time()) > 0:
                await asyncio.sleep(wait)
            group.create_task(put(number))
    return acknowledged


async def _until_open(port: int) -> None:
    """Until the API takes connections."""
    async with asyncio.timeout(LIVE_TIMEOUT_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
