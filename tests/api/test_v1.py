"""The first form, as its clients know it: each row of its table, over HTTP, on a real database."""

import asyncio
from datetime import timedelta

import pytest

from router.couch.database import Database
from router.documents.json_types import JsonObject, JsonValue
from router.documents.timestamps import utc_now
from tests.api.serving import Api, said
from tests.inbox.making import documents, made, written

V1 = "/v1/notifications"
NEVER = "019d2f0c-5a3b-7c41-9e1f-3a5b7c9d1e2f"
FIELDS = [
    "id", "type", "event", "title", "content", "link_url", "link_text", "read", "read_at", "created_at", "customer_id",
    "rec_type", "rec_id",
]  # fmt: skip


async def test_a_list_has_all_fields_and_is_newest_first(api: Api, database: Database) -> None:
    more = {
        "event": "failed",
        "link_url": "https://example.org/",
        "link_text": "Open",
        "rec_type": "order",
        "rec_id": "7",
    }
    ids = await written(database, [made("alice", n, customer_id="acme", **more) for n in range(3)])
    await written(database, [made("bob", 1)])
    answer = await api.client().get(V1)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["total"], body["next_cursor"]) == (3, None)
    assert [each["id"] for each in body["notifications"]] == ids
    first = body["notifications"][0]
    assert list(first) == FIELDS
    assert first == {
        "id": ids[0], "type": "chats", "title": "alice 2", "content": "<b>x</b>", "read": False, "read_at": None,
        "created_at": "2026-11-21T08:00:02.000Z", "customer_id": "acme", **more,
    }  # fmt: skip
    assert (await api.client().get(f"{V1}/{ids[1]}")).json()["title"] == "alice 1"


async def test_pages_by_offset_and_by_cursor_status_and_customer(api: Api, database: Database) -> None:
    ids = await written(
        database, [made("alice", n, read=n % 2 == 0, customer_id="acme" if n < 4 else None) for n in range(10)]
    )
    alice = api.client()

    async def listed(**params: JsonValue) -> tuple[list[str], int, str | None]:
        body = (await alice.get(V1, params=params)).raise_for_status().json()  # type: ignore[arg-type]
        return [each["id"] for each in body["notifications"]], body["total"], body["next_cursor"]

    assert (await listed(limit=3, offset=2))[:2] == (ids[2:5], 10)
    assert (await listed(status="unread"))[:2] == (ids[0::2], 5)
    assert (await listed(status="read"))[:2] == (ids[1::2], 5)
    assert (await listed(customer_id="acme"))[:2] == (ids[6:], 4)
    seen: list[str] = []
    cursor: str | None = None
    while len(seen) < 10:
        page, _, cursor = await listed(limit=4, **({} if cursor is None else {"cursor": cursor}))
        seen += page
    assert (seen, cursor) == (ids, None)


async def test_a_user_of_some_customers_sees_theirs_and_those_of_none(api: Api, database: Database) -> None:
    of: dict[str, str | None] = {"mine": "acme", "none": None, "theirs": "other"}
    written_ids = [await written(database, [made("alice", 1, title=t, customer_id=c)]) for t, c in of.items()]
    alice = api.client("alice", customers=["acme"])
    titles = [each["title"] for each in (await alice.get(V1)).json()["notifications"]]
    assert sorted(titles) == ["mine", "none"]
    ((theirs,),) = written_ids[2:]
    for method, path in (("GET", theirs), ("PATCH", f"{theirs}/read"), ("DELETE", theirs)):
        said(await alice.request(method, f"{V1}/{path}"), 404, "notifications_m.not_found")
    said(await alice.get(V1, params={"customer_id": "other"}), 404, "notifications_m.not_found")


