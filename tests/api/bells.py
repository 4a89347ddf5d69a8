"""The bell as its users have it before them, and what the tests of it share."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from playwright.async_api import Browser, Locator, Page, expect

from router.couch.database import Database
from router.couch.setup import setup
from router.documents.json_types import JsonObject
from tests.api.chromium import Device, chromium, device
from tests.api.issuer import token
from tests.api.serving import Api, api_settings, serving
from tests.inbox.making import made, written
from tests.peers.stand_in import StandIn
from tests.servers.couchdb import CouchServer

V1: Final = "/v1/notifications"
NOT_LOADED: Final = "Failed to load resource"
"""What the console says of every request that fails."""
LIVE_MS: Final = 15_000
"""How long what others do may take to be seen."""


class AppPage(StandIn):
    """Somebody else's page, on an origin of its own."""

    html = ""
    policy = ""

    def __init__(self) -> None:
        super().__init__(self._add_routes)

    def _add_routes(self, routes: web.UrlDispatcher) -> None:
        routes.add_get("/", self._show_page)

    async def _show_page(self, _request: web.Request) -> web.Response:
        headers = {"content-security-policy": self.policy}
        return web.Response(text=self.html, content_type="text/html", headers=headers)


@dataclass
class Bell:
    """The bell of one page, as its user has it before them."""

    page: Page
    device: Device

    def __post_init__(self) -> None:
        self.button = self.page.locator(".bell")
        self.badge = self.page.locator(".badge")
        self.panel = self.page.get_by_role("dialog")
        self.items = self.page.locator(".item")
        self.titles = self.page.locator(".item .title")
        self.unread_items = self.page.locator(".item.unread")
        self.notice = self.page.locator(".notice")
        self.more = self.page.get_by_role("button", name="Show older ones")
        self.mark_all = self.page.get_by_role("button", name="Mark all as read")

    def item(self, title: str) -> Locator:
        return self.items.filter(has=self.page.get_by_text(title, exact=True))

    async def counts(self, unread: int) -> None:
        """Wait until the badge and the label say that so many are unread."""
        if unread:
            await expect(self.badge).to_have_text(str(unread) if unread < 100 else "99+", timeout=LIVE_MS)
        else:
            await expect(self.badge).to_be_hidden(timeout=LIVE_MS)
        label = f"Notifications, {unread} unread" if unread else "Notifications"
        await expect(self.button).to_have_accessible_name(label)

    async def is_connected(self, state: str) -> None:
        """Wait until it is `live` or `polling`."""
        await expect(self.page.get_by_role("log")).to_contain_text(f"connection: {state}", timeout=LIVE_MS)


Prepare = Callable[[Device], Awaitable[None]]
"""What is done to a device before it opens a page."""


@dataclass
class House:
    """What all tests of this file share; each has users of its own."""

    api: Api
    database: Database
    browser: Browser
    app: AppPage
    """Which may read what the API answers."""
    devices: AsyncExitStack

    async def device(self) -> Device:
        return await self.devices.enter_async_context(device(self.browser))

    async def bell(self, user: str, prepare: Prepare | None = None) -> Bell:
        """The demo page on a device of its own, signed in as `user`; it polls each second where it must."""
        opened = await self.device()
        if prepare is not None:
            await prepare(opened)
        page = await opened.page()
        await page.goto(f"{self.api.url}/widget")
        await page.evaluate("document.querySelector('notification-bell').setAttribute('poll-seconds', '1')")
        await page.get_by_label("Token").fill(token(sub=user))
        await page.get_by_role("button", name="Show them").click()
        return Bell(page, opened)

    async def write(self, user: str, count: int, **fields: object) -> list[str]:
        return await written(self.database, [made(user, n, **fields) for n in range(count)])

    async def stored(self, user: str) -> dict[str, JsonObject]:
        """The user's notifications by title, as any client gets them."""
        answer = (await self.api.client(user).get(V1, params={"limit": 200})).raise_for_status()
        return {str(each["title"]): each for each in answer.json()["notifications"]}


@asynccontextmanager
async def furnished(server: CouchServer) -> AsyncIterator[House]:
    """A browser, and an API on a database, set up."""
    async with AsyncExitStack() as stack:
        browser = await stack.enter_async_context(chromium())
        settings = server.settings(stack.enter_context(server.fresh_database()))
        database = await stack.enter_async_context(Database(settings))
        await setup(database, "ccs.notifications")
        app = await stack.enter_async_context(AppPage())
        api = await stack.enter_async_context(serving(api_settings(settings, cors_origins=app.url)))
        yield House(api, database, browser, app, stack)
