"""A text as a part of a mail comes back as it was, in lines that every server takes, and is encoded once for all."""

import re
from email import message_from_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.rendering import forms
from router.rendering.mime import text_part
from tests.rendering.hostile import any_text, examples
from tests.rendering.making import LINK, rendered

LONG = st.text(st.sampled_from("ab= \t\n.é"), min_size=60, max_size=240)
"""Lines about as long as a line may be, of what quoted-printable has rules for."""


@examples
@given(LONG | any_text)
@example("")
@example("\n\n")
@example(".\nFrom here\n--=_x\n")
@example("x" * 76)
@example("x" * 77)
@example("x" * 74 + " ")
@example("x" * 75 + "=" + "x" * 75 + "é")
@example("日本語" * 40)
def test_a_part_is_read_back_as_it_was(text: str) -> None:
    part = text_part(text, "plain")
    read = message_from_bytes(part)
    assert read.defects == []
    assert read.get_content_type() == "text/plain"
    body = read.get_payload(decode=True)
    assert isinstance(body, bytes)
    lines = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode().splitlines()
    assert body == b"".join(line + b"\r\n" for line in lines or [b""])
    encoded = part.partition(b"\r\n\r\n")[2]
    assert re.fullmatch(rb"(?:[\t -~]{0,76}\r\n)+", encoded)
    assert not re.search(rb"[\t ]\r\n", encoded)
    assert b"=_" not in encoded


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Card declined", b"quoted-printable"),
        ("Größe: 5 €, and nothing but ASCII after that", b"quoted-printable"),
        ("日本語", b"base64"),
    ],
)
def test_the_shorter_encoding_is_taken(text: str, encoding: bytes) -> None:
    assert b"Content-Transfer-Encoding: " + encoding + b"\r\n" in text_part(text, "plain")


def test_the_parts_of_a_mail_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(text: str, subtype: str) -> bytes:
        made.append(subtype)
        return text_part(text, subtype)

    monkeypatch.setattr(forms, "text_part", counted)
    message = rendered("<b>x</b>", "S", LINK)
    for _ in range(3):
        assert message.mail.parts == (text_part(message.mail.text, "plain"), text_part(message.mail.html, "html"))
    assert made == ["plain", "html"]
