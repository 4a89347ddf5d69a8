"""The bell in a real Chromium, on a real API and database. Whatever a page complains of on its console fails the test."""

import asyncio
import re

import pytest
from playwright.async_api import Route, expect

from router.documents.json_types import JsonValue
from router.documents.notification import Notification
from tests.api.bells import LIVE_MS, NOT_LOADED, Bell, House
from tests.api.issuer import token
from tests.inbox.making import made, written

pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- the files


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/widget.js", "text/javascript; charset=utf-8"),
        ("/widget", "text/html; charset=utf-8"),
        ("/widget/demo.js", "text/javascript; charset=utf-8"),
        ("/widget/demo.css", "text/css; charset=utf-8"),
    ],
)
async def test_each_file_is_kept_and_asked_about(house: House, path: str, media_type: str) -> None:
    client = house.api.client(None)
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    tag = answer.headers["etag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = await client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await client.get(path, headers={"if-none-match": '"another"'})).status_code == 200
    head = await client.head(path)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(answer.content)))


async def test_the_demo_page_allows_nothing_but_its_own_files(house: House) -> None:
    answer = await house.api.client(None).get("/widget")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|style=|<style", answer.text) == []


# --- the list


async def test_it_counts_and_lists_what_there_is(house: House, user: str) -> None:
    await house.write(user, 3, read=True)
    link = {"link_url": "https://shop.example.org/orders/42?a=1", "link_text": "Open order"}
    await written(house.database, [made(user, 10, title="Order 42 failed", content="<b>Card</b> declined", **link)])
    bell = await house.bell(user)
    await bell.counts(1)
    await expect(bell.panel).to_be_hidden()
    await bell.button.click()
    await expect(bell.titles).to_have_text(["Order 42 failed", f"{user} 2", f"{user} 1", f"{user} 0"])
    await expect(bell.unread_items).to_have_count(1)
    first = bell.items.first
    await expect(first.locator(".content b")).to_have_text("Card")
    await expect(first.locator("time")).to_have_attribute("datetime", "2026-11-21T08:00:10.000Z")
    anchor = first.get_by_role("link", name="Open order")
    await expect(anchor).to_have_attribute("href", link["link_url"])
    await expect(anchor).to_have_attribute("rel", re.compile("noopener"))
    await expect(bell.more).to_be_hidden()


async def test_older_ones_are_loaded_page_by_page_and_none_twice(house: House, user: str) -> None:
    await house.write(user, 45)
    bell = await house.bell(user)
    await bell.counts(45)
    await bell.button.click()
    await expect(bell.items).to_have_count(20)
    await bell.more.click()
    await expect(bell.items).to_have_count(40)
    # What comes meanwhile shifts nothing.
    await written(house.database, [made(user, 500, title="new")])
    await expect(bell.items).to_have_count(41, timeout=LIVE_MS)
    await bell.more.click()
    await expect(bell.items).to_have_count(46)
    await expect(bell.more).to_be_hidden()
    await expect(bell.titles).to_have_text(["new", *(f"{user} {n}" for n in reversed(range(45)))])
    await bell.counts(46)


async def test_marking_and_deleting_are_done_in_the_database(house: House, user: str) -> None:
    await house.write(user, 4)
    bell = await house.bell(user)
    await bell.button.click()
    await bell.item(f"{user} 3").click()
    await bell.counts(3)
    await bell.item(f"{user} 2").hover()
    await bell.item(f"{user} 2").get_by_role("button", name="Delete").click()
    await expect(bell.items).to_have_count(3)
    await bell.counts(2)
    await bell.item(f"{user} 3").hover()
    await bell.item(f"{user} 3").get_by_role("button", name="Mark as unread").click()
    await bell.counts(3)
    async with bell.page.expect_response(re.compile("mark-all-as-read")):
        await bell.mark_all.click()
    await bell.counts(0)
    await expect(bell.mark_all).to_be_hidden()
    stored = await house.stored(user)
    assert {title: each["read"] for title, each in stored.items()} == dict.fromkeys(
        (f"{user} 3", f"{user} 1", f"{user} 0"), True
    )
    for _ in range(3):
        await bell.items.first.hover()
        await bell.items.first.get_by_role("button", name="Delete").click()
    await expect(bell.panel).to_contain_text("You are all caught up")
    await bell.page.reload()
    assert await house.stored(user) == {}


