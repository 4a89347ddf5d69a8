"""The router as a sender in the crash table: `python -m router run`, with its own settings but for the addresses."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from benchmarks.crash.siege import Records, Result, Say, besiege
from benchmarks.crash.tally import statement_of
from benchmarks.crash.victim import victim
from benchmarks.crash.world import MAPPING_ID, World, child_environment
from router.documents.delivery import PREFIX

SENDER: Final = "router"
MATRIX_CONCURRENCY: Final = 16


async def run_router(
    world: World,
    say: Say,
    more: Mapping[str, str] | None = None,
    next_kill: Callable[[], Awaitable[None]] | None = None,
) -> Result:
    """Have the router, with `more` settings, deliver the world's messages while it is killed (see `besiege`)."""
    environment = child_environment() | router_settings(world) | dict(more or {})
    command = (sys.executable, "-m", "router", "run")
    records = Records(PREFIX, statement_of)
    async with victim(command, environment, world.folder, world.folder / "router.log") as router:
        return await besiege(world, SENDER, router, records, say, next_kill)


def router_settings(world: World) -> dict[str, str]:
    """The settings that say where everything is. All else is as the router has it by itself."""
    couch, slack, sphinx, mail = world.couch, *(world.peers[name] for name in ("slack", "sphinx", "mail"))
    return {
        "ROUTER_COUCHDB__URL": couch.url,
        "ROUTER_COUCHDB__DATABASE": couch.database,
        "ROUTER_COUCHDB__USERNAME": couch.admin,
        "ROUTER_COUCHDB__PASSWORD": couch.password,
        "ROUTER_COUCHDB__MAPPING_ID": MAPPING_ID,
        "ROUTER_MATRIX__HOMESERVER": world.synapse.url,
        "ROUTER_MATRIX__ACCESS_TOKEN": world.bot.access_token,
        "ROUTER_MATRIX__CONCURRENCY": str(MATRIX_CONCURRENCY),
        "ROUTER_EMAIL__HOST": str(mail["host"]),
        "ROUTER_EMAIL__PORT": str(mail["port"]),
        "ROUTER_EMAIL__SECURITY": "none",
        "ROUTER_EMAIL__SENDER": "router@example.org",
        "ROUTER_SLACK__BOT_TOKEN": str(slack["token"]),
        "ROUTER_SLACK__API_URL": str(slack["api_url"]),
        "ROUTER_SPHINX__URL": str(sphinx["url"]),
        "ROUTER_SPHINX__ADMIN_TOKEN": str(sphinx["token"]),
        "ROUTER_LOG__FORMAT": "json",
        "ROUTER_HTTP__PORT": "0",
    }
