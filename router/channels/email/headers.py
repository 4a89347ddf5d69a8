"""Pure: header lines that say exactly what they were given, whatever that is.

The stdlib's header objects read a value as if it came off the wire: they decode an encoded word that an app's subject
happens to hold, line breaks inside it included. So each line is written here, in one of two shapes that leave nothing
to be read into: plain ASCII of harmless characters, or encoded words (RFC 2047) throughout.
"""

import re
import unicodedata
from email.header import Header

from router.channels.email.mailbox import Mailbox

LINE_BREAK = "\r\n"
_MAX_LINE_CHARS = 76
"""RFC 2047 section 2 for a line with an encoded word; well below the 998 of RFC 5322 section 2.1.1."""
_PHRASE = re.compile(r"[A-Za-z0-9 ]+")
_QUOTABLE = re.compile(r"[\x20-\x7e]+")


def one_line(text: str) -> str:
    """`text` with each run of white space as one space, and a replacement character for what no mail may carry."""
    joined = " ".join(text.split())
    if joined.isprintable():
        return joined
    return "".join("\ufffd" if unicodedata.category(char) in ("Cc", "Cs") else char for char in joined)


def text_line(name: str, text: str) -> str:
    """An unstructured header, `Subject` say."""
    text = one_line(text)
    plain = text.isascii() and "=?" not in text and len(name) + 2 + len(text) <= _MAX_LINE_CHARS
    return _line(name, text if plain else _encoded(name, text))


def mailbox_line(name: str, mailbox: Mailbox) -> str:
    """A header with one mailbox: `From`, `To`. Beyond ASCII only if the mailbox needs SMTPUTF8."""
    return _named(name, mailbox.name, mailbox.address)


def list_line(name: str, description: str, list_id: str) -> str:
    """A header with a description and an identifier (RFC 2919): `List-Id`."""
    return _named(name, description, list_id)


def fixed_line(name: str, value: str) -> str:
    """A header whose value we made ourselves, from nobody's text. Raises ValueError if that is not so."""
    if not _QUOTABLE.fullmatch(value):
        raise ValueError(f"{name} is no plain text")
    return _line(name, value)


def _named(name: str, label: str | None, inside: str) -> str:
    label = one_line(label or "")
    if not label:
        return _line(name, inside if "@" in inside else f"<{inside}>")
    phrase = _phrase(name, label)
    last_line_chars = len(phrase.rpartition(LINE_BREAK)[2]) + (0 if LINE_BREAK in phrase else len(name) + 2)
    fits = last_line_chars + len(inside) + 3 <= _MAX_LINE_CHARS
    return _line(name, f"{phrase}{'' if fits else LINE_BREAK} <{inside}>")


def _phrase(name: str, text: str) -> str:
    if len(name) + 2 + len(text) + 2 > _MAX_LINE_CHARS or "=?" in text or not _QUOTABLE.fullmatch(text):
        return _encoded(name, text)
    if _PHRASE.fullmatch(text):
        return text
    return _encoded(name, text) if '"' in text or "\\" in text else f'"{text}"'


def _encoded(name: str, text: str) -> str:
    return Header(text, "utf-8", maxlinelen=_MAX_LINE_CHARS, header_name=name).encode(linesep=LINE_BREAK)


def _line(name: str, value: str) -> str:
    return f"{name}: {value}{LINE_BREAK}"
