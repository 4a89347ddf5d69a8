"""The email channel: one attempt at a delivery, from its bytes to the outcome."""

import asyncio
from functools import partial

from router.channels.base import CheckResult, Outcome, Outgoing, Rejected, Scope
from router.channels.email.access import Access, host_of, port_of, prepare, sender_of
from router.channels.email.compose import Mail, compose
from router.channels.email.connection import AttemptEnded, Connection, Progress, StaleConnection, open_connection
from router.channels.email.outcomes import TROUBLES, Stage, of_error
from router.channels.email.pool import Pool
from router.channels.email.target import mailbox_of
from router.settings import EmailSettings


class EmailChannel:
    """Mail through one SMTP server (`Channel`).

    A repeat carries the same Message-ID, by which mail programs and many servers know it: so even when the answer to a
    mail that was sent in full never came, the outcome is `Retry`, not `Uncertain`.
    """

    def __init__(self, settings: EmailSettings) -> None:
        """Take settings that `missing` finds nothing wrong with. Raises ValueError for others."""
        self._settings = settings
        self._sender = sender_of(settings)
        self._server = f"{host_of(settings)}:{port_of(settings)}"
        self._pool = Pool(settings.concurrency, settings.idle_seconds)
        self._access: Access | None = None

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Make one attempt."""
        try:
            recipient = mailbox_of(outgoing.target)
        except ValueError as error:
            return Rejected(f"the target {error}", Scope.TARGET, "address")
        mail = compose(outgoing, recipient, self._sender)
        progress = Progress()
        try:
            async with asyncio.timeout(self._settings.attempt_timeout_seconds):
                return await self._attempt(mail, progress)
        except AttemptEnded as ended:
            return ended.outcome
        except TROUBLES as error:
            return of_error(progress.stage, error, self._server)

    async def check(self) -> list[CheckResult]:
        """Connect, say EHLO, encrypt and log in."""
        progress = Progress()
        try:
            connection = await self._open(progress)
        except AttemptEnded as ended:
            return [CheckResult(_CHECKED[progress.stage], False, ended.outcome.reason)]
        except TROUBLES as error:
            return [CheckResult(_CHECKED[progress.stage], False, of_error(progress.stage, error, self._server).reason)]
        results = [CheckResult("EHLO", True, f"{self._server}, {connection.describe()}")]
        if self._settings.username is not None:
            results.append(CheckResult("login", True, f"as {self._settings.username}"))
        await connection.quit()
        return results

    async def close(self) -> None:
        """Close the idle connections; those in use close when their attempt ends."""
        await self._pool.close()

    async def _attempt(self, mail: Mail, progress: Progress) -> Outcome:
        opener = partial(self._open, progress)
        try:
            async with self._pool.connection(opener) as connection:
                return await connection.send(mail, progress)
        except StaleConnection:
            # Nothing was sent over it, and only a connection that was kept open can be stale: this happens once.
            async with self._pool.connection(opener, fresh=True) as connection:
                return await connection.send(mail, progress)

    async def _open(self, progress: Progress) -> Connection:
        timeout_seconds = self._settings.connect_timeout_seconds
        progress.stage = Stage.CONNECT
        async with asyncio.timeout(timeout_seconds):
            if self._access is None:
                try:
                    self._access = await asyncio.to_thread(prepare, self._settings)
                except ValueError as error:
                    raise AttemptEnded(Rejected(str(error), Scope.CHANNEL, "settings")) from None
            return await open_connection(self._access, timeout_seconds, progress)


_CHECKED = {
    Stage.WAIT: "connection",
    Stage.CONNECT: "connection",
    Stage.EHLO: "EHLO",
    Stage.STARTTLS: "STARTTLS",
    Stage.AUTH: "login",
}
