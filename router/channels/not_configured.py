"""What stands in for a channel that lacks its settings: everything for it waits, and says for what."""

from router.channels.base import CheckResult, Outcome, Outgoing, Rejected, Scope


class NotConfigured:
    """A channel that sends nothing. Its deliveries stay `PENDING`, up to their age, until the router is started with the
    settings that it lacks: what was accepted is not thrown away for want of a token."""

    def __init__(self, missing: str) -> None:
        """`missing` is the sentence that says what to set."""
        self._missing = missing

    async def send(self, outgoing: Outgoing) -> Outcome:  # noqa: ARG002 - the contract's argument
        """Refuse for the whole channel."""
        return Rejected(self._missing, Scope.CHANNEL, code="not_configured")

    async def check(self) -> list[CheckResult]:
        """Say what is missing."""
        return [CheckResult("settings", ok=False, detail=self._missing)]

    async def close(self) -> None:
        """Nothing to give back."""
