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
    is_being_recorded: bool = False
    """Whether its document is on its way to CouchDB, or there."""
    came_at: float | None = None
    """When the feed brought its message, by the event loop's clock; None for what was read back from CouchDB."""
    announced_at: datetime | None = None
    """Since when its document says that an attempt begins, which has not been made yet."""
    attempt_began_at: datetime | None = None
    """When the attempt that is under way began; None while there is none."""
    is_cancelled: bool = False
    """Whether its message was deleted before it went out."""

    @property
    def expires_at(self) -> datetime | None:
        """When the message is no use any more."""
        return self.content.content.expires_at

    @property
    def is_critical(self) -> bool:
        """Whether it passes the others."""
        return self.delivery.priority == "critical"

    @property
    def is_held(self) -> bool:
        """Whether it has been routed just now, and a user's quiet hours keep it from leaving."""
        return self.delivery.rule is not None and self.was_put_off

    @property
    def was_put_off(self) -> bool:
        """Whether it has been given a later time than that of its routing: after an attempt, or by its lane."""
        return self.delivery.next_attempt_at != self.delivery.created_at

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
            message_id=self.delivery.message_id,
            routed_at=self.delivery.created_at,
            reference=self.delivery.reference,
            user=self.delivery.user,
            is_mandatory=self.delivery.mandatory,
        )
