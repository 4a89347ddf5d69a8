"""Makes contents for these tests; unlike a document from CouchDB they may hold anything."""

from typing import Literal

from router.documents.message import Content, Link
from router.rendering.rendered import Rendered

LINK = Link(url="https://shop.example.org/orders/42?a=1&b=2", text="Open order")


def rendered(
    body: str | None = None,
    subject: str | None = None,
    link: Link | None = None,
    *,
    text: bool = False,
    priority: Literal["low", "normal", "critical"] = "normal",
) -> Rendered:
    return Rendered(
        Content.model_construct(
            to="#admins",
            subject=subject,
            body=body,
            format="text" if text else "html",
            link=link,
            priority=priority,
        )
    )
