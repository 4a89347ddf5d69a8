"""The console script `router`: reads arguments and settings, and hands over to `router/commands/`."""

import asyncio
import gc
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

import typer

from router import __version__
from router.channels.registry import AnyKind, BadChannel, kinds
from router.commands.check import check_command
from router.commands.mapping import push_command, show_command, validate_command
from router.commands.output import BadArgument, Exit, complain
from router.commands.retry import retry_command
from router.commands.route import About, route_command
from router.commands.send import send_command
from router.commands.setup import setup_command
from router.commands.status import status_command
from router.couch.database import Database
from router.couch.errors import BadAddress, CouchError
from router.documents.json_types import JsonObject
from router.documents.message import check_message_id
from router.logs import configure_logs
from router.routing.mapping import Reader
from router.service import Service, readers
from router.settings import Settings
from router.settings_loading import BadSettings, load_settings, secrets_of
from router.web.server import BadPort

GARBAGE_THRESHOLD = 10_000
"""After so many new objects the running router looks for those that only point at each other."""
EPILOG = (
    "Exit codes: 0 all is well; 1 it is not (a check failed, a target did not get it); "
    "2 wrong arguments or settings; 3 CouchDB cannot be reached or refuses."
)

app = typer.Typer(
    name="router",
    help="Routes message documents in CouchDB to Matrix, email, Slack and Sphinx. "
    "Settings are ROUTER_… variables or lines of a .env file; the README lists them.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
mapping_app = typer.Typer(help="Show, validate and push the mapping document.", no_args_is_help=True)
app.add_typer(mapping_app, name="mapping")

AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs instead of a table.")]
Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME...", help="A group, quoted: '#admins', or a user: @alice.", show_default=False),
]
MappingFile = Annotated[Path, typer.Argument(metavar="FILE", help="A JSON file.")]
MessageId = Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="`_id` of the message document.")]


@dataclass(frozen=True, slots=True)
class _Context:
    """What every command needs first."""

    settings: Settings
    kinds: dict[str, AnyKind]

    @property
    def readers(self) -> dict[str, Reader]:
        return readers(self.kinds, self.settings)

    @property
    def mapping_id(self) -> str:
        return self.settings.couchdb.mapping_id


def _load() -> _Context:
    known = dict(kinds())
    settings = load_settings(known)
    configure_logs(settings.log, secrets_of(settings))
    return _Context(settings, known)


def _with_database(command: Callable[[_Context, Database], Awaitable[Exit]]) -> None:
    """Run `command` with an open database, and end with its exit code."""
    context = _load()

    async def run() -> Exit:
        async with Database(context.settings.couchdb) as database:
            return await command(context, database)

    raise typer.Exit(asyncio.run(run()))


def _checked(message_id: str, context: _Context) -> str:
    """`message_id` if a message can have it. Raises BadArgument."""
    try:
        return check_message_id(message_id, context.mapping_id)
    except ValueError as error:
        raise BadArgument(str(error)) from None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"router {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command."""


@app.command(epilog=EPILOG)
def run(
    since: Annotated[
        Literal["start", "now"],
        typer.Option(
            help="Where to begin when there is no checkpoint yet: at the start, or with what is written from now on."
        ),
    ] = "start",
) -> None:
    """Route messages until stopped by SIGTERM or Ctrl-C.

    Waits for CouchDB if it is not there. When stopped, it reads no more, finishes what is in flight, and exits 0.
    """
    context = _load()
    service = Service(context.settings, context.kinds, since_now=since == "now")

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, service.stop)
        await service.run()

    # What is thrown away seldom hangs in cycles: to look for those as often as Python does by default takes a seventh of the
    # time.
    gc.set_threshold(GARBAGE_THRESHOLD, 5, 5)
    asyncio.run(serve())


@app.command(epilog=EPILOG)
def serve() -> None:
    """Serve the HTTP API, users' in-app inboxes, until stopped by SIGTERM or Ctrl-C.

    A process of its own beside `router run`, and as many of them as you like: any serves any user.
    """
    from router.api.missing import missing
    from router.api.serving import open_api_port, serve_api

    context = _load()
    lacking = missing(context.settings.api)
    if lacking is not None:
        raise BadArgument(lacking)
    listener = open_api_port(context.settings.api)

    async def run_api() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve_api(context.settings, frozenset(context.kinds), listener, stop)

    asyncio.run(run_api())


@app.command(epilog=EPILOG)
def openapi() -> None:
    """Print the OpenAPI document of the HTTP API."""
    from router.api.description import openapi_document

    typer.echo(json.dumps(openapi_document(), indent=2, ensure_ascii=False))


@app.command(epilog=EPILOG)
def setup(
    user: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="ROLE=NAME",
            help="Also make a CouchDB user: app=…, admin=… or router=…; the password is asked for, or made for a new user and "
            "shown once.",
        ),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read each user's password from a line of standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the database, its indexes and the checks of what is written to it. May be repeated at any time.

    Needs the login of a CouchDB server admin. `router run` does the same at its start, as far as its login may.
    """
    _with_database(
        lambda context, database: setup_command(
            database,
            context.mapping_id,
            user or [],
            catalogue_id=context.settings.couchdb.catalogue_id,
            password_stdin=password_stdin,
            as_json=as_json,
        )
    )


@app.command(epilog=EPILOG)
def check(as_json: AsJson = False) -> None:
    """Try settings, CouchDB, the mapping and each channel's credentials for real; exit 1 if anything is wrong."""
    context = _load()
    raise typer.Exit(asyncio.run(check_command(context.settings, context.kinds, context.readers, as_json=as_json)))


