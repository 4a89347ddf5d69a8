"""Installs the servers that the demo and the tests run, PouchDB Server and Synapse: `python -m router.demo.install`."""

import asyncio
import sys
from threading import Event

from router.commands.output import complain
from router.demo import pouchdb_environment, synapse_environment
from router.demo.pouchdb_environment import InstallError
from router.demo.steps import Steps, Tell, make_console
from router.demo.synapse_environment import SynapseError


async def install_pouchdb(tell: Tell) -> None:
    """See that PouchDB Server is there. Raises InstallError."""
    if not (pouchdb_environment.default_folder() / pouchdb_environment.stamp()).is_dir():
        tell("installing from npm, some ten seconds, once")
    cancelled = Event()
    try:
        await asyncio.to_thread(pouchdb_environment.install, cancelled=cancelled)
    finally:
        # The thread cannot be cancelled; it sees this and ends npm.
        cancelled.set()


async def _install_both(steps: Steps) -> list[BaseException]:
    async def pouchdb() -> None:
        with steps.step("PouchDB Server") as tell:
            await install_pouchdb(tell)

    async def synapse() -> None:
        with steps.step("Synapse") as tell:
            await synapse_environment.install(on_progress=tell)

    # One that fails must not break off the other: what is installed need not be installed again.
    found = await asyncio.gather(pouchdb(), synapse(), return_exceptions=True)
    return [error for error in found if error is not None]


def main() -> int:
    """Install both, side by side, and give the exit code."""
    try:
        with Steps(make_console()) as steps:
            failures = asyncio.run(_install_both(steps))
    except KeyboardInterrupt:
        complain("stopped before all was installed; start again to go on")
        return 1
    for error in failures:
        if not isinstance(error, InstallError | SynapseError):
            raise error
        complain(str(error))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
