"""The second form, over the very same inbox: other names, the same notifications."""

import pytest

from router.couch.database import Database
from router.documents.json_types import JsonObject, JsonValue
from tests.api.serving import Api, said
from tests.inbox.making import documents, made, written

API = "/api/notifications"
NEVER = "019d2f0c-5a3b-7c41-9e1f-3a5b7c9d1e2f"


async def test_a_list_in_camel_case(api: Api, database: Database) -> None:
    ids = await written(
        database, [made("alice", n, read=n == 0, link_url="https://example.org/", link_text="Open") for n in range(3)]
    )
    body = (await api.client().get(API)).raise_for_status().json()
    assert (body["total"], body["unreadCount"], body["nextCursor"]) == (3, 2, None)
    assert [each["id"] for each in body["notifications"]] == ids
    assert body["notifications"][0] == {
        "id": ids[0], "userId": "alice", "title": "alice 2", "message": "<b>x</b>", "type": "chats", "event": None,
        "actionUrl": "https://example.org/", "actionText": "Open", "isRead": False, "readAt": None,
        "createdAt": "2026-11-21T08:00:02.000Z", "customerId": None,
    }  # fmt: skip
    page = (await api.client().get(API, params={"limit": 2})).json()
    rest = (await api.client().get(API, params={"limit": 2, "cursor": page["nextCursor"]})).json()
    assert [each["id"] for each in (*page["notifications"], *rest["notifications"])] == ids
    unread = (await api.client().get(API, params={"status": "unread"})).json()
    assert [each["id"] for each in unread["notifications"]] == ids[:2]


async def test_marking_counting_and_deleting(api: Api, database: Database) -> None:
    ids = await written(database, [made("alice", n) for n in range(5)])
    (theirs,) = await written(database, [made("bob", 1)])
    alice = api.client()

    async def unread() -> int:
        return int((await alice.get(f"{API}/unread-count")).json()["count"])

    assert await unread() == 5
    body = (await alice.post(f"{API}/mark-as-read", json={"notificationIds": ids[:2]})).json()
    assert body == {"success": True, "updated": 2, "notFound": [], "invalid": [], "failed": []}
    body = (await alice.post(f"{API}/mark-as-read", json={"notificationIds": [ids[0], theirs, NEVER, "x"]})).json()
    assert body == {"success": False, "updated": 0, "notFound": [theirs, NEVER], "invalid": ["'x'"], "failed": []}
    assert await unread() == 3
    assert (await alice.post(f"{API}/mark-all-as-read")).json() == {"success": True, "updated": 3}
    assert await unread() == 0
    assert (await api.client("bob").get(f"{API}/unread-count")).json() == {"count": 1}
    body = (await alice.post(f"{API}/delete", json={"notificationIds": ids[1:]})).json()
    assert (body["success"], body["updated"]) == (True, 4)
    assert [each["id"] for each in (await alice.get(API)).json()["notifications"]] == ids[:1]
    # One store: the first form shows the same.
    assert [each["id"] for each in (await alice.get("/v1/notifications")).json()["notifications"]] == ids[:1]


async def test_counting_and_marking_all_of_one_customer(api: Api, database: Database) -> None:
    for customer in ("acme", "acme", "other", None):
        await written(database, [made("alice", 1, customer_id=customer)])
    alice, acme = api.client("alice", customers=["acme", "other"]), {"customer_id": "acme"}
    assert (await alice.get(f"{API}/unread-count", params=acme)).json() == {"count": 2}
    assert (await alice.post(f"{API}/mark-all-as-read", params=acme)).json() == {"success": True, "updated": 2}
    assert (await alice.get(f"{API}/unread-count", params=acme)).json() == {"count": 0}
    assert (await alice.get(f"{API}/unread-count")).json() == {"count": 2}
    for method, path in (("GET", "unread-count"), ("POST", "mark-all-as-read")):
        answer = await alice.request(method, f"{API}/{path}", params={"customer_id": "theirs"})
        said(answer, 404, "notifications_m.not_found")


async def test_preferences_are_those_of_the_first_form(api: Api) -> None:
    alice = api.client()
    saved = (await alice.put(f"{API}/preferences", json={"channels": {"email": False}})).raise_for_status().json()
    assert saved["channels"] == {"email": False}
    assert (
        (await alice.get("/v1/notifications/preferences")).json()
        == saved
        == (await alice.get(f"{API}/preferences")).json()
    )
    said(
        await alice.put(f"{API}/preferences", json={"channels": {"fax": True}}), 400, "notifications_m.invalid_channel"
    )


async def test_a_user_may_have_a_test_notification(api: Api, database: Database) -> None:
    alice = api.client()
    body = (await alice.post(f"{API}/test")).raise_for_status().json()
    assert body["success"] is True
    document = await database.get(body["messageId"])
    assert document is not None
    assert document["content"] == {
        "to": ["@alice"],
        "subject": "Test notification",
        "body": "If you can read this, notifications reach you.",
    }
    more = {"title": "Hi", "message": "<b>x</b>", "type": "chats", "actionUrl": "https://example.org/"}
    body = (await alice.post(f"{API}/test", json=more)).json()
    document = await database.get(body["messageId"])
    assert document is not None
    assert document["content"] == {
        "to": ["@alice"], "subject": "Hi", "body": "<b>x</b>", "type": "chats",
        "link": {"url": "https://example.org/", "text": None},
    }  # fmt: skip
    answer = await alice.post(f"{API}/test", json={"actionUrl": "javascript:alert(1)"})
    message = said(answer, 400, "notifications_m.invalid_query")
    assert message == "the link must be an absolute http or https address"
    assert len(await documents(database, "trigger-")) == 2


@pytest.mark.parametrize("path", ["mark-as-read", "delete"])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ([], 400, "invalid_request"),
        ({"notificationIds": "x"}, 400, "invalid_request"),
        ({"notificationIds": [NEVER] * 1001}, 400, "notifications_m.invalid_query"),
        ({"notificationIds": [NEVER] * 10_000}, 413, "too_large"),
    ],
    ids=["none", "list", "text", "1001", "10000"],
)
async def test_lists_of_ids_that_cannot_be_meant(api: Api, path: str, body: JsonValue, status: int, code: str) -> None:
    said(await api.client().post(f"{API}/{path}", json=body), status, code)


async def test_odd_things_in_a_list_of_ids_harm_nobody(api: Api, database: Database) -> None:
    (its_id,) = await written(database, [made("alice", 1)])
    odd: list[JsonValue] = [None, 5, True, {"a": 1}, ["x"], "", "\u0000", "<script>", "x" * 3000]
    body: JsonObject = (await api.client().post(f"{API}/mark-as-read", json={"notificationIds": [*odd, its_id]})).json()
    assert (body["success"], body["updated"]) == (False, 1)
    assert len(str(body)) < 10_000
