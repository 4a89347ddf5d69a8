"""Each way in which no answer comes, a test per row of the table: what it says, may the request have left, is the host down?"""

import errno
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from router.channels.base import Retry, Uncertain
from router.channels.no_reply import FAILURES, NoReply, no_reply, unanswered

SECRET = "hush-this-is-a-secret"
KEY = ConnectionKey(SECRET, 443, True, True, None, None, None)
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, SECRET)
INFO = aiohttp.RequestInfo(None, "POST", None, None)  # type: ignore[arg-type]

ROWS: list[tuple[aiohttp.ClientError | OSError, str, bool, bool]] = [
    (
        aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError(1, SECRET)),
        "the TLS certificate of Slack is not to be trusted",
        False,
        True,
    ),
    (
        aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, SECRET)),
        "the TLS handshake with Slack failed",
        False,
        True,
    ),
    (
        aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_NONAME, SECRET)),
        "the name of Slack could not be resolved",
        False,
        True,
    ),
    (
        aiohttp.ClientProxyConnectionError(KEY, REFUSED),
        "the proxy on the way to Slack could not be reached (connection refused)",
        False,
        True,
    ),
    (aiohttp.ClientHttpProxyError(INFO, (), message=SECRET), "the proxy on the way to Slack refused", False, True),
    (aiohttp.ClientConnectorError(KEY, REFUSED), "Slack could not be reached (connection refused)", False, True),
    (aiohttp.ConnectionTimeoutError(SECRET), "no connection to Slack in time", False, True),
    (aiohttp.InvalidURL(SECRET), "the address of Slack is no address", False, False),
    (aiohttp.SocketTimeoutError(SECRET), "Slack did not answer in time", True, True),
    (aiohttp.ServerDisconnectedError(SECRET), "Slack hung up without an answer", True, True),
    (
        aiohttp.ClientResponseError(INFO, (), message=SECRET),
        "Slack answered with something that is not HTTP",
        True,
        True,
    ),
    (
        aiohttp.ClientOSError(errno.ECONNRESET, SECRET),
        "the connection to Slack broke before an answer came (connection reset by peer)",
        True,
        True,
    ),
    (aiohttp.ClientPayloadError(SECRET), "the connection to Slack broke before an answer came", True, True),
    (
        BrokenPipeError(errno.EPIPE, SECRET),
        "the connection to Slack broke before an answer came (broken pipe)",
        True,
        True,
    ),
]


@pytest.mark.parametrize(("error", "reason", "left", "host_is_down"), ROWS, ids=lambda value: type(value).__name__)
def test_each_row(error: aiohttp.ClientError | OSError, reason: str, left: bool, host_is_down: bool) -> None:
    assert no_reply(error, "Slack") == NoReply(reason, left, type(error).__name__, host_is_down)


def test_every_row_of_the_table_is_met() -> None:
    met = {next(row for row in FAILURES if isinstance(error, row[0])) for error, *_ in ROWS}
    assert met == set(FAILURES)


@pytest.mark.parametrize("host_is_down", [True, False])
def test_what_had_not_left_is_retried_and_what_had_is_uncertain(host_is_down: bool) -> None:
    assert unanswered(NoReply("why", False, "c", host_is_down)) == Retry("why", "c", host_is_down=host_is_down)
    assert unanswered(NoReply("why", True, "c", host_is_down)) == Uncertain("why; it may have arrived or not", "c")
