"""The bell on two devices of a user, live and without streams, in a real Chromium, through restarts of everything behind it."""

import re
from contextlib import AsyncExitStack
from typing import Final

import httpx
import pytest
from playwright.async_api import expect

from router.channels.inapp import KIND
from router.channels.registry import AnyKind
from router.couch.database import Database
from router.couch.setup import setup
from tests.api.bells import LIVE_MS, NOT_LOADED, V1, Bell, House, Prepare
from tests.api.chromium import Device
from tests.api.serving import api_settings, serving
from tests.inbox.making import made, written
from tests.servers.couchdb import CouchServer
from tests.service.running import Desk, running, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAM: Final = re.compile(r".*/v1/notifications/sse.*")


async def test_two_devices_of_a_user_show_the_same(house: House, user: str) -> None:
    await house.write(user, 120)
    one, other = [await house.bell(user) for _ in range(2)]
    for bell in (one, other):
        await bell.is_connected("live")
        await bell.counts(120)
        await bell.button.click()
    await written(house.database, [made(user, 500, title="Fresh")])
    for bell in (one, other):
        await expect(bell.titles.first).to_have_text("Fresh", timeout=LIVE_MS)
        await bell.counts(121)
        await expect(bell.page.get_by_role("status")).to_have_text("New notification: Fresh")
    await one.item("Fresh").click()
    await other.counts(120)
    await expect(other.item("Fresh")).not_to_have_class(re.compile("unread"))
    await one.item(f"{user} 119").hover()
    await one.item(f"{user} 119").get_by_role("button", name="Delete").click()
    await expect(other.item(f"{user} 119")).to_have_count(0, timeout=LIVE_MS)
    await other.counts(119)
    # One that neither has fetched counts as well.
    oldest = (await house.stored(user))[f"{user} 0"]["id"]
    (await house.api.client(user).patch(f"{V1}/{oldest}/read")).raise_for_status()
    for bell in (one, other):
        await bell.counts(118)
    await other.mark_all.click()
    await one.counts(0)
    await expect(one.unread_items).to_have_count(0)
    await expect(one.titles).to_have_text(["Fresh", *(f"{user} {n}" for n in reversed(range(100, 119)))])


async def no_streams(opened: Device) -> None:
    opened.expected.append(r"ERR_FAILED")
    await opened.context.route(STREAM, lambda route: route.abort())


async def no_event_source(opened: Device) -> None:
    await opened.context.add_init_script("delete window.EventSource")


async def refused_streams(opened: Device) -> None:
    opened.expected.append(NOT_LOADED)
    await opened.context.route(STREAM, lambda route: route.fulfill(status=429, json={"code": "x", "message": "x"}))


@pytest.mark.parametrize("prepare", [no_streams, no_event_source, refused_streams])
async def test_without_streams_it_polls(house: House, user: str, prepare: Prepare) -> None:
    await house.write(user, 2)
    bell = await house.bell(user, prepare)
    await bell.is_connected("polling")
    await bell.counts(2)
    await bell.button.click()
    ids = await written(house.database, [made(user, 100, title="Fresh")])
    await expect(bell.titles).to_have_text(["Fresh", f"{user} 1", f"{user} 0"], timeout=LIVE_MS)
    await expect(bell.page.get_by_role("log")).to_contain_text("notification: Fresh")
    client = house.api.client(user)
    (await client.patch(f"{V1}/{ids[0]}/read")).raise_for_status()
    await bell.counts(2)
    (await client.delete(f"{V1}/{ids[0]}")).raise_for_status()
    await expect(bell.items).to_have_count(2, timeout=LIVE_MS)
    if prepare is no_event_source:
        return
    # It goes live by itself when it can, and shows nothing twice then.
    await bell.device.context.unroute_all()
    await bell.is_connected("live")
    await written(house.database, [made(user, 101, title="Live")])
    await expect(bell.titles).to_have_text(["Live", f"{user} 1", f"{user} 0"], timeout=LIVE_MS)
    heard = await bell.page.get_by_role("log").get_by_text("notification: ").all_inner_texts()
    assert [text.partition("notification: ")[2] for text in heard] == ["Live", "Fresh"]


async def told_by_hand(opened: Device) -> None:
    await opened.context.add_init_script("""
      window.EventSource = class extends EventTarget {
        static CLOSED = 2;
        readyState = 1;
        constructor() { super(); window.stream = this; queueMicrotask(() => this.onopen()); }
        close() {}
      };
      window.say = ([type, data]) => stream.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));""")


