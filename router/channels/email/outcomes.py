"""Pure: what each reply of a mail server, and each kind of trouble on the way to it, means for a delivery.

A transaction has one recipient, so a refusal at RCPT is the target's, one at DATA the message's, and one before them ours;
the enhanced status (RFC 3463), where the server gives one, knows better.
"""

import re
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum

from aiosmtplib import SMTPException, SMTPServerDisconnected, SMTPTimeoutError

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent

MAX_REPLY_CHARS = 300
"""How much of a server's reply a document keeps."""
SLOW_DOWN_SECONDS = 60.0
"""How long the channel pauses when the server says that we are too fast: SMTP has no Retry-After."""
SERVICE_NOT_AVAILABLE = 421
"""The one reply that is about the server whatever it is given to: it says so and hangs up (RFC 5321 section 4.2.3)."""


class Stage(StrEnum):
    """How far an attempt has come: what we last asked of the server."""

    WAIT = "a free connection"
    CONNECT = "the greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "the login"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"


_BEFORE_MAIL = (Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH)
"""Where nothing has been said of a message yet: what is put off here is put off for every target."""


class Verdict(StrEnum):
    """What a reply means."""

    GO_ON = "go on"
    LATER = "later"
    SLOW_DOWN = "slow down"
    SENSELESS = "senseless"
    TARGET = "target"
    MESSAGE = "message"
    SENDER = "sender"
    LOGIN = "login"
    NEEDS_LOGIN = "needs login"
    SERVER = "server"
    NO_TLS = "no tls"


_BY_STATUS: dict[str, Verdict] = {
    # The recipient: RFC 3463 sections 3.2 and 3.3, RFC 7505 for null MX, RFC 6531 for addresses beyond ASCII.
    "5.1.1": Verdict.TARGET,
    "5.1.2": Verdict.TARGET,
    "5.1.3": Verdict.TARGET,
    "5.1.4": Verdict.TARGET,
    "5.1.6": Verdict.TARGET,
    "5.1.10": Verdict.TARGET,
    "5.2.1": Verdict.TARGET,
    "5.2.2": Verdict.TARGET,
    "5.6.7": Verdict.TARGET,
    # The message: too long for the mailbox, or for the server.
    "5.2.3": Verdict.MESSAGE,
    "5.3.4": Verdict.MESSAGE,
    # The sender's address; 5.7.60 is Exchange's "Client does not have permissions to send as this sender".
    "5.1.7": Verdict.SENDER,
    "5.1.8": Verdict.SENDER,
    "5.7.27": Verdict.SENDER,
    "5.7.60": Verdict.SENDER,
    # The login: RFC 4954 section 6.
    "5.7.8": Verdict.LOGIN,
    "5.7.9": Verdict.LOGIN,
    "5.7.11": Verdict.NEEDS_LOGIN,
    # Too much at once: mail system congestion, system not accepting network messages, mail flood detected. Other 4.7.x are
    # not: greylisting is 4.7.1, and concerns one sender and recipient.
    "4.3.2": Verdict.SLOW_DOWN,
    "4.4.5": Verdict.SLOW_DOWN,
    "4.7.28": Verdict.SLOW_DOWN,
}

_BY_CODE: dict[tuple[Stage, int], Verdict] = {
    # RFC 4954: 530 login required, 534 mechanism too weak, 535 wrong credentials, 538 encryption required.
    **{(stage, 530): Verdict.NEEDS_LOGIN for stage in Stage},
    **{(stage, 534): Verdict.LOGIN for stage in Stage},
    **{(stage, 535): Verdict.LOGIN for stage in Stage},
    **{(stage, 538): Verdict.NEEDS_LOGIN for stage in Stage},
    # 552 answers the SIZE that we announce with MAIL (RFC 1870 section 6.1).
    (Stage.MAIL, 552): Verdict.MESSAGE,
    # "Bad sequence of commands" is about the conversation, not about what is in it.
    **{(stage, 503): Verdict.SENSELESS for stage in (Stage.MAIL, Stage.RCPT, Stage.DATA)},
}

