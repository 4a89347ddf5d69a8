"""What Slack, the Sphinx bot and a homeserver answer to the requests that the router makes (wire-formats 1 to 3)."""

import re
from collections.abc import Callable
from typing import Final

from benchmarks.peers.http import Answer, HttpSink
from router.documents.json_types import JsonObject

_SLACK_CHANNEL: Final = re.compile(rb'"channel": ?"([^"]+)"')
_SPHINX_DEST: Final = re.compile(rb'"dest": ?"([^"]+)"')

_SLACK_OK: Final = b'{"ok":true,"channel":"C00000001","ts":"1700000000.000100","message":{}}'
_SLACK_LIMITED: Final = b'{"ok":false,"error":"ratelimited"}'
_SLACK_SELF: Final = b'{"ok":true,"user":"bench","bot_id":"B1","team":"bench"}'

_SPHINX_SENT: Final = b'{"status":"COMPLETE","tag":"7f","preimage":"","payment_hash":"","message":null}'
_SPHINX_LIMITED: Final = b'{"error":"too many requests"}'
_SPHINX_ACCOUNT: Final = b'{"contact_info":"bench","alias":"bench","network":"regtest"}'

_MATRIX_VERSIONS: Final = b'{"versions":["v1.1","v1.12"]}'
_MATRIX_SELF: Final = b'{"user_id":"@router:bench.example","device_id":"BENCH"}'
_MATRIX_LOGIN: Final = b'{"user_id":"@router:bench.example","device_id":"BENCH","access_token":"bench-token"}'
_MATRIX_NO_STATE: Final = b'{"errcode":"M_NOT_FOUND","error":"Event not found."}'
_MATRIX_JOINED: Final = b'{"room_id":"!room:bench.example","joined_rooms":[]}'
_MATRIX_SENT: Final = b'{"event_id":"$bench"}'
_MATRIX_LIMITED: Final = b'{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests"}'


def slack() -> HttpSink:
    """Slack's Web API, and anything else that is posted: incoming webhooks, Apprise's `json://`."""
    return HttpSink(_slack, _SLACK_LIMITED)


def _slack(_method: str, path: str, body: bytes) -> Answer:
    if path.endswith("auth.test"):
        return Answer("check", _SLACK_SELF)
    channel = _SLACK_CHANNEL.search(body)
    return Answer("send", _SLACK_OK, target=channel[1].decode() if channel else path)


def sphinx() -> HttpSink:
    """A Sphinx v2 bot that has everybody for a contact, with their key."""
    return HttpSink(_sphinx, _SPHINX_LIMITED)


def _sphinx(_method: str, path: str, body: bytes) -> Answer:
    if path == "/send":
        dest = _SPHINX_DEST.search(body)
        return Answer("send", _SPHINX_SENT, target=dest[1].decode() if dest else "")
    if path == "/account":
        return Answer("check", _SPHINX_ACCOUNT)
    pubkey = path.rpartition("/")[2]
    contact = f'{{"version":1,"my_idx":1,"pubkey":"{pubkey}","lsp":"","scid":1,"contact_key":"03{pubkey[2:]}"}}'
    return Answer("contact", contact.encode())


def matrix() -> HttpSink:
    """A homeserver where the router is in every room, and no room is replaced or encrypted."""
    return HttpSink(_matrix, _MATRIX_LIMITED)


def _matrix(_method: str, path: str, _body: bytes) -> Answer:
    parts = path.partition("?")[0].split("/")
    if "send" in parts:
        return Answer("send", _MATRIX_SENT, target=parts[parts.index("rooms") + 1])
    if "state" in parts:
        return Answer("state", _MATRIX_NO_STATE, b"404 Not Found")
    if parts[-1] == "versions":
        return Answer("check", _MATRIX_VERSIONS)
    if parts[-1] == "whoami":
        return Answer("check", _MATRIX_SELF)
    if parts[-1] == "login":
        return Answer("check", _MATRIX_LOGIN)
    return Answer("other", _MATRIX_JOINED)


HTTP_SERVICES: Final[dict[str, Callable[[], HttpSink]]] = {"slack": slack, "sphinx": sphinx, "matrix": matrix}
"""How each is made, by the channel's name."""


def variables(channel: str, port: int) -> JsonObject:
    """The settings of a router whose `channel` is served by a peer on this port of 127.0.0.1."""
    url = f"http://127.0.0.1:{port}"
    match channel:
        case "slack":
            return {"ROUTER_SLACK__API_URL": url, "ROUTER_SLACK__BOT_TOKEN": "xoxb-bench-token"}
        case "sphinx":
            return {"ROUTER_SPHINX__URL": url, "ROUTER_SPHINX__ADMIN_TOKEN": "bench-token"}
        case "matrix":
            return {"ROUTER_MATRIX__HOMESERVER": url, "ROUTER_MATRIX__ACCESS_TOKEN": "bench-token"}
        case "email":
            return {
                "ROUTER_EMAIL__HOST": "127.0.0.1",
                "ROUTER_EMAIL__PORT": str(port),
                "ROUTER_EMAIL__SECURITY": "none",
                "ROUTER_EMAIL__SENDER": "router@bench.example",
            }
    raise ValueError(f"there is no peer for {channel!r}")
