"""Pure: reads a Slack target of the mapping, a channel or an incoming webhook."""

import re
from typing import Final

from router.channels.base import Target, TargetError
from router.channels.credentials import is_loopback, split_address
from router.documents.json_types import JsonValue
from router.documents.problems import kind_of
from router.settings import SlackSettings

CHANNEL: Final = "slack"

_ID: Final = re.compile(r"[CGDUW][A-Z0-9]{7,20}")
"""The id of a channel (C), a private one (G), a direct message (D) or a person (U, W)."""
_NAME: Final = re.compile(r"[\w-]{1,80}")
"""A channel's name. Slack allows letters of any alphabet, but no capitals."""
_WEBHOOK_PATH: Final = re.compile(r"/services/([A-Za-z0-9]{4,})/([A-Za-z0-9]{4,})/([A-Za-z0-9]+)")
_HOST: Final = re.compile(r"(?:\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::\d{1,5})?")

_KEYS: Final = ("address", "channel", "webhook")


def parse_target(value: JsonValue, settings: SlackSettings) -> Target:
    """A text, or an object with one of `address`, `channel` and `webhook`, as a target. Raises TargetError."""
    kind = "address"
    if isinstance(value, dict):
        named = [key for key in _KEYS if key in value]
        if len(named) != 1:
            raise TargetError('must have one of "channel" and "webhook" (or "address" for either)')
        kind = named[0]
        value = value[kind]
    if not isinstance(value, str):
        raise TargetError(
            f"must be the id or name of a Slack channel, or the address of an incoming webhook, not {kind_of(value)}"
        )
    text = value.strip()
    looks_like_address = "://" in text
    if kind == "webhook" or (kind == "address" and looks_like_address):
        return _webhook(text, settings)
    if looks_like_address:
        raise TargetError('must be the id or name of a Slack channel; write a webhook\'s address under "webhook"')
    return _channel(text)


def is_webhook(address: str) -> bool:
    """Whether a target's canonical address is that of an incoming webhook."""
    return "://" in address


def webhook_hosts_problem(settings: SlackSettings) -> str | None:
    """None when every entry of `webhook_hosts` can be met; else one sentence."""
    for entry in settings.webhook_hosts:
        if not _HOST.fullmatch(entry.lower()):
            return f"ROUTER_SLACK__WEBHOOK_HOSTS must be host names separated by commas, without https://, not {entry!r:.80}"
    return None


def _channel(text: str) -> Target:
    if _ID.fullmatch(text):
        return Target(CHANNEL, text, text)
    name = text.removeprefix("#")
    if not _NAME.fullmatch(name):
        raise TargetError(
            f"must be the id (C0123ABCD) or name (#general) of a Slack channel, or the address of a webhook, not {text!r:.40}"
        )
    if name != name.lower():
        raise TargetError(
            f"must be the id of a Slack channel, or a name, which has no capital letters, not {text!r:.40}"
        )
    return Target(CHANNEL, f"#{name}", f"#{name}")


def _webhook(text: str, settings: SlackSettings) -> Target:
    # The address is a secret: no error below repeats it.
    if not settings.allow_webhooks:
        raise TargetError("is an incoming webhook, and ROUTER_SLACK__ALLOW_WEBHOOKS is false: write a channel instead")
    parts = split_address(text)
    if parts is None or parts.hostname is None:
        raise TargetError("must be the address of an incoming webhook, https://hooks.slack.com/services/T…/B…/…")
    if parts.username is not None or parts.password is not None:
        raise TargetError("must be the address of an incoming webhook without a user and password in it")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if parts.port is None else f"{host}:{parts.port}"
    allowed = {entry.lower() for entry in settings.webhook_hosts}
    if place not in allowed:
        if host in allowed:
            raise TargetError(
                f"must be an address without a port (or {host} with that port in ROUTER_SLACK__WEBHOOK_HOSTS)"
            )
        raise TargetError(f"names the host {host!r:.80}, which is not in ROUTER_SLACK__WEBHOOK_HOSTS")
    if parts.scheme != "https" and not is_loopback(parts.hostname):
        raise TargetError("must be the address of an incoming webhook that starts with https://")
    path = _WEBHOOK_PATH.fullmatch(parts.path)
    if path is None or parts.query or parts.fragment:
        raise TargetError("must be the whole address of an incoming webhook, …/services/T…/B…/… and nothing after it")
    base = f"{parts.scheme}://{place}"
    shown = f"{base}/services/{path[1][:4]}…/{path[2][:4]}…/…"
    return Target(CHANNEL, f"{base}{parts.path}", shown, host=place)
