"""Pure: a target of the mapping as a mailbox."""

from functools import lru_cache

from router.channels.base import Target, TargetError
from router.channels.email.mailbox import EXAMPLE, Mailbox, read_address, read_mailbox, read_name
from router.documents.json_types import JsonValue
from router.documents.problems import kind_of
from router.settings import EmailSettings

CHANNEL = "email"

MAX_KNOWN = 10_000
"""How many addresses that were read need not be read again; the same ones get mail after mail."""

_known = lru_cache(MAX_KNOWN)(read_address)


def parse_target(value: JsonValue, _settings: EmailSettings) -> Target:
    """Read `a@b.example`, `Name <a@b.example>` or `{"address": …, "name": …}`. Raises TargetError."""
    try:
        mailbox = _mailbox(value)
    except TargetError:
        raise
    except ValueError as error:
        raise TargetError(str(error)) from None
    options = {"name": mailbox.name} if mailbox.name else {}
    return Target(CHANNEL, mailbox.address, mailbox.address, options)


def mailbox_of(target: Target) -> Mailbox:
    """The mailbox that `target` stands for. Raises ValueError for an address that never went through `parse_target`."""
    mailbox = _known(target.address)
    return Mailbox(mailbox.local, mailbox.domain, target.options.get("name"))


def _mailbox(value: JsonValue) -> Mailbox:
    if isinstance(value, str):
        return read_mailbox(value)
    if not isinstance(value, dict):
        raise TargetError(f'must be an address such as {EXAMPLE}, or an object with "address", not {kind_of(value)}')
    if "address" not in value:
        raise TargetError(f'must have "address" with an address such as {EXAMPLE}')
    address, name = value["address"], value.get("name")
    if not isinstance(address, str):
        raise TargetError(f'must have a text such as {EXAMPLE} as "address", not {kind_of(address)}')
    if name is not None and not isinstance(name, str):
        raise TargetError(f'must have a text as "name", not {kind_of(name)}')
    mailbox = read_mailbox(address)
    if name is None or not name.strip():
        return mailbox
    return Mailbox(mailbox.local, mailbox.domain, read_name(name))
