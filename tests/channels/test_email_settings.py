"""Which settings suffice for email, and what is said of the others."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from router.channels.base import Rejected, Scope
from router.channels.email import KIND
from router.channels.email.access import greeting_name, port_of, prepare, sender_of
from router.settings import EmailSettings
from tests.channels.mails import outgoing

ENOUGH = {"host": "mail.example.org", "sender": "router@example.org"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "ROUTER_EMAIL__HOST and ROUTER_EMAIL__SENDER"),
        ({"host": "mail.example.org"}, "set ROUTER_EMAIL__SENDER"),
        ({"sender": "router@example.org"}, "set ROUTER_EMAIL__HOST"),
        ({"host": " ", "sender": "router@example.org"}, "set ROUTER_EMAIL__HOST"),
        (ENOUGH | {"host": "mail.example.org:587"}, "ROUTER_EMAIL__HOST must be"),
        (ENOUGH | {"sender": "router"}, "ROUTER_EMAIL__SENDER must be"),
        (ENOUGH | {"sender": "Router <router@example.org>"}, "ROUTER_EMAIL__SENDER must be"),
        (ENOUGH | {"sender_name": "a\nb"}, "ROUTER_EMAIL__SENDER_NAME must"),
        (ENOUGH | {"list_id_domain": "no domain"}, "ROUTER_EMAIL__LIST_ID_DOMAIN must"),
        (ENOUGH | {"username": "bob"}, "set ROUTER_EMAIL__PASSWORD"),
        (ENOUGH | {"password": SecretStr("hunter2")}, "set ROUTER_EMAIL__USERNAME"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, object], words: str) -> None:
    said = KIND.missing(EmailSettings.model_validate(given))

    assert said is not None
    assert words in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "given",
    [
        ENOUGH,
        ENOUGH | {"username": "bob", "password": SecretStr("hunter2")},
        ENOUGH | {"sender": "router@bücher.example", "host": "::1", "sender_name": ""},
    ],
)
def test_enough_is_enough(given: dict[str, object]) -> None:
    settings = EmailSettings.model_validate(given)

    assert KIND.missing(settings) is None
    KIND.open(settings)


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("starttls", 587), ("none", 25)])
def test_the_usual_port(security: str, port: int) -> None:
    assert port_of(EmailSettings.model_validate(ENOUGH | {"security": security})) == port
    assert port_of(EmailSettings.model_validate(ENOUGH | {"security": security, "port": 2525})) == 2525


def test_the_sender_has_its_name_and_its_domain_for_lists() -> None:
    sender = sender_of(
        EmailSettings.model_validate(ENOUGH | {"sender": "r@bücher.example", "sender_name": "Ops  team"})
    )

    assert (sender.mailbox.name, sender.list_domain) == ("Ops team", "xn--bcher-kva.example")


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (tmp_path / "missing.pem", empty, tmp_path):
        with pytest.raises(ValueError, match="ROUTER_EMAIL__CA_FILE must be a PEM file"):
            prepare(EmailSettings.model_validate(ENOUGH | {"ca_file": path}))


async def test_with_such_a_ca_file_an_attempt_is_refused_and_a_check_fails(tmp_path: Path) -> None:
    channel = KIND.open(EmailSettings.model_validate(ENOUGH | {"ca_file": tmp_path / "missing.pem"}))

    outcome = await channel.send(outgoing())

    assert isinstance(outcome, Rejected)
    assert outcome.scope is Scope.CHANNEL
    assert "ROUTER_EMAIL__CA_FILE" in outcome.reason
    [result] = await channel.check()
    assert (result.ok, "ROUTER_EMAIL__CA_FILE" in result.detail) == (False, True)
    await channel.close()


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("box", "example.org"),
        ("box.lan.example", "box.lan.example"),
        ("127.0.0.1", "example.org"),
        ("a b.c", "example.org"),
    ],
)
def test_the_name_in_ehlo_is_a_full_one(monkeypatch: pytest.MonkeyPatch, hostname: str, name: str) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: hostname)

    assert greeting_name("example.org") == name