_BY_CLASS: dict[tuple[Stage, int], Verdict] = {
    # RFC 5321 section 4.2.1: a client goes by the first digit. Before MAIL we only look at replies that were not the
    # one expected: 250 for STARTTLS must not pass for 220.
    (Stage.MAIL, 2): Verdict.GO_ON,
    (Stage.RCPT, 2): Verdict.GO_ON,
    (Stage.DATA, 2): Verdict.GO_ON,
    **{(stage, 4): Verdict.LATER for stage in Stage},
    (Stage.CONNECT, 5): Verdict.SERVER,
    (Stage.EHLO, 5): Verdict.SERVER,
    (Stage.STARTTLS, 5): Verdict.NO_TLS,
    (Stage.AUTH, 5): Verdict.LOGIN,
    (Stage.MAIL, 5): Verdict.SENDER,
    (Stage.RCPT, 5): Verdict.TARGET,
    (Stage.DATA, 5): Verdict.MESSAGE,
}

_REFUSALS: dict[Verdict, tuple[Scope, str]] = {
    Verdict.TARGET: (Scope.TARGET, "the mail server refuses this recipient"),
    Verdict.MESSAGE: (Scope.MESSAGE, "the mail server refuses this message"),
    Verdict.SENDER: (Scope.CHANNEL, "the mail server refuses our address, see ROUTER_EMAIL__SENDER"),
    Verdict.LOGIN: (
        Scope.CHANNEL,
        "the mail server refuses our login, see ROUTER_EMAIL__USERNAME and ROUTER_EMAIL__PASSWORD",
    ),
    Verdict.NEEDS_LOGIN: (
        Scope.CHANNEL,
        "the mail server wants a login or encryption first, "
        "see ROUTER_EMAIL__USERNAME, ROUTER_EMAIL__PASSWORD and ROUTER_EMAIL__SECURITY",
    ),
    Verdict.SERVER: (Scope.CHANNEL, "the mail server does not serve us, see ROUTER_EMAIL__HOST and ROUTER_EMAIL__PORT"),
    Verdict.NO_TLS: (Scope.CHANNEL, "the mail server refuses STARTTLS, see ROUTER_EMAIL__SECURITY"),
}

_POSTPONEMENTS: dict[Verdict, str] = {
    Verdict.LATER: "the mail server puts it off at {stage}",
    Verdict.SLOW_DOWN: "the mail server finds us too fast at {stage}",
    Verdict.SENSELESS: "the mail server gave an answer to {stage} that makes no sense",
}


