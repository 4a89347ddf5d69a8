"""What a lane works on: one delivery with all that its attempt needs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from router.channels.base import Outgoing, Target
from router.documents.delivery import Delivery
from router.rendering.rendered import Rendered


@dataclass(eq=False, slots=True)
class Job:
    """A delivery in memory."""

    delivery: Delivery
    target: Target
    content: Rendered
    """Shared by all deliveries of the message."""
    on_recorded: Callable[[], None]
    """Called once, when the delivery first has a document in CouchDB."""
    is_recorded: bool = False

    @property
    def expires_at(self) -> datetime | None:
        """When the message is no use any more."""
        return self.content.content.expires_at

    @property
    def size_chars(self) -> int:
        """About how much memory it takes."""
        return len(self.content.content.body or "")

    def recorded(self) -> None:
        """The delivery has a document now."""
        if not self.is_recorded:
            self.is_recorded = True
            self.on_recorded()

    def outgoing(self) -> Outgoing:
        """The delivery as its channel gets it."""
        return Outgoing(
            delivery_id=self.delivery.id,
            uuid=self.delivery.uuid,
            target=self.target,
            group=self.delivery.group or "",
            content=self.content,
            created_at=self.content.content.created_at or self.delivery.created_at,
            reference=self.delivery.reference,
        )
