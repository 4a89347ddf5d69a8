"""The bytes of a mail: parsed back they say what was meant, and nothing that anybody slipped in."""

import re
from dataclasses import replace
from datetime import timedelta, timezone
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses, parsedate_to_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.channels.base import Outgoing
from router.channels.email.access import sender_of
from router.channels.email.compose import Mail, compose, list_id
from router.channels.email.headers import fixed_line, one_line
from router.channels.email.target import mailbox_of
from router.documents.json_types import JsonValue
from router.documents.message import check_group_name
from tests.channels.mails import CREATED_AT, outgoing, settings

HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "List-Id",
    "MIME-Version",
    "Content-Type",
]


def composed(delivery: Outgoing, sender_name: str = "Notifications", sender: str = "router@sender.example") -> Mail:
    wanted = settings(port=25, sender=sender, sender_name=sender_name)
    return compose(delivery, mailbox_of(delivery.target), sender_of(wanted))


def parsed(mail: Mail) -> Message:
    return message_from_bytes(mail.content, policy=compat32)


def decoded(value: str) -> str:
    """A header's value as a mail program shows it (RFC 2047), line folding undone."""
    return str(make_header(decode_header(re.sub(r"\r?\n(?=[ \t])", "", value))))


def mailbox_in(value: str) -> tuple[str, str]:
    """The one name and address in a header."""
    [(name, address)] = getaddresses([re.sub(r"\r?\n(?=[ \t])", "", value)])
    return str(make_header(decode_header(name))), address


def parts_of(mail: Mail) -> list[tuple[str, str]]:
    message = parsed(mail)
    assert message.get_content_type() == "multipart/alternative"
    payload = message.get_payload()
    assert isinstance(payload, list)
    found = []
    for part in payload:
        assert isinstance(part, Message)
        assert part["Content-Transfer-Encoding"] in ("quoted-printable", "base64")
        body = part.get_payload(decode=True)
        assert isinstance(body, bytes)
        found.append((part.get_content_type(), body.decode().replace("\r\n", "\n")))
    return found


def test_a_mail_byte_for_byte() -> None:
    mail = composed(
        outgoing(
            {"address": "will@example.org", "name": "Will Hunt"},
            text="Größe: 5 €, and nothing but ASCII after that\n",
            html="<p>Hi</p>",
        )
    )

    assert mail.content.decode("ascii") == (
        "From: Notifications <router@sender.example>\r\n"
        "To: Will Hunt <will@example.org>\r\n"
        "Subject: Order 42 failed\r\n"
        "Date: Sat, 21 Nov 2026 08:27:00 +0000\r\n"
        f"Message-ID: <{outgoing().uuid}@sender.example>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "X-Auto-Response-Suppress: All\r\n"
        'List-Id: "#admins" <admins.sender.example>\r\n'
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/alternative;\r\n"
        f' boundary="=_{outgoing().uuid.hex}"\r\n'
        "\r\n"
        f"--=_{outgoing().uuid.hex}\r\n"
        'Content-Type: text/plain; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        "Gr=C3=B6=C3=9Fe: 5 =E2=82=AC, and nothing but ASCII after that\r\n"
        "\r\n"
        f"--=_{outgoing().uuid.hex}\r\n"
        'Content-Type: text/html; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
        "<p>Hi</p>\r\n"
        "\r\n"
        f"--=_{outgoing().uuid.hex}--\r\n"
    )


def test_every_attempt_has_the_same_bytes_and_every_delivery_its_own_message_id() -> None:
    assert composed(outgoing()).content == composed(outgoing()).content
    ids = {parsed(composed(outgoing(name=name)))["Message-ID"] for name in ("a", "b", "c")}
    assert len(ids) == 3


def test_the_date_is_that_of_the_message_wherever_it_was_written() -> None:
    there = CREATED_AT.astimezone(timezone(timedelta(hours=9)))
    date = parsed(composed(replace(outgoing(), created_at=there)))["Date"]

    assert parsedate_to_datetime(date) == CREATED_AT.replace(microsecond=0)
    assert date.endswith("+0000")


anything = st.text(st.characters() | st.characters(categories=["Cs", "Cc"]), max_size=120)
LINE_TRICKS = ("\r", "\n", "\r\n", "\u2028", "\x85", "\0", "\t", " ", "a" * 80, "ü" * 50, "\ud800", "日本語")
HEADER_TRICKS = ("Bcc: evil@example.com", "=?utf-8?q?", "=0D=0A", "?=", '"', "\\", "<", ">", ",", ":", ".", "=_", "--")
wire_tricks = st.lists(st.sampled_from((*LINE_TRICKS, *HEADER_TRICKS)), max_size=20).map("".join)
words = anything | wire_tricks
names = words.map(lambda text: one_line(text).replace("\ufffd", "")[:200])
groups = words.map(lambda text: "#" + "".join(c for c in text if c.isprintable() and not c.isspace())[:199])


