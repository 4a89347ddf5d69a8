"""Deliveries with a content that is rendered already, so that a channel's tests don't hang on how it is rendered."""

from datetime import UTC, datetime

from router.channels.base import Outgoing, Target
from router.documents.delivery import delivery_id, delivery_uuid
from router.documents.json_types import JsonObject
from router.documents.message import Content
from router.rendering.rendered import Rendered, SlackBody


class FixedContent(Rendered):
    """Says what it was made with."""

    def __init__(self, text: str = "hello", blocks: list[JsonObject] | None = None) -> None:
        super().__init__(Content(to="#admins", body=text or "-", format="text"))
        self._text = text
        section: JsonObject = {"type": "section", "text": {"type": "mrkdwn", "text": text or "-"}}
        self._blocks = [section] if blocks is None else blocks

    def slack(self, max_text_chars: int) -> SlackBody:
        return SlackBody(self._text[:max_text_chars], self._blocks)

    def short_text(self, max_bytes: int) -> str:
        return self._text.encode()[:max_bytes].decode(errors="ignore")


def outgoing(target: Target, content: Rendered | None = None, reference: str | None = None) -> Outgoing:
    """A delivery of the message `order-42-failed` to `target`."""
    name = delivery_id("order-42-failed", target.channel, target.address)
    return Outgoing(
        delivery_id=name,
        uuid=delivery_uuid(name),
        target=target,
        group="#admins",
        content=content or FixedContent(),
        created_at=datetime(2026, 11, 21, 8, 27, tzinfo=UTC),
        message_id="order-42-failed",
        routed_at=datetime(2026, 11, 21, 8, 27, tzinfo=UTC),
        reference=reference,
    )
