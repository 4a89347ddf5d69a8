"""The Apprise script as a sender in the crash table."""

import asyncio
from pathlib import Path
from typing import Final

import orjson

from benchmarks.crash.siege import Records, Result, Say, besiege
from benchmarks.crash.tally import Statement
from benchmarks.crash.victim import victim
from benchmarks.crash.world import MAPPING_ID, World, child_environment
from benchmarks.environment import bench_python
from router.documents.json_types import JsonObject

SENDER: Final = "Apprise script"
SCRIPT: Final = Path(__file__).with_name("script.py")


async def run_script(world: World, say: Say) -> Result:
    """Have the script deliver the world's messages while it is killed. Raises EnvironmentProblem without Apprise."""
    python = await bench_python(say)
    config = world.folder / "script.json"
    config.write_bytes(orjson.dumps(script_config(world)))
    command = (str(python), str(SCRIPT), str(config))
    records = Records("status:", statement_of_status)
    async with victim(command, child_environment(), world.folder, world.folder / "script.log") as script:
        result = await besiege(world, SENDER, script, records, say)
    result.notes.append(await _versions(python))
    return result


def script_config(world: World) -> dict[str, str]:
    """What the script reads at its start."""
    couch, slack, sphinx, mail = world.couch, *(world.peers[name] for name in ("slack", "sphinx", "mail"))
    return {
        "couchdb": f"{couch.url}/{couch.database}",
        "couchdb_user": couch.admin,
        "couchdb_password": couch.password,
        "mapping_id": MAPPING_ID,
        "since": str(world.folder / "since"),
        "storage": str(world.folder / "apprise"),
        "matrix": _without_scheme(world.synapse.url),
        "matrix_token": world.bot.access_token,
        "smtp": f"{mail['host']}:{mail['port']}",
        "slack_api_url": str(slack["api_url"]),
        "slack_token": str(slack["token"]),
        "sphinx": _without_scheme(str(sphinx["url"])),
        "sphinx_token": str(sphinx["token"]),
    }


def statement_of_status(document: JsonObject) -> Statement:
    """What one of the script's status documents says. It knows of the tries of one life only, and of no reference."""
    tries = document["tries"]
    # Each try but the last failed, and Apprise does not tell whether surely or for want of an answer.
    return Statement(str(document["status"]), None, admits_repeat=isinstance(tries, int) and tries > 1)


async def _versions(python: Path) -> str:
    said = await asyncio.create_subprocess_exec(
        str(python), "-c", "import apprise; print('Apprise', apprise.__version__)", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await said.communicate()
    return out.decode().strip()


def _without_scheme(url: str) -> str:
    return url.partition("://")[2]