async def test_what_is_told_twice_or_late_changes_nothing(house: House, user: str) -> None:
    """A stream that says what a real one says only when its feed is rewound."""
    ids = await house.write(user, 3)
    first, second, third = (await house.stored(user)).values()
    bell = await house.bell(user, told_by_hand)
    await bell.is_connected("live")
    await bell.counts(3)
    await bell.button.click()
    (await house.api.client(user).delete(f"{V1}/{ids[2]}")).raise_for_status()
    (await house.api.client(user).patch(f"{V1}/{ids[1]}/read")).raise_for_status()
    # All in one go, so that nothing is fetched in between.
    await bell.page.evaluate(
        "events => events.forEach(say)",
        [
            ["message", first], ["message", first], ["deleted", {"id": ids[2]}], ["deleted", {"id": ids[2]}],
            ["message", third], ["read", {"id": ids[2], "read": False}], ["read", {"id": ids[1], "read": True}],
            ["read", {"id": ids[1], "read": True}], ["message", second],
        ],
    )  # fmt: skip
    assert await bell.page.evaluate("document.querySelector('notification-bell').unread") == 1
    assert await bell.titles.all_inner_texts() == [f"{user} 2", f"{user} 1"]
    # One that is read elsewhere before we are told of it is fetched.
    (fresh,) = await written(house.database, [made(user, 500, title="Fresh", read=True)])
    await bell.page.evaluate("say(['read', { id: %r, read: true }])" % fresh)  # noqa: UP031 - braces
    await expect(bell.titles).to_have_text(["Fresh", f"{user} 2", f"{user} 1"])
    (await house.api.client(user).patch(f"{V1}/{ids[0]}/read")).raise_for_status()
    await bell.page.evaluate("say(['reset', {}])")
    await bell.counts(0)
    await expect(bell.page.get_by_role("log")).not_to_contain_text("notification: ")


async def test_what_is_shown_and_kept_nowhere_stays_until_the_page_goes(house: House, user: str) -> None:
    bell = await house.bell(user)
    await bell.is_connected("live")
    await bell.button.click()
    for number in (1, 2):
        body = {"title": f"Passing {number}", "content": "<i>x</i>", "user_ids": [user]}
        (await house.api.program().post(f"{V1}/sse", json=body)).raise_for_status()
        await expect(bell.items).to_have_count(number, timeout=LIVE_MS)
    await bell.page.evaluate("document.querySelector('notification-bell').refresh()")
    await bell.counts(2)
    await bell.item("Passing 1").click()
    await bell.counts(1)
    await bell.item("Passing 2").hover()
    await bell.item("Passing 2").get_by_role("button", name="Delete").click()
    await bell.counts(0)
    await expect(bell.titles).to_have_text(["Passing 1"])


# --- what it must show


async def test_a_message_appears_live_clears_everywhere_and_survives_restarts(
    house: House, couchdb_server: CouchServer, user: str
) -> None:
    """From a document written to CouchDB to two browsers; the router and the API are each restarted under way."""
    kinds: dict[str, AnyKind] = {"inapp": KIND}
    with couchdb_server.fresh_database() as name:
        couchdb = couchdb_server.settings(name)
        async with Database(couchdb) as database:
            await setup(database, "ccs.notifications")
            desk = Desk(database)
            await desk.map({"#team": {"inapp": [user]}})
            settings, written_titles = settings_for(couchdb, kinds), []

            async def write(title: str) -> None:
                await desk.write(title, "#team", "<b>body</b>", subject=title)
                written_titles.append(title)

            async def all_are_shown(bells: list[Bell]) -> None:
                for bell in bells:
                    await expect(bell.titles).to_have_text(written_titles[::-1], timeout=LIVE_MS)

            async with AsyncExitStack() as first:
                api = await first.enter_async_context(serving(api_settings(couchdb)))
                port = httpx.URL(api.url).port or 0
                house.api = api
                bells = [await house.bell(user) for _ in range(2)]
                for bell in bells:
                    bell.device.expected.append(NOT_LOADED)  # While there is no API.
                    await bell.is_connected("live")
                    await bell.button.click()
                one, other = bells
                async with running(settings, kinds):
                    await write("first")
                    await write("second")
                    await all_are_shown(bells)
                    await one.item("first").click()
                    for bell in bells:
                        await bell.counts(1)
                        await expect(bell.item("first")).not_to_have_class(re.compile("unread"))
                await write("while the router is down")
                async with running(settings, kinds):
                    await write("after it is back")
                    await all_are_shown(bells)
            async with running(settings, kinds):
                await write("while the API is down")
                await desk.all_have("COMPLETE", len(written_titles))
                async with serving(api_settings(couchdb), port):
                    await all_are_shown(bells)
                    await write("after the API is back")
                    await all_are_shown(bells)
                    await other.item("while the API is down").click()
                    for bell in bells:
                        await bell.counts(4)
                        heard = await bell.page.get_by_role("log").get_by_text("notification: ").all_inner_texts()
                        assert [text.partition("notification: ")[2] for text in heard] == written_titles[::-1]