async def test_marking_and_deleting(api: Api, database: Database) -> None:
    one, two = await written(database, [made("alice", n) for n in range(2)])
    alice = api.client()
    assert (await alice.patch(f"{V1}/{one}/read")).json()["read"] is True
    read_at = (await alice.get(f"{V1}/{one}")).json()["read_at"]
    assert read_at is not None
    assert (await alice.patch(f"{V1}/{one}/read", json={"read": True})).json()["read_at"] == read_at
    body = (await alice.patch(f"{V1}/{one}/read", json={"read": False})).json()
    assert (body["read"], body["read_at"]) == (False, None)
    assert (await alice.patch(f"{V1}/{two}/read", json={})).json()["read"] is True
    assert (await alice.delete(f"{V1}/{two}")).json() == {"message": "Notification deleted"}
    assert [each["id"] for each in (await alice.get(V1)).json()["notifications"]] == [one]
    for answer in (
        await alice.delete(f"{V1}/{two}"),
        await alice.get(f"{V1}/{two}"),
        await alice.patch(f"{V1}/{two}/read"),
    ):
        said(answer, 404, "notifications_m.not_found")
    actions = [entry["action"] for entry in await documents(database, "audit:")]
    assert actions == ["mark_as_read", "mark_as_unread", "mark_as_read", "delete"]


@pytest.mark.parametrize("bad", ["x", NEVER[:-1], "1", "..%2f", "a" * 5000, "%00", NEVER.replace("-7", "-4")])
async def test_what_is_no_id(api: Api, bad: str) -> None:
    alice = api.client()
    for method, path in (("GET", bad), ("PATCH", f"{bad}/read"), ("DELETE", bad)):
        answer = await alice.request(method, f"{V1}/{path}")
        if "%2f" not in bad:
            message = said(answer, 400, "notifications_m.invalid_id")
            assert len(message) < 300
        assert answer.status_code in (400, 404)


async def test_another_users_are_not_found(api: Api, database: Database) -> None:
    (theirs,) = await written(database, [made("bob", 1)])
    alice = api.client()
    for method, path in (("GET", theirs), ("PATCH", f"{theirs}/read"), ("DELETE", theirs), ("GET", NEVER)):
        said(await alice.request(method, f"{V1}/{path}"), 404, "notifications_m.not_found")
    assert (await api.client("bob").get(f"{V1}/{theirs}")).json()["read"] is False


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"limit": "0"}, "limit"), ({"limit": "201"}, "limit"), ({"limit": "x"}, "limit"), ({"offset": "-1"}, "offset"),
        ({"offset": "1000001"}, "offset"), ({"status": "new"}, "status"), ({"customer_id": "x" * 201}, "customer_id"),
        ({"cursor": "x" * 1001}, "cursor"),
    ],
)  # fmt: skip
async def test_what_nobody_can_mean(api: Api, params: dict[str, str], place: str) -> None:
    assert said(await api.client().get(V1, params=params), 400, "invalid_request").startswith(place)


async def test_a_cursor_of_another_list(api: Api, database: Database) -> None:
    await written(database, [made("alice", n) for n in range(3)])
    cursor = (await api.client().get(V1, params={"limit": 1})).json()["next_cursor"]
    for params in ({"cursor": cursor, "status": "read"}, {"cursor": cursor[:-1]}, {"cursor": cursor, "offset": "1"}):
        said(await api.client().get(V1, params=params), 400, "notifications_m.invalid_query")


# --- preferences

CATALOGUE: JsonObject = {
    "_id": "notifications",
    "channels": {"email": True, "inapp": True},
    "groups": {
        "chats": {"title": "Chats", "events": {"mention": True, "typing": False}},
        "security": {"events": {"login": {"mandatory": True, "title": "New login"}}},
        "news": {},
    },
}
CHOSEN: JsonObject = {
    "channels": {"email": False},
    "groups": {
        "chats": {"enabled": True, "events": {"mention": {"channels": {"email": True}}}},
        "news": {"enabled": False},
    },
    "quiet_hours": {"start": "22:00", "end": "07:00"},
}


