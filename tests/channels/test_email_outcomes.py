"""What every reply at every stage, and every kind of trouble, means: the tables, row by row."""

import socket
import ssl
from typing import Literal

import pytest
from aiosmtplib import (
    SMTPConnectError,
    SMTPConnectTimeoutError,
    SMTPException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent
from router.channels.email.outcomes import Stage, enhanced_status, of_error, of_reply, shorten

STAGES = [stage for stage in Stage if stage is not Stage.WAIT]
BEFORE_MAIL = [Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH]

REFUSED_SCOPE = {
    Stage.CONNECT: Scope.CHANNEL,
    Stage.EHLO: Scope.CHANNEL,
    Stage.STARTTLS: Scope.CHANNEL,
    Stage.AUTH: Scope.CHANNEL,
    Stage.MAIL: Scope.CHANNEL,
    Stage.RCPT: Scope.TARGET,
    Stage.DATA: Scope.MESSAGE,
}
ABOUT_THE_LOGIN = {530, 534, 535, 538}
VARIABLE = {
    Stage.CONNECT: "ROUTER_EMAIL__HOST",
    Stage.EHLO: "ROUTER_EMAIL__HOST",
    Stage.STARTTLS: "ROUTER_EMAIL__SECURITY",
    Stage.AUTH: "ROUTER_EMAIL__PASSWORD",
    Stage.MAIL: "ROUTER_EMAIL__SENDER",
}


@pytest.mark.parametrize("stage", STAGES)
def test_acceptance_goes_on_and_ends_in_sent(stage: Stage) -> None:
    for code in range(200, 300):
        outcome = of_reply(stage, code, "fine")

        if stage in BEFORE_MAIL:
            # These raise only when they are not the one reply that the stage knows: 250 to STARTTLS must not pass.
            assert isinstance(outcome, Retry), code
            assert outcome.host_is_down
        else:
            assert outcome == (Sent("fine", code) if stage is Stage.DATA else None)


@pytest.mark.parametrize("stage", STAGES)
def test_a_senseless_answer_is_tried_again(stage: Stage) -> None:
    for code in (*range(300, 400), -1, 0, 100, 199, 600, 999):
        outcome = of_reply(stage, code, "what?")

        assert isinstance(outcome, Retry), code
        assert (outcome.code, outcome.pauses, outcome.host_is_down) == (code, None, stage in BEFORE_MAIL)


@pytest.mark.parametrize("stage", STAGES)
def test_a_postponement_is_tried_again(stage: Stage) -> None:
    for code in range(400, 500):
        outcome = of_reply(stage, code, "4.7.1 Greylisted, come back")

        assert isinstance(outcome, Retry), code
        assert (outcome.code, outcome.after_seconds, outcome.pauses) == (code, None, None)
        assert outcome.host_is_down is (stage in BEFORE_MAIL or code == 421), code
        assert stage.value in outcome.reason


@pytest.mark.parametrize("stage", STAGES)
def test_a_refusal_is_whose_it_is_at_its_stage(stage: Stage) -> None:
    for code in sorted(set(range(500, 600)) - ABOUT_THE_LOGIN - {503, 552}):
        outcome = of_reply(stage, code, "no")

        assert isinstance(outcome, Rejected), code
        assert (outcome.code, outcome.scope) == (code, REFUSED_SCOPE[stage])
        assert VARIABLE.get(stage, "the mail server refuses this") in outcome.reason


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("code", sorted(ABOUT_THE_LOGIN))
def test_a_refusal_about_the_login_is_ours_at_any_stage(stage: Stage, code: int) -> None:
    outcome = of_reply(stage, code, "no")

    assert isinstance(outcome, Rejected)
    assert outcome.scope is Scope.CHANNEL
    assert "ROUTER_EMAIL__USERNAME" in outcome.reason


@pytest.mark.parametrize("stage", STAGES)
def test_too_big_is_the_messages_matter_already_at_mail_from(stage: Stage) -> None:
    outcome = of_reply(stage, 552, "no")

    assert isinstance(outcome, Rejected)
    assert outcome.scope is (Scope.MESSAGE if stage is Stage.MAIL else REFUSED_SCOPE[stage])


@pytest.mark.parametrize("stage", STAGES)
def test_a_bad_sequence_of_commands_is_nobodys_fault_once_mail_flows(stage: Stage) -> None:
    outcome = of_reply(stage, 503, "no")

    assert isinstance(outcome, Rejected if stage in BEFORE_MAIL else Retry)
    assert isinstance(outcome, Rejected) or not getattr(outcome, "host_is_down", True)


STATUSES = [
    ("5.1.1", Scope.TARGET),
    ("5.1.2", Scope.TARGET),
    ("5.1.3", Scope.TARGET),
    ("5.1.4", Scope.TARGET),
    ("5.1.6", Scope.TARGET),
    ("5.1.10", Scope.TARGET),
    ("5.2.1", Scope.TARGET),
    ("5.2.2", Scope.TARGET),
    ("5.6.7", Scope.TARGET),
    ("5.2.3", Scope.MESSAGE),
    ("5.3.4", Scope.MESSAGE),
    ("5.1.7", Scope.CHANNEL),
    ("5.1.8", Scope.CHANNEL),
    ("5.7.27", Scope.CHANNEL),
    ("5.7.60", Scope.CHANNEL),
    ("5.7.8", Scope.CHANNEL),
    ("5.7.9", Scope.CHANNEL),
    ("5.7.11", Scope.CHANNEL),
]


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
@pytest.mark.parametrize(("status", "scope"), STATUSES)
def test_the_enhanced_status_knows_better(stage: Stage, status: str, scope: Scope) -> None:
    outcome = of_reply(stage, 550, f"{status} no")

    assert isinstance(outcome, Rejected)
    assert outcome.scope is scope
    assert f"550 {status} no" in outcome.reason


@pytest.mark.parametrize("status", ["4.3.2", "4.4.5", "4.7.28"])
def test_too_fast_pauses_the_channel(status: str) -> None:
    outcome = of_reply(Stage.RCPT, 421, f"{status} slow down")

    assert isinstance(outcome, Retry)
    assert (outcome.pauses, outcome.after_seconds, outcome.host_is_down) == (Scope.CHANNEL, 60, False)


Meant = Scope | Literal["later", "down"]
"""What a refusal is about; or, of a postponement, whether the host is down."""

SERVERS_SAY: list[tuple[Stage, int, str, Meant]] = [
    (Stage.RCPT, 550, "5.1.1 <a@b.example>: Recipient address rejected: User unknown", Scope.TARGET),  # Postfix
    (Stage.RCPT, 554, "5.7.1 <a@b.example>: Relay access denied", Scope.TARGET),  # Postfix
    (Stage.RCPT, 550, "relay not permitted", Scope.TARGET),  # Exim
    (Stage.RCPT, 450, "4.2.0 <a@b.example>: Recipient address rejected: Greylisted", "later"),  # Postgrey
    (Stage.RCPT, 452, "4.2.2 The email account that you tried to reach is over quota", "later"),  # Gmail
    (Stage.RCPT, 552, "5.2.2 The email account that you tried to reach is over quota", Scope.TARGET),  # Gmail
    (Stage.MAIL, 552, "5.3.4 Message size exceeds fixed limit", Scope.MESSAGE),  # Postfix
    (Stage.MAIL, 553, "5.7.1 <a@b.example>: Sender address rejected: not owned by user c", Scope.CHANNEL),  # Postfix
    (Stage.MAIL, 530, "5.7.0 Must issue a STARTTLS command first", Scope.CHANNEL),  # RFC 3207
    (Stage.MAIL, 451, "4.3.0 Temporary lookup failure", "later"),
    (Stage.DATA, 554, "5.7.1 Spam message rejected", Scope.MESSAGE),
    (
        Stage.DATA,
        550,
        "5.7.60 SMTP; Client does not have permissions to send as this sender",
        Scope.CHANNEL,
    ),  # Exchange
    (Stage.DATA, 452, "4.3.1 Insufficient system storage", "later"),
    (Stage.AUTH, 535, "5.7.8 Username and Password not accepted", Scope.CHANNEL),  # Gmail
    (Stage.AUTH, 454, "4.7.0 Temporary authentication failure", "down"),  # RFC 4954
    (Stage.CONNECT, 554, "No SMTP service here", Scope.CHANNEL),  # RFC 5321
    (Stage.CONNECT, 421, "4.7.0 Too many connections", "down"),
    (Stage.RCPT, 421, "4.3.0 mx.example.org closing connection", "down"),
    (Stage.DATA, 421, "4.4.2 mx.example.org Error: timeout exceeded", "down"),  # Postfix
    (Stage.RCPT, 421, "4.7.28 Our system has detected an unusual rate of mail", "later"),  # Gmail
    (Stage.STARTTLS, 454, "TLS not available due to temporary reason", "down"),  # RFC 3207
]


@pytest.mark.parametrize(("stage", "code", "text", "meant"), SERVERS_SAY)
def test_what_known_servers_say(stage: Stage, code: int, text: str, meant: Meant) -> None:
    outcome = of_reply(stage, code, text)

    assert isinstance(outcome, Retry | Rejected)
    assert meaning(outcome) == meant


def meaning(outcome: Retry | Rejected) -> Meant:
    """The outcome in a word."""
    if isinstance(outcome, Rejected):
        return outcome.scope
    return "down" if outcome.host_is_down else "later"


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (550, "5.1.1 no", "5.1.1"),
        (550, "5.1.10", "5.1.10"),
        (550, "4.1.1 no", None),
        (450, "5.1.1 no", None),
        (550, "5.1.1.1 no", None),
        (550, "no 5.1.1", None),
        (550, "", None),
        (550, "5.1", None),
    ],
)
def test_the_enhanced_status_counts_only_where_it_belongs(code: int, text: str, status: str | None) -> None:
    assert enhanced_status(code, text) == status


