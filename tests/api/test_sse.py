"""The stream over HTTP: what a browser's EventSource would see, of a router and a database that are real."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from router.channels.inapp import KIND
from router.channels.registry import AnyKind
from router.couch.database import Database
from router.couch.setup import setup
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.api.issuer import token
from tests.api.serving import Api, api_settings, said, serving
from tests.inbox.making import made, written
from tests.service.running import Desk, running, settings_for

V1 = "/v1/notifications"
SSE = f"{V1}/sse"
TIMEOUT_SECONDS = 15.0


@dataclass
class Ear:
    """One connection, and what came through it."""

    answer: httpx.Response
    lines: list[str] = field(default_factory=list)
    events: list[tuple[str, JsonObject]] = field(default_factory=list)
    last_id: str | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        """Read as an EventSource does (WHATWG HTML section 9.2.6)."""
        kind, data, its_id = "message", "", None
        async for line in self.answer.aiter_lines():
            self.lines.append(line)
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                data += value
            elif name == "id":
                its_id = value
            elif not line:
                self.last_id = its_id or self.last_id
                async with self.changed:
                    if data:
                        self.events.append((kind, json.loads(data)))
                    self.changed.notify_all()
                kind, data, its_id = "message", "", None

    async def until(self, count: int) -> list[tuple[str, JsonObject]]:
        """The events once there are so many."""
        async with asyncio.timeout(TIMEOUT_SECONDS), self.changed:
            await self.changed.wait_for(lambda: len(self.events) >= count)
        return self.events

    def titles(self) -> list[object]:
        return [data["title"] for kind, data in self.events if kind == "message"]


@asynccontextmanager
async def connected(client: httpx.AsyncClient, last_id: str | None = None, **params: str) -> AsyncIterator[Ear]:
    """A stream, once it is live."""
    headers = {} if last_id is None else {"last-event-id": last_id}
    async with client.stream("GET", SSE, headers=headers, params=params) as answer:
        assert answer.status_code == 200, await answer.aread()
        ear = Ear(answer)
        listening = asyncio.create_task(ear.listen())
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), ear.changed:
                await ear.changed.wait_for(lambda: ear.last_id is not None)
            yield ear
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def test_what_comes_is_told_to_every_device_as_the_table_has_it(api: Api, database: Database) -> None:
    alice, bob = api.client(), api.client("bob")
    async with connected(alice) as one, connected(alice) as two, connected(bob) as other:
        assert one.answer.headers["content-type"].startswith("text/event-stream")
        assert (one.answer.headers["x-accel-buffering"], one.answer.headers["cache-control"]) == ("no", "no-store")
        (its_id,) = await written(database, [made("alice", 1, event="mention", link_url="https://example.org/")])
        for ear in (one, two):
            assert await ear.until(1) == [
                ("message", {
                    "id": its_id, "type": "chats", "event": "mention", "title": "alice 1", "content": "<b>x</b>",
                    "link_url": "https://example.org/", "link_text": None, "read": False,
                    "created_at": "2026-11-21T08:00:01.000Z",
                }),
            ]  # fmt: skip
        # What one device does, the other sees.
        await alice.patch(f"{V1}/{its_id}/read")
        await two.until(2)
        await alice.delete(f"{V1}/{its_id}")
        assert (await two.until(3))[1:] == [("read", {"id": its_id, "read": True}), ("deleted", {"id": its_id})]
        assert other.events == []


async def test_a_reconnect_misses_nothing_and_repeats_nothing(api: Api, database: Database) -> None:
    alice = api.client()
    last_id: str | None = None
    told: list[object] = []
    for round_number in range(4):
        async with connected(alice, last_id) as ear:
            await written(database, [made("alice", 10 * round_number + 1)])
            await ear.until(1 if round_number == 0 else 2)
            told += ear.titles()
            last_id = ear.last_id
        await written(database, [made("alice", 10 * round_number + 2), made("bob", 1)])
    async with connected(alice, last_event_id=str(last_id)) as ear:
        await ear.until(1)
        told += ear.titles()
    assert told == [f"alice {10 * n + k}" for n in range(4) for k in (1, 2)]


async def test_a_token_in_the_address_for_those_who_can_send_no_header(api: Api, database: Database) -> None:
    nobody = api.client(None)
    async with connected(nobody, access_token=token()) as ear:
        await written(database, [made("alice", 1)])
        await ear.until(1)
    # Elsewhere it does not count: addresses get into logs.
    said(await nobody.get(V1, params={"access_token": token()}), 401, "unauthorized")


async def test_other_customers_are_not_heard_of(api: Api, database: Database) -> None:
    async with connected(api.client("alice", customers=["acme"])) as ear:
        await written(database, [made("alice", 1, customer_id="other")])
        await written(
            database,
            [
                made("alice", 2, customer_id="acme"),
            ],
        )
        assert [data["title"] for _, data in await ear.until(1)] == ["alice 2"]


async def test_injected_to_those_who_are_connected_and_kept_nowhere(api: Api) -> None:
    draft: JsonObject = {
        "title": "Hi",
        "content": "<b>x</b><script>alert(1)</script>",
        "type": "chats",
        "user_ids": ["alice"],
    }
    async with connected(api.client()) as ear, connected(api.client("bob")) as other:
        answer = await api.program().post(SSE, json=draft)
        assert answer.json() == {"message": "Notification sent to all connected users"}
        ((kind, data),) = await ear.until(1)
        assert (kind, data["title"], data["content"], data["id"]) == ("message", "Hi", "<b>x</b>", None)
        assert other.events == []
    assert (await api.client().get(V1)).json()["total"] == 0


async def test_no_more_streams_than_are_set(couchdb_settings: CouchDBSettings, database: Database) -> None:
    await setup(database, "ccs.notifications")
    async with serving(api_settings(couchdb_settings, streams_per_user=2, streams=3)) as api:
        alice = api.client()
        async with connected(alice), connected(alice):
            answer = await alice.get(SSE)
            assert "streams" in said(answer, 429, "too_many_streams")
            assert answer.headers["retry-after"] == "10"
            async with connected(api.client("bob")):
                said(await api.client("carol").get(SSE), 429, "too_many_streams")
        # Their places are free again once they have gone.
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (status := await _status(alice)) != 200:
                assert status == 429


async def _status(client: httpx.AsyncClient) -> int:
    async with client.stream("GET", SSE) as answer:
        return answer.status_code


@pytest.mark.parametrize("last_id", ["x", "0", "999-x", "a" * 4000, "\x7f", '{"a":1}'])
async def test_a_last_event_id_may_be_anything(api: Api, database: Database, last_id: str) -> None:
    async with connected(api.client(), last_event_id=last_id) as ear:
        await written(database, [made("alice", 1)])
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while "alice 1" not in ear.titles():
                await ear.until(len(ear.events) + 1)


async def test_live_through_a_router_and_over_restarts_of_everything(
    couchdb_settings: CouchDBSettings, database: Database, desk: Desk
) -> None:
    kinds: dict[str, AnyKind] = {"inapp": KIND}
    settings, told, last_id = settings_for(couchdb_settings, kinds), [], None
    await setup(database, "ccs.notifications")
    await database.put({"_id": "recipient:alice"})
    for number in range(3):
        async with serving(api_settings(couchdb_settings)) as api, connected(api.client(), last_id) as ear:
            async with running(settings, kinds):
                await desk.write(f"live-{number}", "@alice", f"live {number}")
                await ear.until(1 if number == 0 else 2)
            told += ear.titles()
            last_id = ear.last_id
        # Nobody listens now.
        await desk.write(f"later-{number}", "@alice", f"later {number}")
        async with running(settings, kinds):
            await desk.until(lambda found: [d["status"] for d in found] == ["COMPLETE"], f"later-{number}")
    assert told == ["live 0", "later 0", "live 1", "later 1", "live 2"]
