"""How the demo reads a user's inbox back, and what it says when the HTTP API does not show it."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router.demo.api_user import ApiUser, token_for
from router.demo.arrival import Arrival
from router.demo.child import Child, DemoError
from router.demo.environment import clean_environment
from router.demo.inbox import InboxReader, inbox_arrival
from router.documents.json_types import JsonObject

SECRET = "s" * 32


def notification(number: int, **more: str | None) -> JsonObject:
    return {"id": f"n{number}", "title": f"Title {number}", "content": "", "link_url": None, "link_text": None, **more}


def page(*numbers: int) -> tuple[int, JsonObject]:
    """The API's answer with these notifications, the newest first."""
    return 200, {"notifications": [notification(number) for number in numbers]}


@asynccontextmanager
async def reader_of(tmp_path: Path, *answers: tuple[int, JsonObject]) -> AsyncIterator[InboxReader]:
    """A reader of an API that gives these answers, one after the other."""
    left = iter(answers)

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("Bearer ")
        status, body = next(left)
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/v1/notifications", answer)
    process = Child("The HTTP API", ("none",), cwd=tmp_path, environment={}, log=tmp_path / "api.log")
    async with TestServer(app) as server:
        yield InboxReader(ApiUser(str(server.make_url("")).rstrip("/"), "alice", token_for("alice", SECRET), process))


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ({}, "Title 1"),
        ({"content": "<p>Tom &amp; <b>Co</b></p><p>Bye</p>"}, "Title 1\n\nTom & Co\n\nBye"),
        ({"content": "as it &lt;is&gt;"}, "Title 1\n\nas it <is>"),
        ({"link_url": "https://a.example/1", "link_text": "Open"}, "Title 1\n\nOpen: https://a.example/1"),
        ({"link_url": "https://a.example/1"}, "Title 1\n\nLink: https://a.example/1"),
        ({"title": "", "content": "Only text"}, "Only text"),
    ],
)
def test_a_notification_is_read_as_a_person_does(shown: dict[str, str | None], text: str) -> None:
    assert inbox_arrival("alice", notification(1, **shown)) == Arrival("inapp", "alice", text, "notification:alice:n1")


async def test_each_look_gives_what_is_new_oldest_first(tmp_path: Path) -> None:
    busy: JsonObject = {"code": "too_many_requests", "message": "come again"}
    answers = [page(), page(2, 1), page(2, 1), (429, busy), (503, busy), page(4, 3, 2), page(3, 2, 1)]
    async with reader_of(tmp_path, *answers) as reader:
        looks = [[arrival.text for arrival in await reader.look()] for _ in answers]
    # What moves up because a newer one was deleted is not new.
    assert looks == [[], ["Title 1", "Title 2"], [], [], [], ["Title 3", "Title 4"], []]


async def test_an_inbox_that_is_not_shown_is_said_with_the_reason(tmp_path: Path) -> None:
    async with reader_of(tmp_path, (401, {"code": "unauthorized", "message": "the token has expired"})) as reader:
        with pytest.raises(DemoError) as caught:
            await reader.look()
    assert str(caught.value) == (
        f"The HTTP API does not show the inbox of alice: 401 the token has expired; its log: {tmp_path / 'api.log'}"
    )


@pytest.mark.parametrize(
    ("is_killed", "says"),
    [
        (True, "The HTTP API was killed by signal 9 (SIGKILL)"),
        (False, "The HTTP API no longer answers (ClientConnectorError)"),
    ],
)
async def test_silence_of_the_api_is_told_by_how_it_ended_where_it_did(
    tmp_path: Path, unused_tcp_port: int, *, is_killed: bool, says: str
) -> None:
    log = tmp_path / "api.log"
    goes_on = ("http.server", "0", "--bind", "127.0.0.1")
    async with Child("The HTTP API", goes_on, cwd=tmp_path, environment=clean_environment(), log=log) as process:
        alice = ApiUser(f"http://127.0.0.1:{unused_tcp_port}", "alice", "a token", process)
        if is_killed:
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(DemoError) as caught:
            await InboxReader(alice).look()
    assert str(caught.value) == f"{says}; its log: {log}"
