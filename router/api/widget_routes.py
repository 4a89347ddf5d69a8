"""`/widget.js`, the bell for other people's pages, and `/widget`, a page that shows it."""

from collections.abc import Mapping
from hashlib import blake2b
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request, Response

PARTS: Final = ("inbox.js", "elements.js", "style.js", "client.js", "widget.js")
"""What `/widget.js` is, one behind the other: browsers fetch one file, and none of its names reaches the page it is in."""

DEMO_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types notification-bell",
    )
)
SAFE: Final = {"x-content-type-options": "nosniff", "cache-control": "no-cache"}
ANYWHERE: Final = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
"""For pages that load it as a module, or take nothing from elsewhere that does not allow it. It holds no secret."""
DEMO: Final = {"content-security-policy": DEMO_POLICY, "referrer-policy": "no-referrer", "x-robots-tag": "noindex"}


def widget_routes() -> APIRouter:
    """They are for browsers, so the OpenAPI document leaves them out."""
    routes = APIRouter(include_in_schema=False)
    parts = "\n".join(_read(name) for name in PARTS)
    script = f"(() => {{\n'use strict';\n\n{parts}}})();\n"
    _serve(routes, "/widget.js", "text/javascript", script, ANYWHERE)
    _serve(routes, "/widget", "text/html", _read("demo.html"), DEMO)
    _serve(routes, "/widget/demo.js", "text/javascript", _read("demo.js"), {})
    _serve(routes, "/widget/demo.css", "text/css", _read("demo.css"), {})
    return routes


def _read(name: str) -> str:
    return (files("router.api") / "widget" / name).read_text("utf-8")


def _serve(routes: APIRouter, path: str, media_type: str, text: str, more: Mapping[str, str]) -> None:
    """Serve `text`, which a browser may keep and asks about each time (RFC 9110 section 13.1.2)."""
    body = text.encode()
    tag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    headers = {**SAFE, **more, "etag": tag}

    async def file(request: Request) -> Response:
        # A proxy that compresses makes the tag a weak one.
        known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
        if known & {tag, "*"}:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

    routes.add_api_route(path, file, methods=["GET", "HEAD"], name=path)