def test_no_reply_to_a_login_is_quoted() -> None:
    outcome = of_reply(Stage.AUTH, 501, "5.5.2 cannot decode AGJvYgBzZWNyZXQ=")

    assert isinstance(outcome, Rejected)
    assert "AGJvYgBzZWNyZXQ" not in outcome.reason
    assert "501 5.5.2" in outcome.reason


@given(
    text=st.text(st.characters() | st.characters(categories=["Cs", "Cc"])),
    code=st.integers(-1, 999),
    stage=st.sampled_from(STAGES),
)
def test_whatever_a_server_says_fits_into_a_document(text: str, code: int, stage: Stage) -> None:
    outcome: Outcome | None = of_reply(stage, code, text)
    said = outcome.reference if isinstance(outcome, Sent) else outcome.reason if outcome is not None else None

    if said is not None:
        said.encode()
        assert said.isprintable()
        assert len(said) < 600


def test_long_replies_are_shortened_visibly() -> None:
    assert len(shorten("x" * 1000)) == 300
    assert shorten("x" * 1000).endswith("…")
    assert shorten("several\nlines  of\ttext") == "several lines of text"


def caused_by(error: SMTPException, cause: Exception) -> SMTPException:
    error.__cause__ = cause
    return error


def distrust() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:992)")
    error.verify_message = "self-signed certificate"
    return error


