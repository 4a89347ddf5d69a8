"""Unsubscribing by the link in a mail: a GET asks, a POST does it, and only for what the link says."""

import httpx
import pytest
from pydantic import SecretStr

from router.channels.email.unsubscribe import UnsubscribeLinks, Wish
from router.couch.database import Database
from router.couch.setup import setup
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings, EmailSettings
from tests.api.serving import Api, api_settings, said, serving
from tests.inbox.making import documents

SECRET = SecretStr("unsubscribe-with-this-secret-here")
LINKS = UnsubscribeLinks("https://notify.example.org", SECRET)


@pytest.mark.parametrize(
    ("wish", "before", "after"),
    [
        (Wish("alice", None, "chats"), None, {"groups": {"chats": {"channels": {"email": False}}}}),
        (Wish("alice", None, None), None, {"channels": {"email": False}}),
        (Wish("alice", "acme", "chats"), {"channels": {"sms": True}, "quiet_hours": None},
         {"channels": {"sms": True}, "quiet_hours": None, "groups": {"chats": {"channels": {"email": False}}}}),
        (Wish("alice", None, "chats"),
         {"groups": {"chats": {"enabled": True, "channels": {"email": True, "sms": True},
                               "events": {"a": {"channels": {"email": True}}, "b": {"enabled": True}}},
                     "tasks": {"enabled": False}}},
         {"groups": {"chats": {"enabled": True, "channels": {"email": False, "sms": True},
                               "events": {"a": {"channels": {"email": False}}, "b": {"enabled": True, "channels": {}}}},
                     "tasks": {"enabled": False}}}),
    ],
    ids=["group", "all", "customer", "event"],
)  # fmt: skip
async def test_one_click_switches_off_what_the_link_says_and_nothing_else(
    couchdb_settings: CouchDBSettings, database: Database, wish: Wish, before: JsonObject | None, after: JsonObject
) -> None:
    await setup(database, "ccs.notifications")
    doc_id = "preferences:alice" if wish.customer is None else f"preferences:alice:{wish.customer}"
    if before is not None:
        await database.put({"_id": doc_id, **before})
    email = EmailSettings(unsubscribe_url="https://notify.example.org", unsubscribe_secret=SECRET)
    async with serving(api_settings(couchdb_settings).model_copy(update={"email": email})) as api:
        client = api.client(None)
        path = f"/unsubscribe/{LINKS.token(wish)}"
        page = await client.get(path)
        assert (page.status_code, '<form method="post">' in page.text) == (200, True)
        assert (await database.get(doc_id) is None) == (before is None), "a GET changes nothing"
        # As RFC 8058 section 3.2 has a mail program send it.
        answer = await client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        assert "no more mail" in answer.text
        document = await database.get(doc_id)
        assert document is not None
        saved = {key: value for key, value in document.items() if not key.startswith("_") and key != "updated_at"}
        assert saved == after
        (entry,) = await documents(database, "audit:")
        assert (entry["user"], entry["action"], entry["ids"]) == ("alice", "change_preferences", [doc_id])
        assert (await client.post(path)).status_code == 200, "again does no harm"


async def test_links_that_are_none_of_ours(couchdb_settings: CouchDBSettings, database: Database) -> None:
    await setup(database, "ccs.notifications")
    email = EmailSettings(unsubscribe_url="https://notify.example.org", unsubscribe_secret=SECRET)
    hostile = LINKS.token(Wish("<script>alert(1)</script>", "<b>", "<i>"))
    async with serving(api_settings(couchdb_settings).model_copy(update={"email": email})) as api:
        client = api.client(None)
        for token in ("x", LINKS.token(Wish("alice", None, None))[:-2], "%00", "x" * 1999):
            for answer in (await client.get(f"/unsubscribe/{token}"), await client.post(f"/unsubscribe/{token}")):
                said(answer, 404, "not_found")
        page: httpx.Response = await client.get(f"/unsubscribe/{hostile}")
        assert "<script>" not in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        token = LINKS.token(Wish("alice", None, None))
        answers = [(await client.post(f"/unsubscribe/{token}")).status_code for _ in range(14)]
    assert answers.count(200) in (10, 11)
    assert answers[-1] == 429


async def test_without_the_settings_there_is_no_such_address(api: Api) -> None:
    said(await api.client(None).get(f"/unsubscribe/{LINKS.token(Wish('alice', None, None))}"), 404, "not_found")
