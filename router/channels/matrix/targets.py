"""Pure: reads a Matrix target of the mapping: a room id, a room alias or a user id."""

import re
from typing import Final

from router.channels.base import Target, TargetError
from router.documents.json_types import JsonValue
from router.documents.problems import kind_of
from router.settings import MatrixSettings

CHANNEL: Final = "matrix"

MAX_ID_BYTES: Final = 255
"""Longest identifier that Matrix allows (spec, appendices: room ids, room aliases, user ids)."""

_SERVER: Final = r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
_WITH_SERVER: Final = re.compile(rf"[#@][^:]+:{_SERVER}")

_FORMS: Final = "a room id (!…), a room alias (#room:server) or a user id (@user:server)"


def parse_target(value: JsonValue, settings: MatrixSettings) -> Target:  # noqa: ARG001
    """A text, or an object with `address`, as a target; the address stays as it is written. Raises TargetError."""
    options: dict[str, str] = {}
    if isinstance(value, dict):
        if "address" not in value:
            raise TargetError(f'must have "address": {_FORMS}')
        options = {key: text for key, text in value.items() if key != "address" and isinstance(text, str)}
        value = value["address"]
    if not isinstance(value, str):
        raise TargetError(f"must be {_FORMS}, not {kind_of(value)}")
    problem = _problem(value)
    if problem is not None:
        raise TargetError(problem)
    return Target(CHANNEL, value, value, options)


def is_user_id(text: str) -> bool:
    """Whether `text` is a whole user id, `@user:server`."""
    return text.startswith("@") and _problem(text) is None


def server_of(address: str) -> str | None:
    """The server that an identifier names after its colon; None for a room id of the newer kind, which names none."""
    return address.partition(":")[2] or None


def _problem(address: str) -> str | None:
    if not address:
        return f"must be {_FORMS}, not an empty text"
    if not address.isprintable() or any(c.isspace() for c in address):
        return f"must be {_FORMS} without spaces, not {address!r:.60}"
    if "matrix.to/" in address or address.startswith("matrix:"):
        return f"must be {_FORMS} itself, not a link to it"
    if len(address.encode()) > MAX_ID_BYTES:
        return f"must be {_FORMS} of at most {MAX_ID_BYTES} bytes"
    # Rooms of version 12 and later have ids without a server (spec v1.16), so a room id is not looked into any further.
    if address[0] == "!":
        return None if len(address) > 1 else "must be a whole room id, with something after the !"
    if address[0] in "#@":
        return None if _WITH_SERVER.fullmatch(address) else _incomplete(address)
    if "@" in address:
        return f'must be {_FORMS}; {address!r:.60} looks like an email address, which goes under "email"'
    return f"must be {_FORMS}, not {address!r:.60}"


def _incomplete(address: str) -> str:
    what, example = ("a room alias", "#room") if address[0] == "#" else ("a user id", "@user")
    name, colon, server = address.partition(":")
    if not colon:
        example = name if len(name) > 1 else example
        return f"must be {what} with its server, {example:.60}:example.org, not {address!r:.60}"
    if len(name) == 1:
        return f"must be {what} with a name before the colon, {example}:example.org, not {address!r:.60}"
    return f"must be {what} with the name of a server after the colon, not {server!r:.60}"
