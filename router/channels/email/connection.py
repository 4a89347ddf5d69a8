"""One SMTP connection: opened as set, and one mail at a time sent over it."""

import asyncio
import ssl
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException

from router.channels.base import Outcome, Rejected, Retry, Scope
from router.channels.email.access import Access
from router.channels.email.compose import Mail
from router.channels.email.mailbox import Mailbox
from router.channels.email.outcomes import TROUBLES, Stage, of_reply

QUIT_TIMEOUT_SECONDS = 1.0
"""How long the server gets to say goodbye."""

log = structlog.stdlib.get_logger("router.email")


@dataclass(slots=True)
class Progress:
    """How far an attempt has come, for whoever has to say where it stopped."""

    stage: Stage = Stage.WAIT


class AttemptEnded(Exception):
    """The attempt is over before a mail was offered."""

    def __init__(self, outcome: Retry | Rejected) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class StaleConnection(Exception):
    """A connection that was kept open turned out dead before anything was sent: the attempt may go on with a new one."""


async def open_connection(access: Access, first_reply_timeout_seconds: float, progress: Progress) -> "Connection":
    """Connect, greet, encrypt and log in.

    Waits as long as the caller lets it. Raises AttemptEnded when the server refuses, SMTPException or OSError for trouble.
    """
    client = SMTP(
        hostname=access.host,
        port=access.port,
        use_tls=access.security == "tls",
        start_tls=False,
        tls_context=access.tls,
        local_hostname=access.greeting_name,
        timeout=None,  # the caller's deadline is the only one: aiosmtplib's own starts anew with each command
    )
    try:
        await _open(client, access, progress)
    except SMTPResponseException as error:
        _drop(client)
        raise AttemptEnded(_refusal(progress.stage, error)) from None
    except BaseException:
        _drop(client)
        raise
    log.debug(
        "connected", host=access.host, port=access.port, security=access.security, login=access.username is not None
    )
    return Connection(client, first_reply_timeout_seconds)


async def _open(client: SMTP, access: Access, progress: Progress) -> None:
    progress.stage = Stage.CONNECT
    await client.connect()
    progress.stage = Stage.EHLO
    await client.ehlo()
    if access.security == "starttls":
        progress.stage = Stage.STARTTLS
        if not client.supports_extension("starttls"):
            # Going on without would be a downgrade that anyone on the way could cause.
            raise AttemptEnded(_ours("starttls", f"{access.host} offers no STARTTLS, see ROUTER_EMAIL__SECURITY"))
        await client.starttls()
        progress.stage = Stage.EHLO
        await client.ehlo()
    if access.username is not None:
        progress.stage = Stage.AUTH
        if not client.supported_auth_methods:
            hint = "see ROUTER_EMAIL__SECURITY, or remove ROUTER_EMAIL__USERNAME"
            raise AttemptEnded(_ours("auth", f"{access.host} offers no login that we know on this connection, {hint}"))
        await client.login(access.username, access.password)


def _refusal(stage: Stage, error: SMTPResponseException) -> Retry | Rejected:
    outcome = of_reply(stage, error.code, error.message)
    if isinstance(outcome, Retry | Rejected):
        return outcome
    raise AssertionError(f"{stage} was refused with {error.code}")  # before MAIL no reply that raises means "go on"


def _ours(code: str, reason: str) -> Rejected:
    return Rejected(reason, Scope.CHANNEL, code)