def tls_trouble() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:992)")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


SECRET = "https://user:hunter2@example.org"
TROUBLES: list[tuple[SMTPException | OSError, str, Meant, str]] = [
    (
        distrust(),
        "certificate",
        Scope.CHANNEL,
        "(self-signed certificate), see ROUTER_EMAIL__HOST and ROUTER_EMAIL__CA_FILE",
    ),
    (caused_by(SMTPConnectError(SECRET), distrust()), "certificate", Scope.CHANNEL, "ROUTER_EMAIL__CA_FILE"),
    (tls_trouble(), "tls", Scope.CHANNEL, "(wrong version number), see ROUTER_EMAIL__SECURITY"),
    (caused_by(SMTPConnectError(SECRET), tls_trouble()), "tls", Scope.CHANNEL, "ROUTER_EMAIL__SECURITY"),
    (ssl.SSLEOFError(8, SECRET), "tls", "down", "broke off"),
    (ssl.SSLZeroReturnError(6, SECRET), "tls", "down", "broke off"),
    (SMTPTimeoutError(SECRET), "timeout", "down", "too long for EHLO"),
    (SMTPConnectTimeoutError(SECRET), "timeout", "down", "too long for EHLO"),
    (caused_by(SMTPConnectTimeoutError(SECRET), TimeoutError()), "timeout", "down", "too long for EHLO"),
    (TimeoutError(), "timeout", "down", "too long for EHLO"),
    (SMTPServerDisconnected(SECRET), "disconnected", "down", "closed the connection at EHLO"),
    (caused_by(SMTPServerDisconnected(SECRET), ConnectionResetError()), "disconnected", "down", "at EHLO"),
    (caused_by(SMTPConnectError(SECRET), SMTPServerDisconnected("")), "disconnected", "down", "at EHLO"),
    (ConnectionRefusedError(111, SECRET), "refused", "down", "nothing listens at mail.example.org:25"),
    (caused_by(SMTPConnectError(SECRET), ConnectionRefusedError()), "refused", "down", "ROUTER_EMAIL__PORT"),
    (ConnectionResetError(104, SECRET), "disconnected", "down", "broke at EHLO"),
    (BrokenPipeError(32, SECRET), "disconnected", "down", "broke at EHLO"),
    (socket.gaierror(-2, SECRET), "dns", "down", "ROUTER_EMAIL__HOST"),
    (caused_by(SMTPConnectError(SECRET), socket.gaierror(-3, "")), "dns", "down", "ROUTER_EMAIL__HOST"),
    (caused_by(SMTPConnectError(SECRET), OSError(113, "")), "network", "down", "could not be reached"),
    (OSError(SECRET), "network", "down", "could not be reached"),
    (SMTPException(SECRET), "protocol", "down", "does not speak SMTP"),
]


@pytest.mark.parametrize(("error", "code", "meant", "words"), TROUBLES)
def test_each_trouble(error: SMTPException | OSError, code: str, meant: Meant, words: str) -> None:
    outcome = of_error(Stage.EHLO, error, "mail.example.org:25")

    assert outcome.code == code
    assert words in outcome.reason
    assert "mail.example.org:25" in outcome.reason
    assert "hunter2" not in outcome.reason
    assert meaning(outcome) == meant


@pytest.mark.parametrize("error", [TimeoutError(), SMTPServerDisconnected(""), ConnectionResetError(), OSError()])
def test_trouble_before_the_first_word_names_what_may_be_set_wrong(error: SMTPException | OSError) -> None:
    assert "ROUTER_EMAIL__SECURITY if that lasts" in of_error(Stage.CONNECT, error, "mail.example.org:25").reason
    assert "ROUTER_EMAIL" not in of_error(Stage.RCPT, error, "mail.example.org:25").reason


def test_waiting_in_vain_for_a_connection_says_so() -> None:
    outcome = of_error(Stage.WAIT, TimeoutError(), "mail.example.org:25")

    assert outcome == Retry(
        "mail.example.org:25 let us wait too long for a free connection", "timeout", host_is_down=False
    )
