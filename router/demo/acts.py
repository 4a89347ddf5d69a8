"""The demo from its first line to its last: the scene goes up, the story is told and judged, and then it is the user's turn."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from rich.console import Console

from router.commands.output import Exit
from router.demo import show
from router.demo.folder import demo_folder
from router.demo.live import show_live
from router.demo.scene import STAND_INS, Scene, open_scene
from router.demo.steps import Steps, make_console
from router.demo.telling import Ending, tell_story
from router.demo.try_next import show_what_next

WELCOME: Final = (
    "The notification router's demo: real servers on this machine (CouchDB's protocol by PouchDB Server, Matrix by Synapse, "
    "SMTP), stand-ins for Slack and the Sphinx bot, and the router with its HTTP API as they are run in production."
)

ALL_WELL: Final = (
    "✓ Every delivery is COMPLETE, and was seen on the other side; "
    "only the mail that Alice does not want is SUPPRESSED, as it should be."
)


async def show_demo(*, once: bool, stand_ins: Mapping[str, Sequence[str]] | None = None) -> int:
    """Run the demo, and stop everything in the end; the exit code. Without `once` it goes on until cancelled.

    Raises what `open_scene` and `tell_story` do.
    """
    console = make_console()
    show.say(console, WELCOME)
    console.print()
    code = Exit.OK
    with demo_folder() as folder:
        async with AsyncExitStack() as stack:
            with Steps(console) as steps:
                scene = await stack.enter_async_context(open_scene(folder, steps, stand_ins or STAND_INS))
            ending = await tell_story(console, scene)
            _show_ending(console, ending)
            if once:
                code = Exit.FAILED if ending.missing else Exit.OK
            else:
                show_what_next(console, scene)
                await _stay(console, scene)
    return code


async def _stay(console: Console, scene: Scene) -> None:
    show.heading(console, "Press Ctrl-C to stop. What arrives from now on is shown here:")
    try:
        await show_live(console, scene)
    finally:
        show.say(console, "\nstopping …")


def _show_ending(console: Console, ending: Ending) -> None:
    show.heading(console, "What arrived, read back from the other side:")
    show.panels(console, ending.arrivals)
    show.heading(console, "The delivery documents in CouchDB:")
    show.table(console, ending.deliveries.values())
    console.print()
    if ending.missing:
        show.problems(console, ending.missing)
    else:
        show.say(console, ALL_WELL, "green")
