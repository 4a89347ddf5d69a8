"""Jobs for the tests of what a lane is made of."""

from router.channels.base import Target
from router.delivery.job import Job
from router.documents.delivery import Priority, delivery_id
from router.documents.message import Content
from router.rendering.rendered import Rendered
from tests.delivery.making import delivery


def job(
    message_id: str = "m1",
    target: str = "x",
    priority: Priority = "normal",
    *,
    chars: int = 1,
    is_recorded: bool = False,
) -> Job:
    """The job of a message with a body of so many characters for one mailbox."""
    return Job(
        delivery(id=delivery_id(message_id, "mail", target), message_id=message_id, target=target, priority=priority),
        Target("mail", target, target),
        Rendered(Content.model_validate({"to": "#a", "body": "x" * chars, "priority": priority})),
        on_recorded=lambda: None,
        is_recorded=is_recorded,
    )