class Connection:
    """An open connection. Used by one attempt at a time; the pool sees to that."""

    def __init__(self, client: SMTP, first_reply_timeout_seconds: float) -> None:
        self._client = client
        self._first_reply_timeout_seconds = first_reply_timeout_seconds
        self._was_used = False
        self._needs_reset = False

    @property
    def is_open(self) -> bool:
        """Whether it may be used again, as far as we know."""
        return self._client.is_connected

    async def send(self, mail: Mail, progress: Progress) -> Outcome:
        """Send one mail.

        Raises StaleConnection, or SMTPException or OSError for trouble; the connection is no good after any of them.
        """
        outcome = self._unsuitable(mail) or await self._begin(mail, progress)
        if outcome is None:
            progress.stage = Stage.RCPT
            # Not `rcpt`, nor `mail` below, which take an address apart to find out whether it is one: this one was read.
            reply = await _reply(self._client.execute_command(b"RCPT", b"TO:" + _path(mail.recipient)))
            outcome = self._judge(Stage.RCPT, reply)
        if outcome is None:
            progress.stage = Stage.DATA
            outcome = self._judge(Stage.DATA, await _reply(self._client.data(mail.content)))
        if outcome is None:
            raise AssertionError("DATA always ends an attempt")
        return outcome

    def _unsuitable(self, mail: Mail) -> Rejected | None:
        if not mail.needs_smtputf8 or self._client.supports_extension("smtputf8"):
            return None
        if mail.sender.needs_smtputf8:
            return _ours(
                "smtputf8", "the mail server takes only ASCII before the @ (no SMTPUTF8), see ROUTER_EMAIL__SENDER"
            )
        reason = "the mail server takes only ASCII before the @ of an address (no SMTPUTF8)"
        return Rejected(reason, Scope.TARGET, "smtputf8")

    async def _begin(self, mail: Mail, progress: Progress) -> Outcome | None:
        """Announce the mail. A connection that was kept open shows here whether it still lives."""
        progress.stage = Stage.MAIL
        if not self._was_used:
            self._was_used = True
            return self._judge(Stage.MAIL, await self._announce(mail))
        try:
            async with asyncio.timeout(self._first_reply_timeout_seconds):
                reply = await self._announce(mail)
        except TROUBLES as error:
            raise StaleConnection from error
        if reply.code == 421:  # "closing transmission channel": of this connection, which a new one need not share
            raise StaleConnection
        return self._judge(Stage.MAIL, reply)

    async def _announce(self, mail: Mail) -> SMTPResponse:
        if self._needs_reset:
            reset = await _reply(self._client.rset())
            if reset.code != 250:
                return SMTPResponse(421, reset.message)
            self._needs_reset = False
        options = [b"SIZE=%d" % len(mail.content)] if self._client.supports_extension("size") else []
        if mail.needs_smtputf8:
            options += [b"SMTPUTF8", b"BODY=8BITMIME"]  # RFC 6531 section 3.1: who offers the one offers the other
        return await _reply(self._client.execute_command(b"MAIL", b"FROM:" + _path(mail.sender), *options))

    def _judge(self, stage: Stage, reply: SMTPResponse) -> Outcome | None:
        outcome = of_reply(stage, reply.code, reply.message)
        if outcome is not None:
            # After a refusal the server may still hold our envelope: it is emptied before the next mail, not now, so that
            # this outcome need not wait for it.
            self._needs_reset = not 200 <= reply.code < 300
        if not 200 <= reply.code < 600 or reply.code == 421:
            _drop(self._client)
        return outcome

    def leave(self) -> None:
        """Say QUIT and close, without waiting for the answer."""
        if self._client.protocol is not None:
            with suppress(SMTPException):
                self._client.protocol.write(b"QUIT\r\n")
        self._client.close()

    def drop(self) -> None:
        """Close at once: whoever is there may be in the middle of something."""
        _drop(self._client)

    async def quit(self) -> None:
        """Say QUIT, wait a moment for the answer, and close. Raises nothing."""
        transport = self._client.transport
        try:
            async with asyncio.timeout(QUIT_TIMEOUT_SECONDS):
                await self._client.quit()
        except TROUBLES:
            log.debug("no goodbye from the mail server")
        finally:
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
            _drop(self._client)
        await asyncio.sleep(0)  # lets the loop close the socket before the caller closes the loop

    def describe(self) -> str:
        """What encrypts the connection, `TLSv1.3`; `not encrypted`."""
        tls = self._client.get_transport_info("ssl_object") if self.is_open else None
        return str(tls.version()) if isinstance(tls, ssl.SSLObject) else "not encrypted"


def _path(mailbox: Mailbox) -> bytes:
    """An address as a command has it (RFC 5321 section 4.1.2). A mailbox holds none of the characters that would end it."""
    return f"<{mailbox.address}>".encode()


async def _reply(call: Awaitable[SMTPResponse]) -> SMTPResponse:
    """A reply as such, whatever its code: aiosmtplib raises for all but one or two."""
    try:
        return await call
    except SMTPResponseException as error:
        return SMTPResponse(error.code, error.message)


def _drop(client: SMTP) -> None:
    # Not `close` alone: over TLS that waits for the other side's goodbye, which a server that hangs never says.
    if isinstance(client.transport, asyncio.WriteTransport):
        client.transport.abort()
    client.close()