async def test_preferences_are_read_saved_and_shown_with_what_there_is(api: Api, database: Database) -> None:
    await database.put(CATALOGUE)
    alice = api.client("alice", customers=["acme"])
    body = (await alice.get(f"{V1}/preferences")).json()
    assert body["available"]["channels"] == CATALOGUE["channels"]
    assert list(body["available"]["groups"]) == ["chats", "security", "news"]
    assert body["available"]["groups"]["security"]["events"]["login"]["mandatory"] is True
    assert body["channels"] == {}
    saved = (await alice.put(f"{V1}/preferences", json=CHOSEN)).raise_for_status().json()
    again = (await alice.get(f"{V1}/preferences")).json()
    assert saved == again
    assert {key: again[key] for key in ("channels", "quiet_hours")} == {
        key: CHOSEN[key] for key in ("channels", "quiet_hours")
    }
    assert again["groups"]["chats"]["events"] == {"mention": {"enabled": None, "channels": {"email": True}}}
    # What was given may be sent back as it is.
    assert (await alice.put(f"{V1}/preferences", json=again)).json() == again
    document = await database.get("preferences:alice")
    assert document is not None
    assert document["channels"] == {"email": False}
    assert "available" not in document
    # Those as one of a customer's are others.
    await alice.put(f"{V1}/preferences", params={"customer_id": "acme"}, json={"channels": {"email": True}})
    assert (await alice.get(f"{V1}/preferences")).json()["channels"] == {"email": False}
    assert await database.get("preferences:alice:acme") is not None
    said(await alice.get(f"{V1}/preferences", params={"customer_id": "other"}), 404, "notifications_m.not_found")
    entries = await documents(database, "audit:")
    assert [(e["action"], e["ids"]) for e in entries] == [
        ("change_preferences", ["preferences:alice"]),
        ("change_preferences", ["preferences:alice"]),
        ("change_preferences", ["preferences:alice:acme"]),
    ]


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        ({"channels": {"fax": True}}, "invalid_channel", "channels.fax: there is no such channel; there are email, inapp"),
        ({"groups": {"chats": {"channels": {"fax": True}}}}, "invalid_channel", "groups.chats.channels.fax: there is no"),
        ({"groups": {"chats": {"events": {"mention": {"channels": {"sms": False}}}}}}, "invalid_channel", "groups.chats.events"),
        ({"groups": {"chat": True}}, "invalid_group", "groups.chat: there is no such notification group; there are chats, news"),
        ({"groups": {"chats": {"events": {"mentions": True}}}}, "invalid_event", "groups.chats.events.mentions: there is no"),
        ({"groups": {"security": {"events": {"login": False}}}}, "invalid_event", "groups.security.events.login: this event is"),
        ({"groups": {"security": {"events": {"login": {"channels": {"email": False}}}}}}, "invalid_event", "groups.security.eve"),
    ],
)  # fmt: skip
async def test_what_the_catalogue_does_not_have_is_refused(
    api: Api, database: Database, wanted: JsonObject, code: str, message: str
) -> None:
    await database.put(CATALOGUE)
    answer = await api.client().put(f"{V1}/preferences", json=wanted)
    assert said(answer, 400, f"notifications_m.{code}").startswith(message)
    assert await database.get("preferences:alice") is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"channels": {"email": "no"}}, "channels.email"),
        ({"channels": []}, "channels: must be an object, not a list"),
        ({"quiet_hours": {"start": "22:00"}}, "quiet_hours.end: is missing"),
        ({"quiet_hours": {"start": "25:00", "end": "07:00"}}, "quiet_hours.start: must be a time of day such as 22:30"),
        ({"groups": {"chats": 5}}, "groups.chats: must be"),
        ([], "the body: must be an object"),
        ("x", "the body: must be an object"),
    ],
)
async def test_what_are_no_preferences(api: Api, wanted: JsonValue, message: str) -> None:
    assert said(await api.client().put(f"{V1}/preferences", json=wanted), 400, "invalid_request").startswith(message)


async def test_two_who_save_at_once_both_get_through(api: Api) -> None:
    alice = api.client()
    answers = await asyncio.gather(
        *(alice.put(f"{V1}/preferences", json={"channels": {"email": n % 2 == 0}}) for n in range(4))
    )
    assert [answer.status_code for answer in answers] == [200] * 4


# --- test notifications

DRAFT: JsonObject = {
    "type": "chats", "event": "mention", "title": "Hi", "content": "<b>x</b>", "customer_id": "acme",
    "user_ids": ["alice", "bob"], "rec_type": "chat", "rec_id": "7",
}  # fmt: skip


async def test_a_trigger_writes_the_message_that_an_app_would(api: Api, database: Database) -> None:
    answer = await api.program().post(f"{V1}/trigger", json=DRAFT)
    assert (answer.status_code, answer.json()) == (200, {"message": "Notification sent to all connected users"})
    (message,) = await documents(database, "trigger-")
    assert message["content"] == {
        "to": ["@alice", "@bob"], "subject": "Hi", "body": "<b>x</b>", "type": "chats", "event": "mention",
        "customer_id": "acme", "rec_type": "chat", "rec_id": "7",
    }  # fmt: skip
    (entry,) = await documents(database, "audit:")
    assert (entry["user"], entry["roles"], entry["action"], entry["ids"]) == (
        "_key:1",
        ["service"],
        "send",
        [message["_id"]],
    )


