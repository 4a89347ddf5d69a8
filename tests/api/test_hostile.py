"""What comes from people who mean harm, or from a CouchDB that is not there: clear errors, and nothing leaked."""

import json

import httpx
import pytest

from router.api.description import openapi_document
from router.couch.database import Database
from router.couch.setup import setup
from router.documents.json_types import JsonValue
from router.settings import CouchDBSettings
from tests.api.issuer import OTHER_SECRET, claims, forged, token
from tests.api.serving import Api, api_settings, said, serving
from tests.inbox.making import made, written

V1 = "/v1/notifications"
NEVER = "019d2f0c-5a3b-7c41-9e1f-3a5b7c9d1e2f"


@pytest.mark.parametrize(
    "bad",
    [
        token(OTHER_SECRET), forged({"alg": "none"}, claims()), forged({"alg": "none"}, claims()).rpartition(".")[0] + ".",
        token(exp=1), token(sub=None), token(sub="_design"), token(customers=5), "x", "a.b.c", "x" * 100_000,
    ],
    ids=["forged", "none", "unsigned", "expired", "no sub", "bad sub", "bad customers", "x", "dots", "large"],
)  # fmt: skip
async def test_bad_tokens(api: Api, bad: str) -> None:
    nobody = api.client(None)
    for path in (V1, f"{V1}/sse"):
        nobody.headers["authorization"] = f"Bearer {bad}"
        try:
            answer = await nobody.get(path)
        except httpx.TransportError:
            assert len(bad) > 50_000, "only what no server reads may be hung up on"
            continue
        message = said(answer, 401, "unauthorized")
        assert bad not in message or bad == "x"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"\xff\xfe", 400), (b"null", 400), (b"[" * 60_000, 400), (b'{"a":' * 10_000, 400),
        (b"1" * 60_000, 400), (b'{"user_ids": ["' + b"\\ud800" + b'"], "title": "x"}', 400), (b" " * 70_000, 413),
    ],
    ids=["empty", "cut", "no text", "null", "deep list", "deep object", "number", "surrogate", "large"],
)  # fmt: skip
async def test_bad_bodies(api: Api, body: bytes, status: int) -> None:
    answer = await api.program().post(f"{V1}/trigger", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message"}
    assert len(answer.text) < 1000


async def test_a_body_without_a_length_is_cut_off_too(api: Api) -> None:
    async def endless() -> object:
        for _ in range(100):
            yield b"x" * 10_000

    program = api.program()
    try:
        answer = await program.post(f"{V1}/trigger", content=endless())  # type: ignore[arg-type]
    except httpx.TransportError:
        return  # It hung up in the middle: as good.
    said(answer, 413, "too_large")


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u0000'\";--${7*7}{{7*7}}"


async def test_script_in_every_field_comes_back_as_text(api: Api, database: Database) -> None:
    fields: dict[str, JsonValue] = dict.fromkeys(
        ("type", "event", "customer_id", "rec_type", "rec_id", "title", "content"), HOSTILE
    )
    answer = await api.program().post(f"{V1}/trigger", json={**fields, "user_ids": ["alice"]})
    # CouchDB and the router take such a message as it is; rendering makes it safe.
    assert answer.status_code == 200, answer.text
    for params in ({"customer_id": HOSTILE}, {"cursor": HOSTILE}, {"status": HOSTILE}):
        shown = await api.client().get(V1, params=params)
        assert shown.status_code < 500
        assert shown.headers["content-type"] == "application/json"
    assert (
        await api.client().put(f"{V1}/preferences", json={"groups": {HOSTILE: {"events": {HOSTILE: False}}}})
    ).status_code == 200


@pytest.mark.parametrize("path", ["/", "/v1", f"{V1}/", "/docs", "/redoc", "/.env", "/v1/notifications//read", "/api"])
async def test_addresses_that_are_none(api: Api, path: str) -> None:
    assert (await api.client().get(path)).status_code in (400, 404)


async def test_callers_who_come_too_often(couchdb_settings: CouchDBSettings, database: Database) -> None:
    await setup(database, "ccs.notifications")
    async with serving(api_settings(couchdb_settings, rate_per_second=0.5, burst=3)) as api:
        alice, bob = api.client("alice"), api.client("bob")
        answers = [await alice.get(f"{V1}/preferences") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert said(answers[-1], 429, "too_many_requests") == "too many requests: come again in 2 seconds"
        assert answers[-1].headers["retry-after"] == "2"
        assert (await bob.get(f"{V1}/preferences")).status_code == 200


async def test_cors_as_it_is_set(couchdb_settings: CouchDBSettings, database: Database) -> None:
    await setup(database, "ccs.notifications")
    origin = "https://app.example.org"
    async with serving(api_settings(couchdb_settings, cors_origins=origin)) as api:
        client = api.client(None)
        asked = {
            "origin": origin,
            "access-control-request-method": "PATCH",
            "access-control-request-headers": "authorization",
        }
        answer = await client.options(f"{V1}/{NEVER}/read", headers=asked)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
        assert "access-control-allow-credentials" not in answer.headers
        other = await client.options(f"{V1}/{NEVER}/read", headers={**asked, "origin": "https://evil.example.org"})
        assert "access-control-allow-origin" not in other.headers
        refused = await client.get(V1, headers={"origin": origin})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)


async def test_without_couchdb_each_answer_says_which_failed(unused_tcp_port: int) -> None:
    nowhere = CouchDBSettings(url=f"http://admin:hunter2@127.0.0.1:{unused_tcp_port}", connect_timeout_seconds=1)
    async with serving(api_settings(nowhere)) as api:
        alice, bot = api.client(), api.client("bot", roles=["service"])
        for answer, code in (
            (await alice.get(V1), "failed_to_fetch_notifications"),
            (await alice.get(f"{V1}/{NEVER}"), "failed_to_fetch_notifications"),
            (await alice.patch(f"{V1}/{NEVER}/read"), "failed_to_mark_as_read"),
            (await alice.delete(f"{V1}/{NEVER}"), "failed_to_delete"),
            (await alice.get(f"{V1}/preferences"), "failed_to_fetch_preferences"),
            (await alice.put(f"{V1}/preferences", json={}), "failed_to_update_preferences"),
            (await alice.get("/api/notifications"), "failed_to_fetch_notifications"),
            (await alice.get("/api/notifications/unread-count"), "failed_to_fetch_notifications"),
            (await alice.post("/api/notifications/mark-all-as-read"), "failed_to_mark_as_read"),
            (await alice.post("/api/notifications/delete", json={"notificationIds": [NEVER]}), "failed_to_delete"),
            (await alice.post("/api/notifications/test"), "failed_to_send"),
            (await bot.get("/v1/messages/m"), "failed_to_fetch_deliveries"),
            (await bot.get("/v1/deliveries"), "failed_to_fetch_deliveries"),
        ):
            message = said(answer, 503, f"notifications_m.{code}")
            assert "try again in a moment" in message
            assert "hunter2" not in answer.text
            assert "127.0.0.1" not in answer.text


async def test_damaged_documents_are_passed_over(api: Api, database: Database) -> None:
    ids = await written(database, [made("alice", n) for n in range(3)])
    document = await database.get(f"notification:alice:{ids[1]}")
    assert document is not None
    # As replication may bring them, past the check at write time.
    design = await database.get("_design/router") or {}
    await database.put({"_id": "_design/router", "_rev": design["_rev"], "_deleted": True})
    await database.put({**document, "title": {"no": "text"}})
    await database.put({"_id": "preferences:alice", "channels": 5})
    alice = api.client()
    assert [each["id"] for each in (await alice.get(V1)).json()["notifications"]] == [ids[0], ids[2]]
    message = said(await alice.get(f"{V1}/preferences"), 503, "notifications_m.failed_to_fetch_preferences")
    assert "save them anew" in message
    assert (await alice.put(f"{V1}/preferences", json={})).status_code == 200


async def test_the_openapi_document_shows_each_row_with_an_example(api: Api) -> None:
    document = (await api.client(None).get("/openapi.json")).json()
    rows = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert rows == {
        "GET /healthz", "GET /v1/notifications", "GET /v1/notifications/{notification_id}",
        "PATCH /v1/notifications/{notification_id}/read", "DELETE /v1/notifications/{notification_id}",
        "GET /v1/notifications/preferences", "PUT /v1/notifications/preferences", "GET /v1/notifications/sse",
        "POST /v1/notifications/sse", "POST /v1/notifications/trigger", "GET /api/notifications",
        "GET /api/notifications/preferences", "PUT /api/notifications/preferences", "GET /api/notifications/unread-count",
        "POST /api/notifications/mark-as-read", "POST /api/notifications/mark-all-as-read", "POST /api/notifications/delete",
        "POST /api/notifications/test", "GET /v1/messages/{message_id}", "GET /v1/deliveries", "GET /v1/analytics/deliveries",
    }  # fmt: skip
    assert document == openapi_document()
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    schemas = document["components"]["schemas"]
    for name in (
        "NotificationOut",
        "PageOut",
        "PreferencesOut",
        "PreferencesIn",
        "TriggerIn",
        "IdsIn",
        "Wrong",
        "MessageOut",
    ):
        assert schemas[name]["examples"], name
    assert json.dumps(document)
