"""`router demo`: says what is missing for it, runs it until it is done or stopped, and turns every trouble into a sentence."""

import asyncio
import io
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from router.commands.output import Exit, complain
from router.demo.child import DemoError
from router.demo.folder import is_checkout
from router.demo.matrix_user import MatrixRefusal
from router.demo.pouchdb import StartError
from router.demo.pouchdb_environment import InstallError
from router.demo.synapse_environment import SynapseError

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the demo in good order; whatever comes after the first is passed over, since it is ending already."""


def run_demo(*, once: bool, stand_ins: Mapping[str, Sequence[str]] | None = None) -> int:
    """Run the demo and give its exit code: with `once`, 0 only if everything arrived; else 0 when it was stopped.

    `stand_ins` are others than those of `router.demo.scene.STAND_INS`.
    """
    problem = what_is_missing()
    if problem is not None:
        complain(problem)
        return Exit.FAILED
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal or a pipe that knows no Unicode gets question marks, not a traceback.
        sys.stdout.reconfigure(errors="replace")
    try:
        return asyncio.run(_until_stopped(once, stand_ins))
    except (DemoError, InstallError, StartError, SynapseError, MatrixRefusal) as error:
        complain(str(error))
    except OSError as error:
        complain(f"the demo cannot go on: {error}")
    return Exit.FAILED


def what_is_missing() -> str | None:
    """None when the demo can run here; else one sentence that says what to do."""
    if not is_checkout():
        return (
            "the demo runs from a clone of the repository, where the stand-ins are: clone it and run `make demo` there"
        )
    if find_spec("aiosmtpd") is None:
        return "the demo needs a few more packages: run `make demo`, or `pip install -c constraints.txt -e '.[demo]'`"
    return None


async def _until_stopped(once: bool, stand_ins: Mapping[str, Sequence[str]] | None) -> int:
    # Not before it is known that they are there: it needs packages that only the demo has.
    from router.demo.acts import show_demo

    demo = asyncio.create_task(show_demo(once=once, stand_ins=stand_ins))
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            demo.cancel()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        return await demo
    except asyncio.CancelledError:
        if not stopped:
            raise
        if once:
            complain("stopped before the end")
        return Exit.FAILED if once else Exit.OK