@pytest.mark.parametrize("path", ["trigger", "sse"])
@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"user_ids": ["alice", "a b"]}, "notifications_m.invalid_user_id", "user_ids[1] must be the id of a user"),
        ({"user_ids": ["@alice"]}, "notifications_m.invalid_user_id", "user_ids[0] must be"),
        ({"user_ids": []}, "notifications_m.invalid_user_id", "user_ids must name 1 to 1000 users, not 0"),
        ({"user_ids": "alice"}, "invalid_request", "user_ids: must be a list, not a text"),
        ({"user_ids": [5]}, "invalid_request", "user_ids[0]: must be a text, not a number"),
        ({"user_ids": ["alice"] * 10_000}, "too_large", "the body is larger"),
        ({"type": "chat"}, "notifications_m.invalid_group", "type: there is no notification group 'chat'"),
        ({"event": "mentions"}, "notifications_m.invalid_event", "event: group chats has no event 'mentions'"),
        ({"title": "", "content": " "}, "notifications_m.invalid_query", "title and content are empty"),
        ({"title": 5}, "invalid_request", "title: must be a text, not a number"),
    ],
)
async def test_what_cannot_be_sent(
    api: Api, database: Database, path: str, change: JsonObject, code: str, message: str
) -> None:
    await database.put(CATALOGUE)
    status = 413 if code == "too_large" else 400
    answer = await api.program().post(f"{V1}/{path}", json={**DRAFT, **change})
    assert said(answer, status, code).startswith(message)
    assert await documents(database, "trigger-") == []


# --- who may

OWN = [
    ("GET", V1), ("GET", f"{V1}/{NEVER}"), ("PATCH", f"{V1}/{NEVER}/read"), ("DELETE", f"{V1}/{NEVER}"),
    ("GET", f"{V1}/preferences"), ("PUT", f"{V1}/preferences"), ("GET", f"{V1}/sse"),
    ("GET", "/api/notifications"), ("GET", "/api/notifications/preferences"), ("PUT", "/api/notifications/preferences"),
    ("GET", "/api/notifications/unread-count"), ("POST", "/api/notifications/mark-as-read"),
    ("POST", "/api/notifications/mark-all-as-read"), ("POST", "/api/notifications/delete"), ("POST", "/api/notifications/test"),
]  # fmt: skip
REPORTS = [
    ("GET", "/v1/messages/m"),
    ("GET", "/v1/deliveries"),
    ("GET", "/v1/analytics/deliveries?from=2026-11-01&to=2026-11-30"),
]
BY_KEY = [("POST", f"{V1}/trigger"), ("POST", f"{V1}/sse")]


@pytest.mark.parametrize(("method", "path"), [*OWN, *REPORTS, *BY_KEY])
async def test_nobody_gets_in_without_showing_who_they_are(api: Api, method: str, path: str) -> None:
    nobody = api.client(None)
    answer = await nobody.request(method, path)
    said(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    expired = api.client("alice", exp=int((utc_now() - timedelta(hours=1)).timestamp()))
    assert "eyJ" not in said(await expired.request(method, path), 401, "unauthorized")
    wrong = api.client(None)
    wrong.headers["x-api-key"] = "an-api-key-of-nobody"
    said(await wrong.request(method, path), 401, "unauthorized")


@pytest.mark.parametrize(("method", "path"), REPORTS)
async def test_reports_are_for_services_and_admins(api: Api, method: str, path: str) -> None:
    assert "role service or admin" in said(await api.client().request(method, path), 403, "forbidden")
    for role in ("service", "admin"):
        assert (await api.client("bot", roles=[role]).request(method, path)).status_code in (200, 404)


@pytest.mark.parametrize(("method", "path"), OWN)
async def test_a_service_has_no_inbox(api: Api, method: str, path: str) -> None:
    said(await api.client("bot", roles=["service"]).request(method, path), 403, "forbidden")