async def test_what_could_not_be_done_is_taken_back_and_said(house: House, user: str) -> None:
    await house.write(user, 2)
    bell = await house.bell(user)
    bell.device.expected.append(NOT_LOADED)
    await bell.counts(2)
    await bell.button.click()

    async def refuse(route: Route) -> None:
        if route.request.method in ("PATCH", "DELETE"):
            await route.fulfill(status=503, json={"code": "x", "message": "Not everything could be marked."})
        else:
            await route.continue_()

    await bell.page.route("**/v1/notifications/**", refuse)
    await bell.items.first.click()
    await expect(bell.notice).to_contain_text("Not everything could be marked.")
    await bell.counts(2)
    await bell.items.first.get_by_role("button", name="Delete").click()
    await expect(bell.items).to_have_count(2)
    await bell.counts(2)
    await bell.page.unroute_all()
    await bell.notice.get_by_role("button", name="Try again").click()
    await expect(bell.notice).to_be_hidden()


@pytest.mark.parametrize("token_claims", [{"exp": 1000}, {"roles": ["service"]}])
async def test_a_token_that_is_refused_is_said_and_not_tried_again_and_again(
    house: House, user: str, token_claims: dict[str, JsonValue]
) -> None:
    opened = await house.device()
    opened.expected.append(NOT_LOADED)
    page = await opened.page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{house.api.url}/widget#token={token(sub=user, **token_claims)}")
    bell = Bell(page, opened)
    await bell.is_connected("off")
    await bell.button.click()
    await expect(bell.notice).to_contain_text("Sign in again")
    assert "token" not in page.url
    assert sum("/notifications" in url for url in asked) <= 3
    # A new token of the same user is enough.
    await house.write(user, 1)
    await page.evaluate("token => { document.querySelector('notification-bell').token = token }", token(sub=user))
    await bell.counts(1)
    await expect(bell.notice).to_be_hidden()


# --- what others write


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>window.hit = 1</script></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<iframe srcdoc='<script>parent.hit = 1</script>'></iframe>",
    "<a href='javascript:window.hit=1'>click</a> <a href='data:text/html,x'>d</a> <a href='//evil.example'>r</a>",
    "<form action=javascript:alert(1)><button formaction=javascript:alert(1)>x</button></form>",
    "<style>* { display: none }</style><p style='position:fixed;inset:0' class=bell id=panel onclick=alert(1)>x</p>",
    "<template><script>window.hit = 1</script></template><noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<details ontoggle=alert(1) open><summary>s</summary></details><b onmouseover=alert(1)>b</b>",
    "<a href='https://example.org/' target=_top rel=opener onclick=alert(1)>fine</a>",
]


async def test_hostile_content_runs_nothing_and_looks_like_nothing_else(house: House, user: str) -> None:
    """Straight into the documents, past what sanitises."""
    notifications: list[Notification] = [
        made(user, number, title=text, content=text, link_text=text) for number, text in enumerate(HOSTILE)
    ]
    await written(house.database, notifications)
    bell = await house.bell(user)
    await bell.counts(len(HOSTILE))
    await bell.button.click()
    await expect(bell.titles).to_have_text(list(reversed(HOSTILE)))
    for number in range(len(HOSTILE)):
        await bell.items.nth(number).click()
    content = bell.page.locator(".content")
    forbidden = (
        "script, img, svg, math, iframe, form, button, style, template, noscript, [style], [class], [id], [onclick]"
    )
    await expect(content.locator(forbidden)).to_have_count(0)
    addresses = await content.locator("a").evaluate_all(
        "all => all.map((a) => [a.getAttribute('href'), a.rel, a.target])"
    )
    assert [each for each in addresses if each[0] is not None] == [
        ["https://example.org/", "noopener noreferrer", "_blank"]
    ]
    await bell.counts(0)
    assert await bell.page.evaluate("[window.hit, document.querySelectorAll('[onclick]').length]") == [None, 0]