@app.command(epilog=EPILOG)
def route(
    names: Names,
    event: Annotated[str | None, typer.Option(help="As `content.event` would say: what happened.")] = None,
    of_type: Annotated[
        str | None, typer.Option("--type", help="As `content.type` would say: the notification group.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="As `content.customer_id` would say.")] = None,
    priority: Annotated[
        Literal["low", "normal", "critical"], typer.Option(help="As `content.priority` would say.")
    ] = "normal",
    expect: Annotated[
        str | None, typer.Option(metavar="COUNTS", help="Exit 1 unless this is what comes out: 'matrix=2 email=1'.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who would get a message, through which groups, what users' preferences stop or hold back, and with what problems.

    Sends nothing.
    """
    _with_database(
        lambda context, database: route_command(
            database,
            context.mapping_id,
            context.readers,
            names,
            about=About(of_type, event, customer, priority),
            catalogue_id=context.settings.couchdb.catalogue_id,
            expect=expect,
            as_json=as_json,
        )
    )


@app.command(epilog=EPILOG)
def send(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A group, quoted: '#admins', or a user: @alice.", show_default=False)
    ],
    body: Annotated[
        str | None,
        typer.Argument(metavar="BODY", help="What there is to say; - reads standard input.", show_default=False),
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", "-s", help="One line that says it in short.")] = None,
    html: Annotated[bool, typer.Option("--html", help="BODY is HTML, not text.")] = False,
    link: Annotated[str | None, typer.Option(metavar="URL", help="Where the reader goes from here.")] = None,
    link_text: Annotated[str | None, typer.Option(metavar="TEXT", help="What the link says.")] = None,
    event: Annotated[str | None, typer.Option(help="What happened, as a program names it.")] = None,
    of_type: Annotated[str | None, typer.Option("--type", help="The notification group, as users know it.")] = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", metavar="NAME", help="Another group or user; may be repeated.")
    ] = None,
    message_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="`_id` of the message; made up if not given.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait and show what becomes of it; exit 1 unless all got it.")
    ] = False,
    timeout_seconds: Annotated[float, typer.Option("--timeout", min=0, help="How long to wait, in seconds.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Write a message document, as an app would."""
    content: JsonObject = {"to": [name, *also] if also else name, "format": "html" if html else "text"}
    text = sys.stdin.read() if body == "-" else body
    if link is not None:
        content["link"] = {"url": link, **({"text": link_text} if link_text else {})}
    said = {"subject": subject, "body": text, "type": of_type, "event": event}
    content.update({key: value for key, value in said.items() if value})
    _with_database(
        lambda context, database: send_command(
            database,
            f"message-{uuid4()}" if message_id is None else _checked(message_id, context),
            content,
            wait_seconds=timeout_seconds if wait else None,
            as_json=as_json,
        )
    )


@app.command(epilog=EPILOG)
def status(message_id: MessageId, as_json: AsJson = False) -> None:
    """Show what became of a message: each target, its state, attempts, next try, and why."""
    _with_database(lambda context, database: status_command(database, _checked(message_id, context), as_json=as_json))


@app.command(epilog=EPILOG)
def retry(message_id: MessageId, as_json: AsJson = False) -> None:
    """Have another try made at every target that did not get the message. Retries and age count anew."""
    _with_database(
        lambda context, database: retry_command(
            database, _checked(message_id, context), context.kinds.keys(), as_json=as_json
        )
    )


@app.command(epilog=EPILOG)
def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself; exit 0 only if everything arrived.")] = False,
) -> None:
    """Start real servers on this machine, send messages through all channels, and show what arrived where."""
    from router.demo.run import run_demo

    raise typer.Exit(run_demo(once=once))


@mapping_app.command("show", epilog=EPILOG)
def mapping_show(as_json: AsJson = False) -> None:
    """Show the mapping, its problems, and whether it is in force: the last good one while the document is invalid or gone."""
    _with_database(
        lambda context, database: show_command(database, context.mapping_id, context.readers, as_json=as_json)
    )


@mapping_app.command("validate", epilog=EPILOG)
def mapping_validate(file: MappingFile, as_json: AsJson = False) -> None:
    """Say whether the mapping in FILE is valid, without CouchDB."""
    context = _load()
    raise typer.Exit(validate_command(file, context.mapping_id, context.readers, as_json=as_json))


@mapping_app.command("push", epilog=EPILOG)
def mapping_push(
    file: MappingFile,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which groups would be added, changed and removed; write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the mapping in FILE to CouchDB, if it is valid.

    It replaces the whole mapping. A FILE with a `_rev` is refused where the mapping has another revision by now.
    """
    _with_database(
        lambda context, database: push_command(
            database, file, context.mapping_id, context.readers, dry_run=dry_run, as_json=as_json
        )
    )


def main() -> None:
    """Run the command named by the arguments. A user's mistake gives one sentence, never a traceback."""
    try:
        app()
    except BadSettings as error:
        for problem in error.problems:
            complain(problem)
        sys.exit(Exit.USAGE)
    except (BadChannel, BadArgument, BadAddress, BadPort) as error:
        complain(str(error))
        sys.exit(Exit.USAGE)
    except CouchError as error:
        complain(str(error))
        sys.exit(Exit.COUCHDB)
