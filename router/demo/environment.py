"""The environment variables that the demo's child processes get: the router's settings, and none meant for another router."""

import os
import secrets
from contextlib import ExitStack
from socket import create_server
from typing import Final

from router.demo.couch_user import Couch
from router.demo.matrix_user import MatrixUser
from router.documents.json_types import JsonObject
from router.settings import PREFIX

DATABASE: Final = "notifications"
MAPPING_ID: Final = "ccs.notifications"
CATALOGUE_ID: Final = "notifications"
SENDER: Final = "router@demo.example"


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of the router."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def couchdb_settings(server: str, user: str, password: str) -> dict[str, str]:
    """The settings for CouchDB, for one login."""
    return {
        "ROUTER_COUCHDB__URL": server,
        "ROUTER_COUCHDB__DATABASE": DATABASE,
        "ROUTER_COUCHDB__MAPPING_ID": MAPPING_ID,
        "ROUTER_COUCHDB__CATALOGUE_ID": CATALOGUE_ID,
        "ROUTER_COUCHDB__USERNAME": user,
        "ROUTER_COUCHDB__PASSWORD": password,
    }


def router_settings(
    couch: Couch, user: MatrixUser, smtp: tuple[str, int], slack: JsonObject, sphinx: JsonObject
) -> dict[str, str]:
    """All settings of the demo's router and its HTTP API. `slack` and `sphinx` are what the stand-ins say of themselves."""
    host, port = smtp
    http_port, api_port = free_ports(2)
    return couchdb_settings(couch.server, couch.router.name, couch.router.password) | {
        "ROUTER_MATRIX__HOMESERVER": user.homeserver,
        "ROUTER_MATRIX__USER_ID": user.user_id,
        "ROUTER_MATRIX__ACCESS_TOKEN": user.access_token,
        "ROUTER_EMAIL__HOST": host,
        "ROUTER_EMAIL__PORT": str(port),
        "ROUTER_EMAIL__SECURITY": "none",
        "ROUTER_EMAIL__SENDER": SENDER,
        "ROUTER_SLACK__BOT_TOKEN": str(slack["token"]),
        "ROUTER_SLACK__API_URL": str(slack["api_url"]),
        "ROUTER_SLACK__WEBHOOK_HOSTS": str(slack["webhook_host"]),
        "ROUTER_SPHINX__URL": str(sphinx["url"]),
        "ROUTER_SPHINX__ADMIN_TOKEN": str(sphinx["token"]),
        # A person's phone may take its time; the stand-in has its key at the second look.
        "ROUTER_SPHINX__KEY_RECHECK_SECONDS": "1",
        "ROUTER_LOG__FORMAT": "text",
        "ROUTER_HTTP__PORT": str(http_port),
        "ROUTER_API__PORT": str(api_port),
        "ROUTER_API__JWT_SECRET": secrets.token_urlsafe(32),
        "ROUTER_API__API_KEYS": secrets.token_urlsafe(24),
        "ROUTER_GRACE_SECONDS": "3",
    }


def free_ports(count: int) -> list[int]:
    """Different ports of this machine that nobody listens on at the moment."""
    with ExitStack() as stack:
        found = [stack.enter_context(create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(server.getsockname()[1]) for server in found]


def env_file(settings: dict[str, str]) -> str:
    """The text of a `.env` file with these settings. No value of the demo's has a quotation mark or a line break."""
    return "".join(f"{name}='{value}'\n" for name, value in settings.items())
