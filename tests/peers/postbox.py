"""A channel of a third party that keeps what it is sent and answers as it is told: for tests of the engine around it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from router.channels.base import ChannelKind, CheckResult, Outcome, Outgoing, Sent, Target, TargetError
from router.documents.json_types import JsonValue
from router.settings import ChannelSettings

Answer = Callable[[Outgoing], Awaitable[Outcome]]


@dataclass(slots=True)
class Postbox:
    """What arrived, and how the next sends end. One for all channel objects that its kind opens."""

    arrived: list[Outgoing] = field(default_factory=list)
    """Every send that was begun, in order, repeats included."""
    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    """How the next sends to an address end; sent when there is nothing more to say."""
    always: Answer | None = None
    """How every send ends that `answers` says nothing about."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def kind(self, name: str = "postbox") -> ChannelKind[ChannelSettings]:
        """The kind to hand to a service; its targets are texts without spaces."""
        return ChannelKind(
            name=name,
            settings_type=ChannelSettings,
            parse_target=lambda value, _: _parse(name, value),
            missing=lambda _: None,
            open=lambda _: _PostboxChannel(self),
        )

    def secret_kind(self, name: str = "postbox") -> ChannelKind[ChannelSettings]:
        """The same, of which no document shows an address."""
        return replace(self.kind(name), parse_target=lambda value, _: replace(_parse(name, value), shown="…"))

    def bodies(self, address: str | None = None) -> list[str | None]:
        """The bodies that arrived, at one address or all."""
        return [o.content.content.body for o in self.arrived if address is None or o.target.address == address]

    async def wait_for(self, count: int, timeout_seconds: float = 10) -> None:
        """Until so many sends have been begun."""
        async with asyncio.timeout(timeout_seconds), self.changed:
            await self.changed.wait_for(lambda: len(self.arrived) >= count)


class _PostboxChannel:
    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox

    async def send(self, outgoing: Outgoing) -> Outcome:
        postbox = self._postbox
        postbox.arrived.append(outgoing)
        async with postbox.changed:
            postbox.changed.notify_all()
        answers = postbox.answers[outgoing.target.address]
        if answers:
            return await answers.pop(0)(outgoing)
        if postbox.always is not None:
            return await postbox.always(outgoing)
        return Sent(f"ref-{len(postbox.arrived)}")

    async def check(self) -> list[CheckResult]:
        return [CheckResult("open", ok=True, detail="always")]

    async def close(self) -> None:
        """Nothing to close."""


def say(outcome: Outcome) -> Answer:
    """End with `outcome` at once."""

    async def answer(_: Outgoing) -> Outcome:
        return outcome

    return answer


def after(event: asyncio.Event, outcome: Outcome) -> Answer:
    """End with `outcome` once `event` is set."""

    async def answer(_: Outgoing) -> Outcome:
        await event.wait()
        return outcome

    return answer


def _parse(name: str, value: JsonValue) -> Target:
    if not isinstance(value, str) or not value or " " in value:
        raise TargetError("must be a text without spaces")
    return Target(name, value, value)
