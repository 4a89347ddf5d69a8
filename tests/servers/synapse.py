"""One real Synapse for the whole run, and users for it."""

import asyncio
import secrets
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from router.demo.matrix_user import MatrixUser
from router.demo.synapse import Synapse
from router.documents.json_types import JsonObject, JsonValue

T = TypeVar("T")


@pytest.fixture(scope="session")
def synapse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synapse]:
    """A running homeserver. A test that kills it starts it again; its users, rooms and port stay."""
    server = Synapse(tmp_path_factory.mktemp("synapse"))
    _run(server.start())
    try:
        yield server
    finally:
        _run(server.stop())


async def new_user(synapse: Synapse, name: str) -> MatrixUser:
    """A user nobody has used before, whose name starts with `name`."""
    return await synapse.register(f"{name}-{secrets.token_hex(4)}")


async def new_room(owner: MatrixUser, *members: MatrixUser, **options: object) -> str:
    """A room that `owner` made (see `MatrixUser.create_room`) and all `members` have joined."""
    room_id = await owner.create_room(invite=tuple(member.user_id for member in members), **options)  # type: ignore[arg-type]
    for member in members:
        await member.join(room_id)
    return room_id


def bodies(events: list[JsonObject]) -> list[JsonValue]:
    """What the messages among `events` say."""
    contents = [event["content"] for event in events]
    return [content.get("body") if isinstance(content, dict) else None for content in contents]


def _run(work: Awaitable[T]) -> T:
    """Do `work` in a loop and thread of its own, so that no test's loop is touched. It ends by its own timeouts."""

    async def whole() -> T:
        return await work

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, whole()).result()