def verdict(stage: Stage, code: int, text: str) -> Verdict:
    """What the reply `code text` means when it came at `stage`."""
    # What is no refusal has no status that means anything else.
    status = enhanced_status(code, text) if code >= 400 else None
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    by_class = _BY_CLASS.get((stage, code // 100), Verdict.SENSELESS)
    return _BY_CODE.get((stage, code), by_class)


def of_reply(stage: Stage, code: int, text: str) -> Outcome | None:
    """How the attempt ends by this reply; None when it goes on."""
    meaning = verdict(stage, code, text)
    if meaning is Verdict.GO_ON:
        return Sent(shorten(text) or None, code) if stage is Stage.DATA else None
    # A server may quote the command it refuses, and the one for the login holds the password.
    said = f"{code} {enhanced_status(code, text) or ''}".strip() if stage is Stage.AUTH else f"{code} {shorten(text)}"
    if meaning in _REFUSALS:
        scope, reason = _REFUSALS[meaning]
        return Rejected(f"{reason}: {said.strip()}", scope, code)
    reason = f"{_POSTPONEMENTS[meaning].format(stage=stage.value)}: {said.strip()}"
    if meaning is Verdict.SLOW_DOWN:
        return Retry(reason, code, SLOW_DOWN_SECONDS, Scope.CHANNEL)
    return Retry(reason, code, host_is_down=stage in _BEFORE_MAIL or code == SERVICE_NOT_AVAILABLE)


def enhanced_status(code: int, text: str) -> str | None:
    """The enhanced status (RFC 2034) that `text` begins with, `5.1.1`, if it belongs to `code`."""
    found = _STATUS.match(text)
    return found[1] if found is not None and found[1][0] == str(code)[0] else None


_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?![\d.])")


def shorten(text: str) -> str:
    """A server's words on one line, without what no document can hold, and not too many of them."""
    words = " ".join(text.encode("utf-8", "replace").decode().split())
    if not words.isprintable():
        words = "".join(char if char.isprintable() else "\ufffd" for char in words)
    return words if len(words) <= MAX_REPLY_CHARS else words[: MAX_REPLY_CHARS - 1] + "…"


@dataclass(frozen=True, slots=True)
class _Trouble:
    code: str
    reason: str
    """With `{server}`, `{stage}`, `{detail}` and `{hint}` to fill in."""
    is_ours: bool = False
    """Whether it lasts until somebody mends our settings; if not, the host is down."""


_BY_ERROR: dict[type[BaseException], _Trouble] = {
    ssl.SSLCertVerificationError: _Trouble(
        "certificate",
        "the certificate of {server} is not to be trusted ({detail}), see ROUTER_EMAIL__HOST and ROUTER_EMAIL__CA_FILE",
        is_ours=True,
    ),
    ssl.SSLEOFError: _Trouble("tls", "{server} broke off while agreeing on TLS"),
    ssl.SSLZeroReturnError: _Trouble("tls", "{server} broke off while agreeing on TLS"),
    ssl.SSLError: _Trouble(
        "tls",
        "no TLS could be agreed on with {server} ({detail}), see ROUTER_EMAIL__SECURITY and ROUTER_EMAIL__PORT",
        is_ours=True,
    ),
    SMTPTimeoutError: _Trouble("timeout", "{server} let us wait too long for {stage}{hint}"),
    TimeoutError: _Trouble("timeout", "{server} let us wait too long for {stage}{hint}"),
    SMTPServerDisconnected: _Trouble("disconnected", "{server} closed the connection at {stage}{hint}"),
    ConnectionRefusedError: _Trouble(
        "refused", "nothing listens at {server}, see ROUTER_EMAIL__HOST and ROUTER_EMAIL__PORT if that lasts"
    ),
    ConnectionError: _Trouble("disconnected", "the connection to {server} broke at {stage}{hint}"),
    socket.gaierror: _Trouble("dns", "no address was found for {server}, see ROUTER_EMAIL__HOST if that lasts"),
    OSError: _Trouble("network", "{server} could not be reached{hint}"),
    SMTPException: _Trouble("protocol", "{server} does not speak SMTP as we know it at {stage}{hint}"),
}

_HINTS = {
    # Also what it looks like when one side speaks TLS and the other waits for plain text.
    Stage.CONNECT: ", see ROUTER_EMAIL__HOST, ROUTER_EMAIL__PORT and ROUTER_EMAIL__SECURITY if that lasts",
}

TROUBLES = (SMTPException, OSError)
"""What aiosmtplib and the network raise."""


def of_error(stage: Stage, error: SMTPException | OSError, server: str) -> Retry | Rejected:
    """How the attempt ends by an exception. Nothing of the exception's own text is used but TLS's short reasons."""
    # aiosmtplib wraps what went wrong while connecting: the cause says more. Its disconnections say enough.
    cause = (
        error.__cause__ if isinstance(error, SMTPException) and not isinstance(error, SMTPServerDisconnected) else None
    )
    known = next(
        _BY_ERROR[kind] for kind in type(cause if isinstance(cause, TROUBLES) else error).__mro__ if kind in _BY_ERROR
    )
    detail = shorten(_tls_detail(cause if isinstance(cause, ssl.SSLError) else error))
    reason = known.reason.format(server=server, stage=stage.value, detail=detail, hint=_HINTS.get(stage, ""))
    if known.is_ours:
        return Rejected(reason, Scope.CHANNEL, known.code)
    # While we wait for a place of our own, nothing is asked of the server.
    return Retry(reason, known.code, host_is_down=stage is not Stage.WAIT)


def _tls_detail(error: BaseException) -> str:
    # OpenSSL's errors have these; one that Python raises by itself may lack them.
    detail = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return detail.replace("_", " ").lower() if isinstance(detail, str) else "no reason given"
