"""Pure: one mailbox, as the mapping or a setting writes it, checked and brought into one form."""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

import idna

MAX_LOCAL_BYTES = 64
"""RFC 5321 section 4.5.3.1.1."""
MAX_ADDRESS_BYTES = 254
"""RFC 5321 section 4.5.3.1.3: a path has 256 octets, two of them its angle brackets."""
MAX_DOMAIN_CHARS = 253
"""RFC 1035 section 2.3.4, as text without the root's dot."""
MAX_NAME_CHARS = 200
"""Ours: no person's name is longer, and a header has to hold it."""

EXAMPLE = "will@example.org"

_ATOM_TEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]")
"""RFC 5322 section 3.2.3; RFC 6531 section 3.3 adds every character beyond ASCII."""
_ATOM = re.compile(f"(?:{_ATOM_TEXT.pattern})+")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
_QUOTED = re.compile(r'"(?P<inside>(?:[^"\\]|\\.)*)"')
_UNFIT_FOR_A_NAME = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Controls, half characters and line separators. Joiners stay: Persian and Hindi names need them."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address that passed every check, and the name beside it."""

    local: str
    """The part before the @, as it was written: only its own server may say which spellings are one."""
    domain: str
    """Lower case and ASCII (`xn--…` where it is international), so that every spelling of it is one address."""
    name: str | None = None

    @property
    def address(self) -> str:
        """`local@domain`."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 (RFC 6531) can take the address."""
        return not self.local.isascii()


def read_mailbox(text: str) -> Mailbox:
    """The mailbox that `text` writes, as `a@b.example` or `Name <a@b.example>`.

    Raises ValueError; its text says what must be otherwise, and goes after the name of the place.
    """
    text = text.strip()
    named = _NAMED.fullmatch(text)
    if named is None:
        return read_address(text)
    mailbox = read_address(named["address"].strip())
    name = named["name"].strip()
    quoted = _QUOTED.fullmatch(name)
    if quoted is not None:
        name = re.sub(r"\\(.)", r"\1", quoted["inside"]).strip()
    return Mailbox(mailbox.local, mailbox.domain, read_name(name) if name else None)


def read_address(text: str) -> Mailbox:
    """The mailbox of a bare address. Raises ValueError as `read_mailbox` does."""
    if not text:
        raise ValueError(f"must be an address such as {EXAMPLE}, not an empty text")
    # Of the printable characters, only this one is a space.
    if not text.isprintable() or " " in text:
        raise ValueError(
            f"must be an address such as {EXAMPLE} without spaces and control characters, not {text!r:.80}"
        )
    if '"' in text or "(" in text:
        raise ValueError(f"must be an address such as {EXAMPLE} without quotes and comments, not {text!r:.80}")
    if "," in text or ";" in text:
        raise ValueError(f"must be one address such as {EXAMPLE}; write several as a list, not {text!r:.80}")
    if text.lower().startswith("mailto:"):
        raise ValueError(f"must be an address such as {EXAMPLE} without mailto:, not {text!r:.80}")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise ValueError(f"must be an address such as {EXAMPLE}, not {text!r:.80}")
    _check_local(local)
    mailbox = Mailbox(local, read_domain(domain))
    if len(mailbox.address.encode()) > MAX_ADDRESS_BYTES:
        raise ValueError(f"must be an address of at most {MAX_ADDRESS_BYTES} bytes")
    return mailbox


def _check_local(local: str) -> None:
    if len(local.encode()) > MAX_LOCAL_BYTES:
        raise ValueError(f"must have at most {MAX_LOCAL_BYTES} bytes before the @")
    for atom in local.split("."):
        if not atom:
            raise ValueError(f"must have dots only between other characters before the @, not {local!r:.80}")
        if _ATOM.fullmatch(atom):
            continue
        for char in atom:
            if char.isascii() and not _ATOM_TEXT.fullmatch(char):
                raise ValueError(f"must be an address such as {EXAMPLE}, without {char!r} before the @")
    if "=?" in local:
        # Mail programs decode an encoded word (RFC 2047) even here, where it has no business: what they show would not be this.
        raise ValueError("must be an address without =? before the @")


def read_domain(text: str) -> str:
    """The domain in its one form: lower case, ASCII (IDNA 2008 after the mapping of UTS 46).

    Raises ValueError as `read_mailbox` does.
    """
    if text.startswith("["):
        raise ValueError("must have a domain's name after the @, such as example.org, not a number in brackets")
    domain = _ascii_labels(text, _LABEL)
    if domain is None:
        raise ValueError(f"must have a domain such as example.org or bücher.example after the @, not {text!r:.80}")
    if domain.rpartition(".")[2].isdigit():
        raise ValueError(f"must have a domain's name after the @, such as example.org, not {text!r:.80}")
    return domain


def read_host(text: str) -> str:
    """The server's name in ASCII, or its IP address. Raises ValueError when it is neither."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        host = _ascii_labels(text, _HOST_LABEL)
    if host is None:
        raise ValueError(f"must be a server's name such as mail.example.org, without a port, not {text!r:.80}")
    return host


def _ascii_labels(text: str, plain_label: re.Pattern[str]) -> str | None:
    """`text` in ASCII if each of its labels is valid, else None."""
    try:
        # To ASCII, the mapping does no more than this; most domains are, and each mail has one.
        mapped = text.lower() if text.isascii() else idna.uts46_remap(text, std3_rules=False)
        labels = [_ascii_label(label, plain_label) for label in mapped.split(".")]
    except idna.IDNAError:
        return None
    ascii_text = ".".join(labels)
    return ascii_text if "" not in labels and len(ascii_text) <= MAX_DOMAIN_CHARS else None


def _ascii_label(label: str, plain_label: re.Pattern[str]) -> str:
    # Plain labels don't go through idna: it refuses hyphens in the third and fourth place, which real hosts have.
    if label.isascii() and not label.startswith("xn--"):
        return label if plain_label.fullmatch(label) else ""
    return idna.alabel(label).decode("ascii")


def read_name(text: str) -> str:
    """The name beside an address. Raises ValueError as `read_mailbox` does."""
    if any(unicodedata.category(char) in _UNFIT_FOR_A_NAME for char in text):
        raise ValueError("must have a name without line breaks and control characters")
    if len(text) > MAX_NAME_CHARS:
        raise ValueError(f"must have a name of at most {MAX_NAME_CHARS} characters")
    return " ".join(text.split())
