"""What stands in for a channel that lacks its settings."""

from datetime import UTC, datetime
from uuid import UUID

from router.channels.base import CheckResult, Outgoing, Rejected, Scope, Target
from router.channels.not_configured import NotConfigured
from router.documents.message import Content
from router.rendering.rendered import Rendered


async def test_everything_for_it_waits_and_says_for_what() -> None:
    channel = NotConfigured("set ROUTER_PIGEON__COOP")
    content = Rendered(Content(to="#a", body="x"))
    outgoing = Outgoing(
        "delivery:x", UUID(int=0), Target("pigeon", "x", "x"), "#a", content, datetime.now(UTC), "x", datetime.now(UTC)
    )
    assert await channel.send(outgoing) == Rejected("set ROUTER_PIGEON__COOP", Scope.CHANNEL, code="not_configured")
    assert await channel.check() == [CheckResult("settings", ok=False, detail="set ROUTER_PIGEON__COOP")]
    await channel.close()
