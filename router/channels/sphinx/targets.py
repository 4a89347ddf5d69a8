"""Pure: reads a Sphinx target of the mapping, a person's pubkey with or without a route hint."""

import re
from dataclasses import dataclass
from typing import Final

from router.channels.base import Target, TargetError
from router.documents.json_types import JsonObject, JsonValue
from router.documents.problems import kind_of
from router.settings import SphinxSettings

CHANNEL: Final = "sphinx"

_PUBKEY: Final = re.compile(r"0[23][0-9a-f]{64}")
"""A compressed secp256k1 key in hex."""
_HINT: Final = re.compile(rf"(?P<lsp>{_PUBKEY.pattern})_(?P<scid>[0-9]{{1,20}})")
"""Where a person can be reached: the pubkey of their Lightning service provider, and a short channel id."""
_MAX_SCID: Final = 2**64 - 1
MAX_ALIAS_CHARS: Final = 100

_SHAPE: Final = "<pubkey>_<pubkey of the LSP>_<scid>, as the Sphinx app shows it (66 hex digits, 66 hex digits, digits)"


@dataclass(frozen=True, slots=True)
class Person:
    """A target's canonical address, taken apart."""

    pubkey: str
    has_hint: bool
    """Whether the bot can be asked to add them."""


def person_of(address: str) -> Person:
    """The person that a canonical address names."""
    pubkey, _, hint = address.partition("_")
    return Person(pubkey, bool(hint))


def parse_target(value: JsonValue, settings: SphinxSettings) -> Target:  # noqa: ARG001 - the contract hands them in
    """A text, or an object with `pubkey` and `route_hint` (or `address` for both) and `alias`, as a target.

    The address is lower case and whole, because a delivery that is taken up after a restart has nothing else: the bot cannot
    add a person without the hint. Raises TargetError.
    """
    if not isinstance(value, dict):
        return _target(_text(value, "the target"), {})
    if ("address" in value) == ("pubkey" in value):
        raise TargetError('must have "pubkey" (and "route_hint"), or "address" for both in one')
    if "address" in value:
        address = _text(value["address"], '"address"')
    else:
        address = _text(value["pubkey"], '"pubkey"')
        hint = value.get("route_hint")
        if not _PUBKEY.fullmatch(address.strip().lower()):
            raise TargetError(f'"pubkey" must be 66 hex digits that begin with 02 or 03, not {address!r:.80}')
        if hint is not None:
            route_hint = _text(hint, '"route_hint"')
            address = f"{address.strip()}_{route_hint.strip()}"
    return _target(address, value)


def _target(text: str, options: JsonObject) -> Target:
    pubkey, _, hint = text.strip().lower().partition("_")
    if not _PUBKEY.fullmatch(pubkey):
        raise TargetError(f"must be {_SHAPE}, not {text!r:.80}")
    address = pubkey
    if hint:
        found = _HINT.fullmatch(hint)
        if found is None or int(found["scid"]) > _MAX_SCID:
            raise TargetError(f"has a route hint that cannot be read; the whole must be {_SHAPE}")
        address = f"{pubkey}_{found['lsp']}_{int(found['scid'])}"
    elif "_" in text:
        raise TargetError(f"has an empty route hint; the whole must be {_SHAPE}")
    alias = options.get("alias")
    if alias is None:
        return Target(CHANNEL, address, address, alias_of=pubkey)
    alias = _text(alias, '"alias"').strip()
    if not alias.isprintable() or len(alias) > MAX_ALIAS_CHARS:
        raise TargetError(f'"alias" must be one line of at most {MAX_ALIAS_CHARS} characters')
    return Target(CHANNEL, address, address, {"alias": alias} if alias else {}, alias_of=pubkey)


def _text(value: JsonValue, what: str) -> str:
    if not isinstance(value, str):
        raise TargetError(f"{what} must be a text, not {kind_of(value)}")
    return value