# --- keyboard, and a page of somebody else


async def test_all_of_it_can_be_done_by_keyboard(house: House, user: str) -> None:
    await house.write(user, 25)
    bell = await house.bell(user)
    await bell.counts(25)
    press = bell.page.keyboard.press
    await bell.button.focus()
    await expect(bell.button).to_have_attribute("aria-expanded", "false")
    await press("Enter")
    await expect(bell.button).to_have_attribute("aria-expanded", "true")
    await expect(bell.panel).to_be_focused()
    await press("ArrowDown")
    await press("ArrowDown")
    await expect(bell.items.nth(1)).to_be_focused()
    await press("Enter")
    await bell.counts(24)
    await expect(bell.items.nth(1)).not_to_have_class(re.compile("unread"))
    await press("Delete")
    await expect(bell.item(f"{user} 23")).to_have_count(0)
    await expect(bell.items.nth(1)).to_be_focused()
    await press("Tab")
    await expect(bell.items.nth(1).get_by_role("button", name="Mark as read")).to_be_focused()
    await press("Space")
    await bell.counts(23)
    await press("End")
    await expect(bell.items.last).to_be_focused()
    for _ in range(3):
        await press("Tab")
    await expect(bell.more).to_be_focused()
    # Where the list was fetched again meanwhile, the first page is full again after the deletion.
    shown = await bell.items.count()
    await press("Enter")
    await expect(bell.items).to_have_count(24)
    await expect(bell.items.nth(shown)).to_be_focused()
    await press("Escape")
    await expect(bell.panel).to_be_hidden()
    await expect(bell.button).to_be_focused()


async def test_a_page_of_another_origin_with_a_strict_policy(house: House, user: str) -> None:
    """With a function for tokens, of which the first has expired, and one customer's notifications only."""
    await house.write(user, 2, customer_id="acme")
    await house.write(user, 3, customer_id="other")
    opened = await house.device()
    opened.expected.append(f"{NOT_LOADED}.* 401")
    own = house.api.url
    house.app.policy = f"default-src 'none'; script-src {own} 'nonce-n'; connect-src {own}; style-src 'none'"
    house.app.html = f"""<!DOCTYPE html><title>app</title><notification-bell customer="acme"></notification-bell>
      <script nonce="n">
        const bell = document.querySelector('notification-bell');
        const tokens = ['{token(sub=user, exp=1000)}', '{token(sub=user)}'];
        bell.tokenProvider = async () => tokens.shift();
        bell.texts = {{ title: 'Nachrichten' }};
        window.heard = [];
        for (const name of ['notification', 'unread', 'connection'])
          document.addEventListener(name, ({{ detail }}) => heard.push(detail.title ?? detail.count ?? detail.state));
      </script>
      <script src="{own}/widget.js"></script>"""
    page = await opened.page()
    await page.goto(house.app.url)
    bell = Bell(page, opened)
    await bell.counts(2)
    await bell.button.click()
    await expect(bell.panel).to_have_accessible_name("Nachrichten")
    await expect(bell.titles).to_have_text([f"{user} 1", f"{user} 0"])
    assert await page.locator(".panel").evaluate("panel => getComputedStyle(panel).position") == "absolute"
    deadline = asyncio.get_running_loop().time() + LIVE_MS / 1000
    while "live" not in await page.evaluate("heard"):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.1)
    fresh = [made(user, 100 + n, title=each, customer_id=each) for n, each in enumerate(("other", "acme"))]
    await written(house.database, fresh)
    await expect(bell.titles).to_have_text(["acme", f"{user} 1", f"{user} 0"], timeout=LIVE_MS)
    await bell.counts(3)
    async with page.expect_response(re.compile("mark-all-as-read")):
        await bell.mark_all.click()
    assert {each["customer_id"] for each in (await house.stored(user)).values() if not each["read"]} == {"other"}
    assert [each for each in await page.evaluate("heard") if each == "acme"] == ["acme"]
