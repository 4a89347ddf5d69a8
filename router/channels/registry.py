"""Which channels there are: our own, a line each, and those that other packages bring along."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from router.channels.base import ChannelKind
from router.settings import ChannelSettings

GROUP = "router.channels"
"""The entry-point group in which a third party names its `ChannelKind`."""

BUILT_IN = {
    "matrix": "router.channels.matrix",
    "email": "router.channels.email",
    "slack": "router.channels.slack",
    "sphinx": "router.channels.sphinx",
}
"""Name to the module whose `KIND` it is. A new channel of ours is one line here."""

AnyKind = ChannelKind[Any]
"""A kind whose settings are of its own type."""


class BadChannel(Exception):
    """A third party's entry point that is no channel; the text says which and why."""


def kinds() -> Mapping[str, AnyKind]:
    """Every channel by its name, ours first. Raises BadChannel."""
    found: dict[str, AnyKind] = {name: import_module(module).KIND for name, module in BUILT_IN.items()}
    for entry, kind in _third_party():
        if kind.name in found:
            raise BadChannel(
                f"entry point {entry.value!r}: there is a channel {kind.name!r} already; name it otherwise"
            )
        found[kind.name] = kind
    return found


def _third_party() -> Iterator[tuple[EntryPoint, AnyKind]]:
    for entry in entry_points(group=GROUP):
        try:
            kind = entry.load()
        except (ImportError, AttributeError) as error:
            raise BadChannel(f"entry point {entry.value!r} of group {GROUP} cannot be loaded: {error}") from error
        if not isinstance(kind, ChannelKind) or not issubclass(kind.settings_type, ChannelSettings):
            raise BadChannel(f"entry point {entry.value!r} of group {GROUP} is no router.channels.base.ChannelKind")
        yield entry, kind