@given(subject=words, name=names, sender_name=names, group=groups.filter(lambda group: len(group) > 1))
@example(subject="=?utf-8?q?x=0D=0ABcc=3A_evil@example.com?=", name="a", sender_name="b", group="#a")
@example(subject="x\r\nBcc: evil@example.com\r\n\r\nbody", name='", <evil@example.com>', sender_name="\\", group='#">')
@example(subject="", name="", sender_name="", group="#=?utf-8?q?=0A?=")
def test_headers_say_what_was_given_and_nothing_more(subject: str, name: str, sender_name: str, group: str) -> None:
    check_group_name(group)
    delivery = outgoing({"address": "will@example.org", "name": name}, group=group, subject=subject)
    mail = composed(delivery, sender_name=sender_name)
    message = parsed(mail)

    assert message.keys() == HEADERS
    assert message.defects == []
    assert decoded(message["Subject"]) == one_line(subject)
    assert mailbox_in(message["To"]) == (one_line(name), "will@example.org")
    assert mailbox_in(message["From"]) == (one_line(sender_name), "router@sender.example")
    assert message["Message-ID"] == f"<{delivery.uuid}@sender.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    description, _, identifier = re.sub(r"\r?\n(?=[ \t])", "", message["List-Id"]).rpartition(" ")
    assert mailbox_in(f"{description} <x@y.z>")[0] == one_line(group)
    assert re.fullmatch(r"<[a-z0-9-]+\.sender\.example>", identifier)
    head = mail.content.partition(b"\r\n\r\n")[0]
    assert all(len(line) <= 78 for line in head.split(b"\r\n"))
    assert head.isascii()
    assert b"\r" not in head.replace(b"\r\n", b"")


@given(text=words, html=words)
@example(
    text=f"--=_{outgoing().uuid.hex}\r\nContent-Type: text/html\r\n\r\n<script>",
    html=f"--=_{outgoing().uuid.hex}--\r\n",
)
@example(text="\r\n.\r\nMAIL FROM:<evil@example.com>\r\n", html="\n.\n")
@example(text="x" * 5000, html="From here\nFrom there")
def test_bodies_come_back_as_they_were_and_never_end_their_part(text: str, html: str) -> None:
    mail = composed(outgoing(text=text, html=html))

    def kept(body: str) -> str:
        sound = body.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return "".join(line + "\n" for line in re.split(r"\r\n|\r|\n", sound)).removesuffix("\n\n") + "\n"

    def trimmed(body: str) -> str:
        return re.sub(r"\n+\Z", "\n", body)

    (text_kind, text_body), (html_kind, html_body) = parts_of(mail)
    assert (text_kind, html_kind) == ("text/plain", "text/html")
    assert trimmed(text_body) == trimmed(kept(text))
    assert trimmed(html_body) == trimmed(kept(html))
    assert mail.content.isascii()
    assert all(len(line) <= 78 for line in mail.content.split(b"\r\n"))
    assert b"\n" not in mail.content.replace(b"\r\n", b"")


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    mail = composed(outgoing(subject="a\ud800b", text="a\ud800b", html="a\udc00b"))

    assert decoded(parsed(mail)["Subject"]) == "a\ufffdb"
    assert [body for _, body in parts_of(mail)] == ["a\ufffdb\n", "a\ufffdb\n"]


def test_an_address_beyond_ascii_is_written_as_it_is() -> None:
    mail = composed(outgoing("Jürgen <jürgen@bücher.example>"))

    assert mail.needs_smtputf8
    assert "<jürgen@xn--bcher-kva.example>\r\n".encode() in mail.content
    assert mail.content.split(b"\r\n")[1].startswith(b"To: =?utf-8?")


@pytest.mark.parametrize(
    "target", ["will@example.org", "Jürgen <j@bücher.example>", {"address": "a@b.example", "name": "日本語"}]
)
def test_other_mails_are_ascii(target: JsonValue) -> None:
    mail = composed(outgoing(target, subject="日本語", text="日本語", html="<p>日本語"))

    assert not mail.needs_smtputf8
    assert mail.content.isascii()


@pytest.mark.parametrize(
    ("group", "identifier"),
    [
        ("#admins", "admins.example.org"),
        ("#on-call", "on-call.example.org"),
        ("#admins2", "admins2.example.org"),
        ("#Admins", "admins-264bd9775273.example.org"),
        ("#Größe/Ä", None),
        ("#" + "日" * 199, None),
        ("##", None),
        ("#a>\x7f", None),
        ("#.", None),
        ("#" + "a" * 199, None),
    ],
)
def test_the_list_id_of_a_group(group: str, identifier: str | None) -> None:
    made = list_id(group, "example.org")

    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.example\.org", made)
    if identifier is not None:
        assert made == identifier


def test_groups_that_look_alike_have_list_ids_of_their_own() -> None:
    groups = [
        "#admins",
        "#Admins",
        "#ADMINS",
        "#admins.",
        "#ädmins",
        "#dmins",
        "#日本",
        "#日本語",
        "#" + "a" * 60,
        "#" + "a" * 61 + "b",
    ]

    assert len({list_id(group, "example.org") for group in groups}) == len(groups)


def test_the_list_id_has_the_domain_that_is_set() -> None:
    wanted = settings(port=25, list_id_domain="Lists.Bücher.example")
    mail = compose(outgoing(), mailbox_of(outgoing().target), sender_of(wanted))

    assert parsed(mail)["List-Id"] == '"#admins" <admins.lists.xn--bcher-kva.example>'


def test_a_fixed_header_takes_only_plain_text() -> None:
    with pytest.raises(ValueError, match="X-Test"):
        fixed_line("X-Test", "a\r\nBcc: b")
