"""The stand-ins refuse what the real ones refuse: what passes here would pass there."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from router.documents.json_types import JsonObject, JsonValue
from tests.peers.slack import GENERAL, TOKEN, SlackPeer
from tests.peers.slack_blocks import BlockError, check_blocks
from tests.peers.sphinx import CONTACT_INFO, PUBKEY, SphinxPeer
from tests.peers.sphinx import TOKEN as ADMIN_TOKEN

ROOT = Path(__file__).parents[2]
JSON = "application/json; charset=utf-8"


def plain(text: str) -> JsonObject:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> JsonObject:
    return {"type": "mrkdwn", "text": text}


def section(text: str) -> JsonObject:
    return {"type": "section", "text": mrkdwn(text)}


def button(**more: JsonValue) -> JsonObject:
    return {"type": "button", "text": plain("Open"), **more}


@pytest.mark.parametrize(
    "blocks",
    [
        [],
        [section("x" * 3000)],
        [{"type": "header", "text": plain("x" * 150)}, {"type": "divider"}],
        [{"type": "section", "fields": [mrkdwn("a"), plain("b")], "block_id": "one"}],
        [{"type": "section", "text": mrkdwn("a"), "accessory": button(url="https://example.org", action_id="go")}],
        [{"type": "actions", "elements": [button(url="https://example.org", style="primary")] * 25}],
        [{"type": "context", "elements": [mrkdwn("a")] * 10}],
        [section("x")] * 50,
    ],
)
def test_blocks_that_pass(blocks: JsonValue) -> None:
    check_blocks(blocks)


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ({}, "invalid_blocks_format"),
        (["text"], "invalid_blocks_format"),
        ([{}], "invalid_blocks"),
        ([{"type": "marquee"}], "invalid_blocks"),
        ([section("x")] * 51, "invalid_blocks"),
        ([section("")], "invalid_blocks"),
        ([section("x" * 3001)], "invalid_blocks"),
        ([section("🎉" * 1501)], "invalid_blocks"),
        ([{"type": "section"}], "invalid_blocks"),
        ([{"type": "section", "text": "x"}], "invalid_blocks"),
        ([{"type": "section", "text": {"type": "html", "text": "x"}}], "invalid_blocks"),
        ([{"type": "section", "text": {**mrkdwn("x"), "emoji": True}}], "invalid_blocks"),
        ([{"type": "section", "text": mrkdwn("x"), "colour": "red"}], "invalid_blocks"),
        ([{"type": "section", "fields": []}], "invalid_blocks"),
        ([{"type": "section", "fields": [mrkdwn("x")] * 11}], "invalid_blocks"),
        ([{"type": "section", "fields": [mrkdwn("x" * 2001)]}], "invalid_blocks"),
        ([{"type": "header", "text": mrkdwn("x")}], "invalid_blocks"),
        ([{"type": "header", "text": plain("x" * 151)}], "invalid_blocks"),
        ([{"type": "context", "elements": [mrkdwn("a")] * 11}], "invalid_blocks"),
        ([{"type": "actions", "elements": []}], "invalid_blocks"),
        ([{"type": "actions", "elements": [button()] * 26}], "invalid_blocks"),
        ([{"type": "actions", "elements": [button(action_id="a")] * 2}], "invalid_blocks"),
        ([{"type": "actions", "elements": [button(url="javascript:x")]}], "invalid_blocks"),
        ([{"type": "actions", "elements": [button(url="https://x/" + "x" * 3000)]}], "invalid_blocks"),
        ([{"type": "actions", "elements": [{**button(), "text": plain("x" * 76)}]}], "invalid_blocks"),
        ([{"type": "divider", "block_id": "a"}] * 2, "invalid_blocks"),
        ([{"type": "divider", "block_id": "x" * 256}], "invalid_blocks"),
        ([section("x" * 3000)] * 5, "msg_blocks_too_long"),
    ],
)
def test_blocks_that_are_refused(blocks: JsonValue, error: str) -> None:
    with pytest.raises(BlockError) as caught:
        check_blocks(blocks)
    assert caught.value.error == error


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


MESSAGE: JsonObject = {"channel": GENERAL, "text": "hello"}


@pytest.mark.parametrize(
    ("token", "kind", "body", "error"),
    [
        (TOKEN, JSON, MESSAGE, None),
        ("", JSON, MESSAGE, "not_authed"),
        ("xoxb-other", JSON, MESSAGE, "invalid_auth"),
        (TOKEN, "text/plain", MESSAGE, "invalid_post_type"),
        (TOKEN, "application/json", MESSAGE, "invalid_charset"),
        (TOKEN, JSON, "hello", "json_not_object"),
        (TOKEN, JSON, {"text": "hello"}, "invalid_arguments"),
        (TOKEN, JSON, {**MESSAGE, "channel": "C0NOWHERE1"}, "channel_not_found"),
        (TOKEN, JSON, {**MESSAGE, "channel": 7}, "channel_not_found"),
        (TOKEN, JSON, {"channel": GENERAL}, "no_text"),
        (TOKEN, JSON, {**MESSAGE, "text": ["hello"]}, "invalid_arguments"),
        (TOKEN, JSON, {**MESSAGE, "text": "x" * 40_001}, "msg_too_long"),
        (TOKEN, JSON, {**MESSAGE, "unfurl_links": "no"}, "invalid_arguments"),
        (TOKEN, JSON, {**MESSAGE, "colour": "red"}, "invalid_arg_name"),
        (TOKEN, JSON, {**MESSAGE, "attachments": [{}] * 101}, "too_many_attachments"),
        (TOKEN, JSON, {**MESSAGE, "blocks": [{}]}, "invalid_blocks"),
    ],
)
async def test_chat_post_message(
    http: aiohttp.ClientSession, token: str, kind: str, body: JsonValue, error: str | None
) -> None:
    headers = {"content-type": kind, **({"authorization": f"Bearer {token}"} if token else {})}
    async with SlackPeer() as peer:
        async with http.post(f"{peer.api_url}/chat.postMessage", data=orjson.dumps(body), headers=headers) as response:
            answer = await response.json()
        assert response.status == 200
        assert answer.get("error") == error
        assert [m.text for m in peer.messages] == ([] if error else ["hello"])
        assert [a.accepted for a in peer.arrivals] == [error is None]


@pytest.mark.parametrize(
    ("path", "kind", "body", "status", "text"),
    [
        ("", JSON, {"text": "hello"}, 200, "ok"),
        ("", JSON, {}, 400, "no_text"),
        ("", JSON, MESSAGE, 400, "invalid_payload"),
        ("", JSON, "hello", 400, "invalid_payload"),
        ("", "text/plain", {"text": "hello"}, 400, "invalid_payload"),
        ("", JSON, {"blocks": [{}]}, 400, "invalid_blocks"),
        ("/services/T0STANDIN/B0HOOK0000/wrong", JSON, {"text": "hello"}, 403, "invalid_token"),
        ("/services/T0OTHER/B0HOOK0000/wrong", JSON, {"text": "hello"}, 404, "no_team"),
    ],
)
async def test_webhook(
    http: aiohttp.ClientSession, path: str, kind: str, body: JsonValue, status: int, text: str
) -> None:
    async with SlackPeer() as peer:
        url = peer.url + path if path else peer.hook_url
        async with http.post(url, data=orjson.dumps(body), headers={"content-type": kind}) as response:
            assert (response.status, await response.text()) == (status, text)
        assert len(peer.messages) == (text == "ok")


SEND: JsonObject = {"dest": PUBKEY, "amt_msat": 0, "content": "hello", "is_tribe": False, "wait": True}


@pytest.mark.parametrize(
    ("path", "token", "body", "status"),
    [
        ("send", ADMIN_TOKEN, SEND, 200),
        ("send", "wrong", SEND, 401),
        ("send", ADMIN_TOKEN, {**SEND, "dest": ""}, 400),
        ("send", ADMIN_TOKEN, {**SEND, "dest": PUBKEY[:-1]}, 400),
        ("send", ADMIN_TOKEN, {**SEND, "amt_msat": "0"}, 400),
        ("send", ADMIN_TOKEN, {**SEND, "amt_msat": False}, 400),
        ("send", ADMIN_TOKEN, {**SEND, "wait": 1}, 400),
        ("send", ADMIN_TOKEN, {**SEND, "colour": "red"}, 400),
        ("send", ADMIN_TOKEN, {**SEND, "content": "x" * 870}, 400),
        ("send", ADMIN_TOKEN, [], 400),
        ("add_contact", ADMIN_TOKEN, {"contact_info": CONTACT_INFO, "alias": "Will"}, 200),
        ("add_contact", ADMIN_TOKEN, {"contact_info": CONTACT_INFO}, 200),
        ("add_contact", "", {"contact_info": CONTACT_INFO}, 401),
        ("add_contact", ADMIN_TOKEN, {"contact_info": PUBKEY}, 400),
        ("add_contact", ADMIN_TOKEN, {"contact_info": CONTACT_INFO, "alias": 7}, 400),
        ("add_contact", ADMIN_TOKEN, {}, 400),
    ],
)
async def test_sphinx_bot(http: aiohttp.ClientSession, path: str, token: str, body: JsonValue, status: int) -> None:
    async with SphinxPeer() as peer:
        peer.befriend()
        async with http.post(f"{peer.url}/{path}", json=body, headers={"x-admin-token": token}) as response:
            assert response.status == status
        assert len(peer.messages) == (path == "send" and status == 200)


async def test_a_message_to_a_contact_without_a_key_fails(http: aiohttp.ClientSession) -> None:
    headers = {"x-admin-token": ADMIN_TOKEN}
    async with SphinxPeer() as peer:
        async with http.post(f"{peer.url}/send", json=SEND, headers=headers) as response:
            assert (await response.json())["status"] == "FAILED"
        assert not peer.messages


async def test_adding_a_contact_again_starts_its_key_exchange_anew(http: aiohttp.ClientSession) -> None:
    headers = {"x-admin-token": ADMIN_TOKEN}
    keys: list[bool] = []
    async with SphinxPeer(looks_until_key=1) as peer:
        for step in ("add", "look", "look", "add", "look", "look"):
            if step == "add":
                await http.post(f"{peer.url}/add_contact", json={"contact_info": CONTACT_INFO}, headers=headers)
                continue
            async with http.get(f"{peer.url}/get_contact/{PUBKEY}", headers=headers) as response:
                keys.append(bool((await response.json())["contact_key"]))
        assert (keys, peer.contacts[PUBKEY].exchanges) == ([False, True, False, True], 2)


@pytest.mark.parametrize("name", ["slack", "sphinx"])
async def test_a_stand_in_is_a_process_of_its_own(http: aiohttp.ClientSession, name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.peers", name, "--port", "0", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        said: dict[str, str] = orjson.loads(line)
        assert said["peer"] == name
        async with http.post(f"{said['url']}/send", json={"some": "thing"}) as refused:
            assert refused.status in (401, 404)
        if name == "slack":
            async with http.post(said["webhook"], json={"text": "hello"}, headers={"content-type": JSON}) as response:
                assert await response.text() == "ok"
        async with http.get(f"{said['url']}/_arrivals") as response:
            shown = await response.json()
        assert shown["total"] == (2 if name == "slack" else 1)
        assert shown["arrivals"][0]["body"] == {"some": "thing"}
        assert [row["accepted"] for row in shown["arrivals"]] == ([False, True] if name == "slack" else [False])
        async with http.get(f"{said['url']}/_arrivals?after={shown['total']}") as response:
            assert (await response.json())["arrivals"] == []
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
