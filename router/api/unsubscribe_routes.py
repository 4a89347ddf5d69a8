"""`/unsubscribe/…`: where the links in mails lead (RFC 8058). No login: the link is signed."""

import asyncio
from html import escape
from typing import Annotated, Final

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse

from router.api.errors import ApiError
from router.api.rate_limit import RateLimit
from router.channels.email.unsubscribe import PATH, UnsubscribeLinks, Wish
from router.inbox.preferences import PreferencesService

EMAIL: Final = "email"
RATE_PER_SECOND: Final = 1.0
BURST: Final = 10
"""How often one user's links may be followed."""
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}
Token = Annotated[str, Path(max_length=2000)]


def unsubscribe_routes(links: UnsubscribeLinks, preferences: PreferencesService) -> APIRouter:
    """The page that asks, and what does it. They are for mail programs and people, so the OpenAPI document leaves them out."""
    routes = APIRouter(include_in_schema=False)
    limit = RateLimit(RATE_PER_SECOND, BURST)

    @routes.get(f"{PATH}{{token}}")
    async def ask(token: Token) -> HTMLResponse:
        """Ask. A GET changes nothing: mail scanners follow links too."""
        wish = _read(links, token)
        return _page(
            "Unsubscribe",
            f"<p>No more mail to <b>{escape(wish.user)}</b> {_about(wish)}?</p>"
            '<form method="post"><button name="List-Unsubscribe" value="One-Click">Unsubscribe</button></form>',
        )

    @routes.post(f"{PATH}{{token}}")
    async def do(token: Token) -> HTMLResponse:
        """Do it. The body says only what the link's being followed says."""
        wish = _read(links, token)
        seconds = limit.take(wish.user, asyncio.get_running_loop().time())
        if seconds:
            raise ApiError(429, "too_many_requests", "try again in a moment", {"retry-after": str(seconds)})
        await preferences.unsubscribe(wish.user, wish.customer, wish.group, EMAIL)
        return _page(
            "Unsubscribed",
            f"<p><b>{escape(wish.user)}</b> will get no more mail {_about(wish)}. Other notifications are as they were, "
            "and the preferences can change this again.</p>",
        )

    return routes


def _read(links: UnsubscribeLinks, token: str) -> Wish:
    try:
        return links.read(token)
    except ValueError as error:
        raise ApiError(404, "not_found", str(error)) from None


def _about(wish: Wish) -> str:
    about = "at all" if wish.group is None else f"about “{escape(wish.group)}”"
    return about if wish.customer is None else f"{about} of {escape(wish.customer)}"


def _page(title: str, content: str) -> HTMLResponse:
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}"
        "button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#1a5fb4;color:#fff;cursor:pointer}"
    )
    return HTMLResponse(
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{style}</style><h1>{title}</h1>{content}</html>",
        headers=HEADERS,
    )
