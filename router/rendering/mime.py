"""A text as one part of a mail: encoded so that every server takes it as it is."""

import base64
import re

LINE_BREAK = b"\r\n"
_MAX_LINE_CHARS = 76
"""RFC 2045 section 6.7."""
_PLAIN = bytes(range(ord(" "), ord("~") + 1)) + b"\t\n"
"""What quoted-printable can leave as it is, but for the `=`."""
_NOT_PLAIN = re.compile(rb"[^\t\n -~]")


def text_part(text: str, subtype: str) -> bytes:
    """`text` as a part of type `text/<subtype>`: its headers, then the text in whole lines, which end in CR LF.

    A text is always encoded, never left as it is: no server then has to offer 8BITMIME, no line is too long for one, and
    none can pass for a boundary that has a `=_`, which neither encoding can produce (RFC 2045 section 6.7).
    """
    raw = _storable(text)
    lines = raw.splitlines()
    if _is_shorter_as_base64(raw):
        encoding, encoded = "base64", base64.encodebytes(LINE_BREAK.join(lines) + LINE_BREAK)
    else:
        encoding, encoded = "quoted-printable", _quoted_printable(b"\n".join(lines)) + b"\n"
    head = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + encoded.replace(b"\n", LINE_BREAK)


def _is_shorter_as_base64(raw: bytes) -> bool:
    """Quoted-printable makes three characters of a byte beyond ASCII, base64 four of any three bytes."""
    beyond_ascii = len(raw) - len(raw.decode("ascii", "ignore"))
    return beyond_ascii * 3 + (len(raw) - beyond_ascii) > len(raw) * 4 / 3


def _quoted_printable(lines: bytes) -> bytes:
    """Lines that end in LF, encoded (RFC 2045 section 6.7).

    The stdlib has two such functions: one takes several times as long, the other makes lines of 78 characters.
    """
    lines = lines.replace(b"=", b"=3D")
    if lines.translate(None, delete=_PLAIN):
        lines = _NOT_PLAIN.sub(lambda found: _quoted(found[0]), lines)
    out: list[bytes] = []
    for line in lines.split(b"\n"):
        if line.endswith((b" ", b"\t")):
            # It might get lost on the way.
            line = line[:-1] + _quoted(line[-1:])
        start = 0
        while len(line) - start > _MAX_LINE_CHARS:
            end = start + _MAX_LINE_CHARS - 1
            # The three characters of a quoted byte stay together.
            quoted = line.find(b"=", end - 2, end)
            end = end if quoted < 0 else quoted
            out.append(line[start:end] + b"=")
            start = end
        out.append(line[start:])
    return b"\n".join(out)


def _quoted(byte: bytes) -> bytes:
    return b"=%02X" % ord(byte)


def _storable(text: str) -> bytes:
    """`text` as UTF-8, without the lone halves of surrogate pairs that JSON may smuggle in: they have none."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
