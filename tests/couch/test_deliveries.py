"""The deliveries of messages are found by their ids, on the server of the suite and on one that takes one question at a time."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from router.couch.database import Database
from router.couch.deliveries import MESSAGES_AT_ONCE, PAGE, find_deliveries
from router.documents.delivery import Delivery, delivery_id, message_delivery_id
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.couch.answering import answering
from tests.servers.couchdb import CouchServer

ALIKE = ("a", "a:b", "a:b:c", "a-b", "a0", "a;", "a;b", "A", "aa", "ü:€", "a/b", "a:matrix")
"""Messages whose ids begin alike, or sort next to each other."""


def delivery(message_id: str, channel: str = "matrix", target: str = "x", status: str = "COMPLETE") -> JsonObject:
    """A delivery document."""
    return {
        "_id": delivery_id(message_id, channel, target),
        "type": "delivery",
        "message_id": message_id,
        "channel": channel,
        "target": target,
        "status": status,
        "uuid": "6f1c7c1e-6d0f-5f0a-9d43-5c1c8a3f6b11",
        "created_at": "2026-11-21T08:00:00.000Z",
        "updated_at": "2026-11-21T08:00:00.000Z",
    }


def ids(deliveries: dict[str, Delivery]) -> list[str]:
    assert all(each.id == its_id for its_id, each in deliveries.items())
    return sorted(deliveries)


@asynccontextmanager
async def front(server: CouchServer, *, takes_many_questions: bool) -> AsyncIterator[str]:
    """Stands before a server, and takes many questions in one request as CouchDB does, or refuses them as PouchDB does."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/_all_docs/queries"):
            return await answer_all(request)
        kind = {"content-type": request.content_type}
        reply = await http.request(request.method, request.raw_path, content=await request.read(), headers=kind)
        passed_on = {name: reply.headers[name] for name in ("content-type", "set-cookie") if name in reply.headers}
        return web.Response(status=reply.status_code, body=reply.content, headers=passed_on)

    async def answer_all(request: web.Request) -> web.Response:
        asked.append(request.path)
        if not takes_many_questions:
            return web.json_response({"error": "bad_request", "reason": "only_multipart_accepted"}, status=400)
        results = []
        for question in (await request.json())["queries"]:
            params = {name: json.dumps(value) for name, value in question.items()}
            results.append((await http.get(request.path.removesuffix("/queries"), params=params)).json())
        return web.json_response({"results": results})

    asked: list[str] = []
    async with server.async_http() as http, answering(answer) as url:
        yield url
    assert len(asked) == 1 or takes_many_questions, "a server that refused it is not asked again"


@pytest.fixture(params=[True, False], ids=["many questions at once", "one at a time"])
async def filled(
    request: pytest.FixtureRequest, database: Database, couchdb_settings: CouchDBSettings, couchdb_server: CouchServer
) -> AsyncIterator[Database]:
    """A database with two deliveries and a document about the whole for each of `ALIKE`."""
    for message_id in ALIKE:
        whole = {**delivery(message_id, status="UNROUTABLE"), "_id": message_delivery_id(message_id), "channel": None}
        await database.bulk([delivery(message_id), delivery(message_id, "slack", "y", "PENDING"), whole])
    async with front(couchdb_server, takes_many_questions=request.param) as url:
        settings = couchdb_settings.model_copy(update={"url": url})
        async with Database(settings) as behind:
            yield behind


async def test_each_message_gets_its_own_and_no_others(filled: Database) -> None:
    found = await find_deliveries(filled, [*ALIKE, "none", "a"])
    assert set(found) == set(ALIKE)
    for message_id, deliveries in found.items():
        assert ids(deliveries) == sorted(
            [
                delivery_id(message_id, "matrix", "x"),
                delivery_id(message_id, "slack", "y"),
                message_delivery_id(message_id),
            ]
        )


async def test_only_those_that_are_not_final(filled: Database) -> None:
    (deliveries,) = (await find_deliveries(filled, ["a:b"], open_only=True)).values()
    assert ids(deliveries) == [message_delivery_id("a:b"), delivery_id("a:b", "slack", "y")]


async def test_a_deleted_one_is_gone_and_a_damaged_one_is_not(filled: Database) -> None:
    await filled.bulk(
        [{**doc, "_deleted": True} for doc in (await filled.get_many([delivery_id("a", "slack", "y")])).values()]
    )
    (damaged,) = (await filled.get_many([delivery_id("a", "matrix", "x")])).values()
    await filled.put({"_id": damaged["_id"], "_rev": damaged["_rev"], "status": 7})
    (deliveries,) = (await find_deliveries(filled, ["a"])).values()
    assert ids(deliveries) == [message_delivery_id("a"), delivery_id("a", "matrix", "x")]


@pytest.mark.parametrize("count", [PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 3])
async def test_a_message_to_many_targets(filled: Database, count: int) -> None:
    await filled.bulk([delivery("wide", target=str(number)) for number in range(count)])
    found = await find_deliveries(filled, ["a", "wide"])
    assert ids(found["wide"]) == sorted(delivery_id("wide", "matrix", str(number)) for number in range(count))
    assert len(found["a"]) == 3


async def test_many_messages(filled: Database) -> None:
    names = [f"m{number}" for number in range(2 * MESSAGES_AT_ONCE + 1)]
    await filled.bulk([delivery(name) for name in names])
    assert set(await find_deliveries(filled, names)) == set(names)
    assert await find_deliveries(filled, []) == {}
