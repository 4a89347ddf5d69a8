"""The demo mail server's side of one SMTP connection: aiosmtpd, told whom to believe, what to refuse and where mails go."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Protocol

import structlog
from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException

log = structlog.stdlib.get_logger("router.demo.smtp")


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail as it came over the wire, with its envelope."""

    sender: str
    recipient: str
    content: bytes
    options: tuple[str, ...]
    """The options of MAIL: `SMTPUTF8`, `SIZE=…`."""
    login: str | None
    """Whom the client logged in as."""
    is_encrypted: bool

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        return message_from_bytes(self.content, policy=default)


Answer = Callable[[str, SMTP], Awaitable[str | None]]
"""Asked before the server answers a stage (`CONNECT`, `EHLO`, `STARTTLS`, `AUTH`, `MAIL`, `RCPT`, `DATA`, `END` after the
mail's last line, `TAKEN` once it is in its mailbox, `RSET`, `QUIT`): a reply to give instead, or None for the ordinary one."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the server insists on."""

    login: tuple[str, str] | None
    """User and password to require."""
    refused: frozenset[str]
    """Recipients that do not exist."""
    answer: Answer | None


class Host(Protocol):
    """What a conversation belongs to."""

    def began(self, conversation: "Conversation") -> None:
        """A client has connected."""
        ...

    def ended(self, conversation: "Conversation", task: "asyncio.Task[None] | None") -> None:
        """The connection is gone; its task may be on its last legs."""
        ...

    def accept(self, mail: ReceivedMail) -> None:
        """A mail has come."""
        ...


class Hooks:
    """aiosmtpd's hooks, whose names are its own."""

    def __init__(self, rules: Rules, host: Host) -> None:
        self.host = host
        self._rules = rules

    async def instead(self, stage: str, conversation: SMTP) -> str | None:
        """What is to be said at `stage` instead of the ordinary; None for the ordinary."""
        return await self._rules.answer(stage, conversation) if self._rules.answer is not None else None

    async def handle_exception(self, error: Exception) -> str:
        """Answer what went wrong in here; a client that breaks off the TLS handshake is no news."""
        if not isinstance(error, TLSSetupException):
            log.error("mail server failed", exc_info=error)
        return "451 4.3.0 Internal error"

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Answer EHLO with what aiosmtpd has gathered."""
        instead = await self.instead("EHLO", server)
        if instead is not None:
            return [instead]
        session.host_name = hostname
        return responses

    async def handle_AUTH(  # noqa: N802
        self, server: SMTP, _session: Session, _envelope: Envelope, _args: list[str]
    ) -> object:
        """Leave the login to `authenticate`."""
        instead = await self.instead("AUTH", server)
        return MISSING if instead is None else instead

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        """Compare the login with the one that is required."""
        known = self._rules.login is not None and (data.login.decode(), data.password.decode()) == self._rules.login
        return AuthResult(success=known, handled=False, auth_data=data)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take any sender, once logged in."""
        instead = await self.instead("MAIL", server)
        if instead is not None:
            return instead
        if self._rules.login is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take any recipient but the refused."""
        instead = await self.instead("RCPT", server)
        if instead is not None:
            return instead
        if address in self._rules.refused:
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Hand the mail over, once a recipient."""
        instead = await self.instead("END", server)
        if instead is not None:
            return instead
        login: object = session.auth_data
        transport = server.transport
        for recipient in envelope.rcpt_tos:
            mail = ReceivedMail(
                sender=envelope.mail_from or "",
                recipient=recipient,
                content=envelope.original_content or b"",
                options=tuple(envelope.mail_options),
                login=login.login.decode() if isinstance(login, LoginPassword) else None,
                is_encrypted=transport is not None and transport.get_extra_info("sslcontext") is not None,
            )
            self.host.accept(mail)
        return await self.instead("TAKEN", server) or "250 2.0.0 OK: queued"

    async def handle_RSET(self, server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        """Say that the envelope is empty."""
        return await self.instead("RSET", server) or "250 2.0.0 OK"

    async def handle_QUIT(self, server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        """Say goodbye."""
        return await self.instead("QUIT", server) or "221 2.0.0 Bye"


class Conversation(SMTP):
    """One connection: aiosmtpd's, made to be counted, cut off, and asked at the stages that have no hook."""

    event_handler: Hooks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; STARTTLS comes by a second time."""
        if self.transport is None:
            self.event_handler.host.began(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        super().connection_lost(error)
        self.event_handler.host.ended(self, self._handler_coroutine)

    def cut(self) -> None:
        """Break the connection off."""
        for transport in (self.transport, self._original_transport):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()

    async def _handle_client(self) -> None:
        # A client that is gone is no error of ours; aiosmtpd would have the loop report one.
        with suppress(ConnectionError):
            try:
                instead = await self.event_handler.instead("CONNECT", self)
                if instead is None:
                    await super()._handle_client()
                else:
                    await self.push(instead)
            finally:
                self._writer.close()

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        """Agree on TLS."""
        instead = await self.event_handler.instead("STARTTLS", self)
        if instead is not None:
            await self.push(instead)
            return
        await super().smtp_STARTTLS(arg)
        if self._original_transport is not None and self._original_transport.is_closing():
            # The connection ended within the handshake, which asyncio's TLS layer tells nobody.
            self.connection_lost(None)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Take the mail itself."""
        instead = await self.event_handler.instead("DATA", self)
        if instead is None:
            await super().smtp_DATA(arg)
        else:
            await self.push(instead)
