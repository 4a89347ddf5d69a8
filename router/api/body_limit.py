"""Refuses bodies that are too large, before more of them is read."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.api.errors import answer


class BodyLimit:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer 413 in the application's place when its body turns out too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        read_bytes, is_too_large, has_begun = 0, False, False

        async def bounded() -> Message:
            nonlocal read_bytes, is_too_large
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > self._max_bytes:
                is_too_large = True
                return {"type": "http.disconnect"}
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal has_begun
            if is_too_large and not has_begun:
                return
            has_begun = True
            await send(message)

        try:
            await self._app(scope, bounded, unless_refused)
        finally:
            if is_too_large and not has_begun:
                await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"the body is larger than {self._max_bytes} bytes"
        await answer(413, "too_large", message, {"connection": "close"})(scope, receive, send)
