"""Pure: what it means that an HTTP request got no answer, as a table: may the server have it, and does the server work at all?"""

import os
from dataclasses import dataclass
from typing import Final

import aiohttp

from router.channels.base import Code, Retry, Uncertain


@dataclass(frozen=True, slots=True)
class NoReply:
    """No answer came."""

    reason: str
    """One sentence, without an address or a secret."""
    left: bool
    """Whether the server may have got the request. False only when that is certain."""
    code: Code = None
    host_is_down: bool = True
    """As in `Retry`. False only where the server had no part in it."""

    def retry(self, hint: str = "") -> Retry:
        """The outcome of a request that harms nobody when it is made twice. `hint` is put after the reason."""
        return Retry(self.reason + hint, self.code, host_is_down=self.host_is_down)


def unanswered(no_reply: NoReply) -> Retry | Uncertain:
    """The outcome of a request that must not be made twice and got no answer."""
    if no_reply.left:
        return Uncertain(f"{no_reply.reason}; it may have arrived or not", no_reply.code)
    return no_reply.retry()


FAILURES: Final[tuple[tuple[type[Exception], str, bool, bool], ...]] = (
    (aiohttp.ClientConnectorCertificateError, "the TLS certificate of {} is not to be trusted", False, True),
    (aiohttp.ClientConnectorSSLError, "the TLS handshake with {} failed", False, True),
    (aiohttp.ClientConnectorDNSError, "the name of {} could not be resolved", False, True),
    (aiohttp.ClientProxyConnectionError, "the proxy on the way to {} could not be reached", False, True),
    (aiohttp.ClientHttpProxyError, "the proxy on the way to {} refused", False, True),
    (aiohttp.ClientConnectorError, "{} could not be reached", False, True),
    (aiohttp.ConnectionTimeoutError, "no connection to {} in time", False, True),
    # The target's own address, where it has one: that says nothing of a server.
    (aiohttp.InvalidURL, "the address of {} is no address", False, False),
    (aiohttp.ServerTimeoutError, "{} did not answer in time", True, True),
    (aiohttp.ServerDisconnectedError, "{} hung up without an answer", True, True),
    (aiohttp.ClientResponseError, "{} answered with something that is not HTTP", True, True),
    (aiohttp.ClientError, "the connection to {} broke before an answer came", True, True),
    (OSError, "the connection to {} broke before an answer came", True, True),
)
"""What each failure says, whether the request may have left, and whether the host is down; the first row that fits counts.

The rows are aiohttp's own exceptions, not httpx's: httpx-aiohttp 0.2.0 (`transport.py`, AIOHTTP_EXC_MAP) turns
`ServerDisconnectedError` and `ClientOSError`, both of which come after the request was written, into
`httpx.ConnectTimeout`, and lets `ClientResponseError` through as it is. The original is the `__cause__`.
"""


def no_reply(error: aiohttp.ClientError | OSError, who: str) -> NoReply:
    """What a failure means. `who`: what to call the server."""
    words, left, host_is_down = next(row[1:] for row in FAILURES if isinstance(error, row[0]))
    # Never str(error): it may hold the address, and the address may be the secret.
    reason = words.format(who)
    # The number is negative for a name that cannot be resolved, and OpenSSL's own for TLS.
    number = error.errno if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientSSLError) else None
    if number is not None and number > 0:
        reason += f" ({os.strerror(number).lower()})"
    return NoReply(reason, left, type(error).__name__, host_is_down)
