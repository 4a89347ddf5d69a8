"""Mails over real sockets to a real SMTP server: what arrives, and what becomes of what does not."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from router.channels.base import Rejected, Retry, Scope, Sent, Target
from router.channels.email import KIND
from router.channels.email.access import sender_of
from router.channels.email.compose import compose
from router.channels.email.target import mailbox_of
from router.demo.smtp import MailServer
from router.documents.json_types import JsonValue
from router.documents.message import Content, Link
from router.rendering.rendered import Rendered
from tests.channels.mails import SENDER, outgoing, settings
from tests.servers.smtp import Script, authority_file, server_tls

LOGIN = ("router", "hunter2 ñ")
Security = Literal["tls", "starttls", "none"]


async def test_a_mail_arrives_as_composed() -> None:
    delivery = outgoing(
        {"address": "will@example.org", "name": "Wíll"}, text="日本語\n.\n", subject="Größe", html="<p>日本語</p>\n"
    )
    async with MailServer() as server:
        wanted = settings(server)
        channel = KIND.open(wanted)
        outcome = await channel.send(delivery)
        await channel.close()

    assert outcome == Sent("2.0.0 OK: queued", 250)
    [mail] = server.mails()
    assert mail.content == compose(delivery, mailbox_of(delivery.target), sender_of(wanted)).content
    assert (mail.sender, mail.recipient, mail.is_encrypted, mail.login) == (SENDER, "will@example.org", False, None)
    assert mail.options == (f"SIZE={len(mail.content)}",)
    message = mail.message
    assert message["Subject"] == "Größe"
    assert message["To"] == "Wíll <will@example.org>"
    text, html = message.iter_parts()
    assert (text.get_content_type(), text.get_content()) == ("text/plain", "日本語\r\n.\r\n")
    assert (html.get_content_type(), html.get_content().strip()) == ("text/html", "<p>日本語</p>")


async def test_a_rendered_message_arrives_readable() -> None:
    content = Content(
        to="#admins",
        subject="Order 42 failed",
        body="<p><b>Card declined</b> for Müller &amp; Söhne</p><script>alert(1)</script>",
        link=Link(url="https://shop.example/orders/42", text="Open order"),
    )
    async with MailServer() as server:
        channel = KIND.open(settings(server))
        outcome = await channel.send(replace(outgoing(), content=Rendered(content)))
        await channel.close()

    assert isinstance(outcome, Sent)
    [mail] = server.mailbox("will@example.org")
    text, html = (part.get_content() for part in mail.message.iter_parts())
    assert mail.message["Subject"] == "Order 42 failed"
    for body in (text, html):
        assert "https://shop.example/orders/42" in body
        assert "Card declined" in body
        assert "<script" not in body
    assert "Müller & Söhne" in text


NASTY = [
    outgoing(
        name="smuggle", text="\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\n.\r\n"
    ),
    outgoing(name="smuggle-lf", text="\n.\nMAIL FROM:<evil@example.com>\n", html="\r.\rQUIT\r"),
    outgoing(name="subject", subject="x\r\nBcc: victim@example.com\r\n\r\n.\r\n"),
    outgoing(name="word", subject="=?utf-8?q?x=0D=0ABcc=3A_victim@example.com?="),
    outgoing(name="group", group="#a>,<victim@example.com>\x7f=?utf-8?q?=0A?="),
    outgoing({"address": "will@example.org", "name": '"><victim@example.com>, "'}, name="name"),
    outgoing(name="long", text="x" * 100_000, html="y" * 100_000, subject="z" * 2000),
    outgoing(name="controls", text="\0\x1b[2J\x7f", html="\0", subject="\0\x1b"),
    outgoing(name="dots", text=".\n..\n...\n" * 10, html=".\r\n"),
]


async def test_nothing_in_a_message_makes_another_mail_or_another_header() -> None:
    async with MailServer() as server:
        wanted = settings(server, concurrency=1)
        channel = KIND.open(wanted)
        for delivery in NASTY:
            assert isinstance(await channel.send(delivery), Sent)
        await channel.close()

    mails = server.mailbox("will@example.org")
    assert server.mails() == mails
    assert [mail.content for mail in mails] == [
        compose(delivery, mailbox_of(delivery.target), sender_of(wanted)).content for delivery in NASTY
    ]
    for mail in mails:
        assert mail.message["Bcc"] is None
        assert [address.addr_spec for address in mail.message["To"].addresses] == ["will@example.org"]
        assert len(list(mail.message.iter_parts())) == 2


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
@pytest.mark.parametrize("login", [None, LOGIN])
async def test_every_kind_of_security_with_and_without_login(
    security: Security, login: tuple[str, str] | None, tmp_path: Path
) -> None:
    async with MailServer(
        tls=server_tls() if security == "tls" else None,
        starttls=server_tls() if security == "starttls" else None,
        login=login,
    ) as server:
        channel = KIND.open(settings(server, security=security, ca_file=authority_file(tmp_path), login=login))
        outcome = await channel.send(outgoing())
        results = await channel.check()
        await channel.close()

    assert isinstance(outcome, Sent)
    [mail] = server.mails()
    assert mail.is_encrypted is (security != "none")
    assert mail.login == (login[0] if login is not None else None)
    assert all(result.ok for result in results)
    assert [result.what for result in results] == ["EHLO", "login"][: 1 if login is None else 2]
    assert results[0].detail.endswith("not encrypted" if security == "none" else ", TLSv1.3")


REFUSALS_OF_OURS: list[tuple[str, Security, str, str]] = [
    # What the server is, what we think it is, whether we know its authority; the code and the variable to mend.
    ("tls", "tls", "certificate", "ROUTER_EMAIL__CA_FILE"),
    ("starttls", "starttls", "certificate", "ROUTER_EMAIL__CA_FILE"),
    ("tls for another name", "tls", "certificate", "ROUTER_EMAIL__HOST"),
    ("starttls for another name", "starttls", "certificate", "ROUTER_EMAIL__HOST"),
    ("none", "starttls", "starttls", "ROUTER_EMAIL__SECURITY"),
    ("none", "tls", "tls", "ROUTER_EMAIL__SECURITY"),
    ("starttls", "none", "530", "ROUTER_EMAIL__SECURITY"),
    ("wants a login", "none", "530", "ROUTER_EMAIL__USERNAME"),
    ("wants another login", "none", "535", "ROUTER_EMAIL__PASSWORD"),
    ("has no login", "none", "auth", "ROUTER_EMAIL__USERNAME"),
]


@pytest.mark.parametrize(("kind", "security", "code", "variable"), REFUSALS_OF_OURS)
async def test_a_mistake_in_our_settings_is_the_channels_and_named(
    kind: str, security: Security, code: str, variable: str, tmp_path: Path
) -> None:
    names = ["mail.elsewhere.example"] if kind.endswith("another name") else []
    logins = {
        "wants a login": (LOGIN, None),
        "wants another login": (LOGIN, ("router", "wrong")),
        "has no login": (None, LOGIN),
    }
    wanted, ours = logins.get(kind, (None, None))
    knows_authority = bool(names) or code != "certificate"
    async with MailServer(
        tls=server_tls(*names) if kind.startswith("tls") else None,
        starttls=server_tls(*names) if kind.startswith("starttls") else None,
        login=wanted,
    ) as server:
        ca_file = authority_file(tmp_path) if knows_authority else None
        channel = KIND.open(settings(server, security=security, ca_file=ca_file, login=ours))
        outcome = await channel.send(outgoing())
        await channel.close()

    assert isinstance(outcome, Rejected)
    assert outcome.scope is Scope.CHANNEL
    assert str(outcome.code) == code
    assert variable in outcome.reason
    assert LOGIN[1] not in outcome.reason
    assert server.mails() == ()


async def test_plain_talk_to_a_server_that_speaks_tls_ends_in_time() -> None:
    async with MailServer(tls=server_tls()) as server:
        channel = KIND.open(settings(server, connect_timeout_seconds=0.2))
        outcome = await channel.send(outgoing())
        await channel.close()

    assert isinstance(outcome, Retry)
    assert outcome.code == "timeout"


async def test_a_wrong_answer_to_starttls_never_leads_on_in_the_clear(tmp_path: Path) -> None:
    for reply, code in (
        ("250 whatever", 250),
        ("454 4.7.0 not now", 454),
        ("500 never", 500),
        (Script.CUT, "disconnected"),
    ):
        script = Script(STARTTLS=reply)
        async with MailServer(starttls=server_tls(), login=LOGIN, answer=script) as server:
            channel = KIND.open(settings(server, security="starttls", ca_file=authority_file(tmp_path), login=LOGIN))
            outcome = await channel.send(outgoing())
            await channel.close()

        assert isinstance(outcome, Rejected if code == 500 else Retry)
        assert getattr(outcome, "code", None) == code
        assert script.reached["AUTH"] == script.reached["MAIL"] == 0


async def test_a_login_is_never_quoted_back() -> None:
    script = Script(AUTH="535 5.7.8 no such login AHJvdXRlcgBodW50ZXIyIMOx hunter2")
    async with MailServer(login=LOGIN, answer=script) as server:
        channel = KIND.open(settings(server, login=LOGIN))
        outcome = await channel.send(outgoing())
        results = await channel.check()
        await channel.close()

    for said in (repr(outcome), repr(results)):
        assert "hunter2" not in said
        assert "AHJvdXRlcg" not in said
        assert "535 5.7.8" in said


REPLIES = [
    ("RCPT", "550 5.1.1 unknown", Scope.TARGET),
    ("RCPT", "450 4.2.0 greylisted", None),
    ("MAIL", "553 5.7.1 not your address", Scope.CHANNEL),
    ("MAIL", "552 5.3.4 too big", Scope.MESSAGE),
    ("MAIL", "451 4.3.0 later", None),
    ("DATA", "554 5.5.1 no", Scope.MESSAGE),
    ("DATA", "451 4.3.0 later", None),
    ("END", "554 5.7.1 spam", Scope.MESSAGE),
    ("END", "550 5.1.1 unknown after all", Scope.TARGET),
    ("END", "452 4.3.1 disk full", None),
    ("CONNECT", "554 no service", Scope.CHANNEL),
    ("CONNECT", "421 4.3.0 later", None),
    ("EHLO", "550 who are you", Scope.CHANNEL),
    ("EHLO", "421 later", None),
    ("MAIL", "not SMTP at all", None),
]


@pytest.mark.parametrize(("stage", "reply", "scope"), REPLIES)
async def test_a_refusal_at_each_stage_and_the_next_mail_passes(stage: str, reply: str, scope: Scope | None) -> None:
    script = Script().then(stage, reply)
    async with MailServer(answer=script) as server:
        channel = KIND.open(settings(server))
        refused = await channel.send(outgoing(name="refused"))
        passed = await channel.send(outgoing(name="passed"))
        await channel.close()

    if scope is None:
        assert isinstance(refused, Retry)
    else:
        assert isinstance(refused, Rejected)
        assert refused.scope is scope
    assert isinstance(passed, Sent)
    [mail] = server.mails()
    assert mail.message["Message-ID"] == f"<{outgoing(name='passed').uuid}@sender.example>"


async def test_a_recipient_that_does_not_exist_is_refused_and_costs_no_connection() -> None:
    async with MailServer(refused=["gone@example.org"]) as server:
        channel = KIND.open(settings(server))
        outcomes = [await channel.send(outgoing(who)) for who in ("gone@example.org", "will@example.org") * 3]
        await channel.close()

    assert [type(outcome) for outcome in outcomes] == [Rejected, Sent] * 3
    assert outcomes[0] == Rejected(
        "the mail server refuses this recipient: 550 5.1.1 <gone@example.org>: Recipient address rejected: User unknown",
        Scope.TARGET,
        550,
    )
    assert len(server.mailbox("will@example.org")) == 3
    assert server.connections == 1


async def test_a_message_over_the_servers_size_is_refused_before_it_is_sent() -> None:
    script = Script()
    async with MailServer(max_message_bytes=5000, answer=script) as server:
        channel = KIND.open(settings(server))
        outcome = await channel.send(outgoing(text="x" * 6000))
        await channel.close()

    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code, script.reached["RCPT"]) == (Scope.MESSAGE, 552, 0)


INTERNATIONAL: list[tuple[JsonValue, str, bool]] = [
    ("will@bücher.example", "will@xn--bcher-kva.example", False),
    ("Jürgen <j@example.org>", "j@example.org", False),
    ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example", True),
    ("用户@example.org", "用户@example.org", True),
]


@pytest.mark.parametrize(("target", "recipient", "needs_smtputf8"), INTERNATIONAL)
async def test_international_addresses(target: JsonValue, recipient: str, needs_smtputf8: bool) -> None:
    async with MailServer() as server:
        channel = KIND.open(settings(server))
        assert isinstance(await channel.send(outgoing(target)), Sent)
        await channel.close()

    [mail] = server.mailbox(recipient)
    assert ("SMTPUTF8" in mail.options) is needs_smtputf8
    assert mail.content.isascii() is not needs_smtputf8


@pytest.mark.parametrize(("target", "recipient", "needs_smtputf8"), INTERNATIONAL)
async def test_a_server_without_smtputf8(target: JsonValue, recipient: str, needs_smtputf8: bool) -> None:
    async with MailServer(smtputf8=False) as server:
        channel = KIND.open(settings(server))
        outcome = await channel.send(outgoing(target))
        assert isinstance(await channel.send(outgoing("other@example.org")), Sent)
        await channel.close()

    if needs_smtputf8:
        assert isinstance(outcome, Rejected)
        assert (outcome.scope, outcome.code) == (Scope.TARGET, "smtputf8")
    else:
        assert len(server.mailbox(recipient)) == 1
    assert server.connections == 1


async def test_a_sender_that_the_server_cannot_take_is_the_channels_matter() -> None:
    async with MailServer(smtputf8=False) as server:
        channel = KIND.open(settings(server, sender="röuter@sender.example"))
        outcome = await channel.send(outgoing())
        await channel.close()

    assert isinstance(outcome, Rejected)
    assert outcome.scope is Scope.CHANNEL
    assert "ROUTER_EMAIL__SENDER" in outcome.reason


async def test_a_target_that_never_was_a_mailbox_is_refused() -> None:
    delivery = outgoing()
    broken = replace(delivery, target=Target("email", "a@b.example\r\nRCPT TO:<c@d.example>", "shown"))
    async with MailServer() as server:
        channel = KIND.open(settings(server))
        outcome = await channel.send(broken)
        await channel.close()

    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code, server.connections) == (Scope.TARGET, "address", 0)


async def test_a_check_sends_nothing_and_says_what_is_wrong() -> None:
    script = Script()
    async with MailServer(login=LOGIN, answer=script) as server:
        good, bad = (KIND.open(settings(server, login=login)) for login in (LOGIN, ("router", "wrong")))
        passed, failed = await good.check(), await bad.check()
        assert server.connections == 2
    began = time.monotonic()
    [down] = await good.check()

    assert [(result.what, result.ok) for result in passed] == [("EHLO", True), ("login", True)]
    assert passed[1].detail == "as router"
    assert [(result.what, result.ok) for result in failed] == [("login", False)]
    assert "ROUTER_EMAIL__PASSWORD" in failed[0].detail
    assert (down.what, down.ok) == ("connection", False)
    assert "nothing listens at 127.0.0.1" in down.detail
    assert time.monotonic() - began < 3
    assert (script.reached["MAIL"], script.reached["QUIT"]) == (0, 1)
    assert server.mails() == ()
