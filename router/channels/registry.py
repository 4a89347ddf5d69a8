"""Which channels there are: our own, a line each, and those that other packages bring along."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from router.channels.base import ChannelKind
from router.settings import ChannelSettings, Settings

GROUP = "router.channels"
"""The entry-point group in which a third party names its `ChannelKind`."""

BUILT_IN = {
    "matrix": "router.channels.matrix",
    "email": "router.channels.email",
    "slack": "router.channels.slack",
    "sphinx": "router.channels.sphinx",
    "inapp": "router.channels.inapp",
}
"""Name to the module whose `KIND` it is. A new channel of ours is one line here."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
"""A name that is also part of a variable, ROUTER_<NAME>__…"""

_TAKEN = {*Settings.model_fields, "groups", "users"} - BUILT_IN.keys()
"""Names that mean something else in the settings or in the mapping."""

AnyKind = ChannelKind[Any]
"""A kind whose settings are of its own type."""


class BadChannel(Exception):
    """A third party's entry point that is no channel; the text says which and why."""


def kinds() -> Mapping[str, AnyKind]:
    """Every channel by its name, ours first. Raises BadChannel."""
    found: dict[str, AnyKind] = {name: import_module(module).KIND for name, module in BUILT_IN.items()}
    for entry, kind in _third_party():
        problem = _problem(kind, found)
        if problem is not None:
            raise BadChannel(f"entry point {entry.value!r} of group {GROUP}: {problem}")
        found[kind.name] = kind
    return found


def _problem(kind: AnyKind, found: Mapping[str, AnyKind]) -> str | None:
    """What is wrong with a third party's kind, beside those `found` before it; None when it can be used."""
    if kind.name in found:
        return f"there is a channel {kind.name!r} already; name it otherwise"
    if not _NAME.fullmatch(kind.name) or kind.name in _TAKEN:
        return (
            f"a channel cannot be named {kind.name!r}; take lower-case letters, digits and single _, and no word of the "
            "router's own"
        )
    try:
        kind.settings_type()
    except ValidationError as error:
        missing = ", ".join(".".join(map(str, detail["loc"])) for detail in error.errors(include_url=False))
        return f"the settings of channel {kind.name!r} need a default for each field; these have none: {missing}"
    return None


def _third_party() -> Iterator[tuple[EntryPoint, AnyKind]]:
    for entry in entry_points(group=GROUP):
        try:
            kind = entry.load()
        except (ImportError, AttributeError) as error:
            raise BadChannel(f"entry point {entry.value!r} of group {GROUP} cannot be loaded: {error}") from error
        if not isinstance(kind, ChannelKind) or not issubclass(kind.settings_type, ChannelSettings):
            raise BadChannel(f"entry point {entry.value!r} of group {GROUP} is no router.channels.base.ChannelKind")
        yield entry, kind
