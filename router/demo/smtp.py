"""A real SMTP server in the running loop that keeps what it gets in memory: the demo's mail server, and the tests'."""

import asyncio
import ssl
from collections import OrderedDict, deque
from collections.abc import Iterable
from types import TracebackType

from router.demo.smtp_conversation import Answer, Conversation, Hooks, ReceivedMail, Rules

__all__ = ["MailServer", "ReceivedMail"]

MAX_MAILBOXES = 1000
"""Mailboxes that are kept; the one that has waited longest for a mail gives way."""

HOSTNAME = "mail.demo.example"
"""What the server calls itself."""


class MailServer:
    """An SMTP server with a mailbox for whatever recipient it hears of.

    `async with MailServer() as server` starts and stops it; nothing outlives the block.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        smtputf8: bool = True,
        max_message_bytes: int = 2**25,
        mails_kept: int = 200,
        refused: Iterable[str] = (),
        answer: Answer | None = None,
    ) -> None:
        """Take `tls` from the first byte or a required `starttls`, and a `login` (user, password) to require.

        Port 0 takes a free one. `mails_kept` is per mailbox; `refused` are recipients that do not exist.
        """
        self._host = host
        self._port = port
        self._tls = tls
        self._starttls = starttls
        self._needs_login = login is not None
        self._smtputf8 = smtputf8
        self._max_message_bytes = max_message_bytes
        self._mails_kept = mails_kept
        self._hooks = Hooks(Rules(login, frozenset(refused), answer), self)
        self._mailboxes: OrderedDict[str, deque[ReceivedMail]] = OrderedDict()
        self._arrived = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[Conversation] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._ending: set[asyncio.Task[None]] = set()
        self.connections = 0
        """How many connections there have been."""
        self.most_connections = 0
        """How many there were at the same time, at most."""

    async def __aenter__(self) -> "MailServer":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._converse, self._host, self._port, ssl=self._tls)
        # So that a server that is stopped and started again is found where it was.
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and break every connection. What has come stays."""
        if self._server is None:
            return
        self._server.close()
        self.cut_connections()
        await self._quiet.wait()
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def cut_connections(self) -> None:
        """Break every open connection, as when a server is killed."""
        for conversation in tuple(self._open):
            conversation.cut()

    @property
    def host(self) -> str:
        """The address it listens at."""
        return self._host

    @property
    def port(self) -> int:
        """The port it listens at, once started."""
        return self._port

    @property
    def open_connections(self) -> int:
        """How many connections there are now."""
        return len(self._open)

    def mailbox(self, recipient: str) -> tuple[ReceivedMail, ...]:
        """What has come for `recipient`, oldest first. Looking takes nothing away."""
        return tuple(self._mailboxes.get(recipient, ()))

    def mails(self) -> tuple[ReceivedMail, ...]:
        """What has come for anybody, mailbox by mailbox."""
        return tuple(mail for mailbox in self._mailboxes.values() for mail in mailbox)

    async def wait_for_mail(
        self, recipient: str, count: int = 1, timeout_seconds: float = 10
    ) -> tuple[ReceivedMail, ...]:
        """Wait until `count` mails have come for `recipient`, and give them. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while len(self.mailbox(recipient)) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.mailbox(recipient)

    def accept(self, mail: ReceivedMail) -> None:
        """Put a mail into its mailbox (for the conversations)."""
        mailbox = self._mailboxes.setdefault(mail.recipient, deque(maxlen=self._mails_kept))
        mailbox.append(mail)
        self._mailboxes.move_to_end(mail.recipient)
        while len(self._mailboxes) > MAX_MAILBOXES:
            self._mailboxes.popitem(last=False)
        self._arrived.set()

    def began(self, conversation: Conversation) -> None:
        """Count a connection (for the conversations)."""
        self._open.add(conversation)
        self._quiet.clear()
        self.connections += 1
        self.most_connections = max(self.most_connections, len(self._open))

    def ended(self, conversation: Conversation, task: "asyncio.Task[None] | None") -> None:
        """Forget a connection, but for its task, which `stop` sees off (for the conversations)."""
        self._open.discard(conversation)
        if not self._open:
            self._quiet.set()
        if task is not None and not task.done():
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _converse(self) -> Conversation:
        return Conversation(
            self._hooks,
            hostname=HOSTNAME,
            ident="demo",
            loop=asyncio.get_running_loop(),
            data_size_limit=self._max_message_bytes,
            enable_SMTPUTF8=self._smtputf8,
            tls_context=self._starttls,
            require_starttls=self._starttls is not None,
            # aiosmtpd takes only STARTTLS for encryption: left true, it offers no login over TLS from the first byte.
            auth_require_tls=not self._needs_login or self._starttls is not None,
            authenticator=self._hooks.authenticate,
        )
