"""How an error names a part of the demo that does not answer, or has ended."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from router.demo.child import DemoError, ended
from router.demo.server import Server

SERVER = Server("CouchDB (PouchDB Server)", Path("/demo/couchdb.log"))


@pytest.mark.parametrize("error", [TimeoutError(), aiohttp.ServerDisconnectedError("secret")])
def test_a_server_that_does_not_answer_is_named_with_its_log(error: Exception) -> None:
    with pytest.raises(DemoError) as caught, SERVER.asked():
        raise error
    name = type(error).__name__
    assert str(caught.value) == f"CouchDB (PouchDB Server) no longer answers ({name}); its log: /demo/couchdb.log"


async def test_the_deadline_of_whoever_asks_stays_theirs() -> None:
    async def ask() -> None:
        with SERVER.asked():
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(), 0.01)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (0, "has ended with exit code 0"),
        (2, "has ended with exit code 2"),
        (-15, "was killed by signal 15 (SIGTERM)"),
        (-250, "was killed by signal 250 (no signal that has a name)"),
    ],
)
def test_how_a_part_has_ended(code: int, says: str) -> None:
    assert ended(code) == says
