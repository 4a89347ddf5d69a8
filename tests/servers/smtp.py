"""A mail server that misbehaves on cue: replies, silences and broken connections at the stage of a test's choice."""

import asyncio
import functools
import ssl
from collections import Counter, defaultdict, deque
from pathlib import Path

import trustme
from aiosmtpd.smtp import SMTP

STAGES = ("CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "END")


class Script:
    """What a `MailServer` does at each stage, given to it as `answer`.

    Entries of one stage are used up in order, one for each time the stage is reached; after the last the server is well again.
    `always` entries last.
    """

    HANG = "hang"
    CUT = "cut"

    def __init__(self, **always: str) -> None:
        self._always = always
        self._once: dict[str, deque[str | None]] = defaultdict(deque)
        self.reached: Counter[str] = Counter()
        """How often each stage was reached."""
        self.hold: asyncio.Event | None = None
        """While there is one, mails wait for it after their last line."""

    def then(self, stage: str, *actions: str | None) -> "Script":
        """Do `actions` at the next times that `stage` is reached: a reply, `HANG`, `CUT`, or None for the ordinary."""
        self._once[stage].extend(actions)
        return self

    async def __call__(self, stage: str, conversation: SMTP) -> str | None:
        self.reached[stage] += 1
        if stage == "END" and self.hold is not None:
            await self.hold.wait()
        once = self._once[stage]
        action = once.popleft() if once else self._always.get(stage)
        if action == self.CUT:
            transport = conversation.transport
            assert isinstance(transport, asyncio.WriteTransport)
            transport.abort()
        if action in (self.HANG, self.CUT):
            await asyncio.Event().wait()  # until the connection ends, which cancels this
        return action


@functools.cache
def authority() -> trustme.CA:
    """The authority that signs the test servers' certificates."""
    return trustme.CA()


def server_tls(*names: str) -> ssl.SSLContext:
    """A server's side of TLS with a certificate for `names`, 127.0.0.1 by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    return context


def authority_file(folder: Path) -> Path:
    """The authority's own certificate as a PEM file in `folder`."""
    path = folder / "authority.pem"
    authority().cert_pem.write_to_path(str(path))
    return path
