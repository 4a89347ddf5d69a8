"""What the benchmark's own processes share: they are told things by lines of JSON on standard input and answer likewise."""

import asyncio
import base64
import os
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson

from router.documents.json_types import JsonObject

LINE_LIMIT_BYTES = 256 * 1024 * 1024
"""Longest line: a report of a few hundred thousand arrivals, or the documents that a floor is to write."""


async def lines_of_input() -> AsyncIterator[JsonObject]:
    """The objects that come on standard input, until it ends: then whoever started us is gone, or done with us."""
    reader = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        value: JsonObject = orjson.loads(line)
        yield value


def say(value: JsonObject) -> None:
    """Write one object to standard output, whole: an answer may be larger than a pipe."""
    left = memoryview(orjson.dumps(value) + b"\n")
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


def json_lines(file: str) -> list[JsonObject]:
    """The objects in a file that has one on each line."""
    return [orjson.loads(line) for line in Path(file).read_bytes().splitlines()]


def cpu_seconds() -> float:
    """CPU time of this process so far, user and system, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def couch_headers(couchdb: JsonObject) -> dict[str, str]:
    """The headers of every request to CouchDB, from `CouchServer.plan`: PouchDB Server needs the first two."""
    login = base64.b64encode(f"{couchdb['user']}:{couchdb['password']}".encode()).decode("ascii")
    return {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Authorization": f"Basic {login}",
    }
