"""How the demo shows things: panels of what arrived, the table of delivery documents, what to try next, and live lines."""

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from router.commands.output import STYLES
from router.couch.design import DESIGN_ID
from router.couch.mapping_store import STATUS_ID
from router.demo.couch_user import Couch, CouchUser
from router.demo.environment import MAPPING_ID
from router.demo.received import Arrival
from router.demo.story import GROUP
from router.documents.delivery import Delivery
from router.documents.json_types import JsonObject
from router.rendering.characters import one_line, tidy

TITLES: Final = {
    "matrix": "Matrix: the room {} as alice sees it",
    "email": "Email: the mailbox {}",
    "slack": "Slack: {}, as the stand-in for it took it",
    "sphinx": "Sphinx: {}, as the stand-in for the bot took it",
}
SHORT_CHARS: Final = 36
"""How much of a target fits into a line."""


def say(console: Console, text: str, style: str = "") -> None:
    """A line of any length, which is not broken: it may be there to be copied."""
    console.print(Text(text, style=style), soft_wrap=True)


def heading(console: Console, text: str) -> None:
    """What comes next."""
    console.print()
    say(console, text, "bold")


def document(console: Console, value: JsonObject) -> None:
    """A document as its writer would write it."""
    say(console, orjson.dumps(value, option=orjson.OPT_INDENT_2).decode(), "dim")


def panels(console: Console, arrivals: Iterable[Arrival]) -> None:
    """A panel for each place where something arrived, with all that did."""
    places: dict[tuple[str, str], list[Text]] = {}
    for arrival in arrivals:
        texts = places.setdefault((arrival.channel, arrival.target), [])
        texts += [Text("─" * 20, style="dim")] if texts else []
        texts.append(Text(tidy(arrival.text).strip()))
    for (channel, target), texts in sorted(places.items()):
        title = TITLES[channel].format(place(target))
        console.print(Panel(Text("\n").join(texts), title=Text(title, style="bold"), title_align="left"))


def table(console: Console, deliveries: Iterable[Delivery]) -> None:
    """The delivery documents, a line each."""
    rows = Table(header_style="bold", show_edge=False, pad_edge=False)
    for column in ("message", "channel", "target", "status", "reference / why"):
        rows.add_column(column, overflow="fold", no_wrap=column in ("message", "status"))
    for delivery in sorted(deliveries, key=lambda one: (one.created_at, one.id)):
        rows.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in cells(delivery)))
    console.print(rows)


def cells(delivery: Delivery) -> tuple[str, str, str, str, str]:
    """One line of the table."""
    where = delivery.target or ", ".join(delivery.groups or ())
    said = delivery.error.reason if delivery.error else delivery.reference or ""
    return (
        one_line(delivery.message_id),
        one_line(delivery.channel or "(message)"),
        shortened(one_line(where)),
        str(delivery.status),
        one_line(said),
    )


def place(target: str) -> str:
    """Where something arrived, in short. A webhook's path is a secret behind its first parts."""
    return f"the webhook {'/'.join(target.split('/')[:3])}/…" if target.startswith("/") else shortened(target)


def shortened(text: str) -> str:
    """`text`, its middle left out where it is long."""
    if len(text) <= SHORT_CHARS:
        return text
    half = SHORT_CHARS // 2
    return f"{text[:half]}…{text[-half + 1 :]}"


def arrived(console: Console, arrival: Arrival) -> None:
    """A live line: something has arrived."""
    line = Text(f"{clock()}  arrived   {arrival.channel:<7} {place(arrival.target)}  ")
    console.print(line.append(one_line(arrival.text), style="bold"), soft_wrap=True)


def changed(console: Console, delivery: Delivery) -> None:
    """A live line: a delivery document was written."""
    message, channel, target, status, said = cells(delivery)
    line = Text(f"{clock()}  document  {message} → {channel} {target}  ")
    console.print(line.append(status, style=STYLES.get(status, "")).append(f"  {said}"), soft_wrap=True)


def clock() -> str:
    """The time of day, as a live line begins."""
    return datetime.now().astimezone().strftime("%H:%M:%S")


def what_next(console: Console, couch: Couch, folder: Path) -> None:
    """How to write a message with curl, what to look at, and which commands to try."""
    content: JsonObject = {"to": GROUP, "subject": "Hello", "body": "<b>My first message</b>"}
    heading(console, "Write your own, as an app would (copy it as often as you like: each has an id of its own):")
    body = shlex.quote(orjson.dumps({"content": content}).decode())
    say(console, curl_put(couch.app, f'"{couch.app.database_url}/hello-$(date +%s)"', body))
    heading(console, "Edit the mapping, as an admin would; an edit counts at once, and a bad one is refused:")
    say(console, curl_get(couch.admin, f"/{MAPPING_ID}") + " > mapping.json")
    say(console, curl_put(couch.admin, f"{couch.admin.database_url}/{MAPPING_ID}", "@mapping.json"))
    heading(console, "Look at documents: is the mapping in force, what became of a message?")
    say(console, curl_get(couch.app, f"/{STATUS_ID}"))
    say(
        console,
        curl_get(couch.app, f"/{DESIGN_ID}/_view/by_message")
        + " -G --data-urlencode 'key=\"order-42-failed\"' -d include_docs=true",
    )
    heading(console, "The router's own commands, with this demo's settings:")
    router = shlex.quote(os.path.relpath(Path(sys.executable).with_name("router"), folder))
    for command in ("check", f"route '{GROUP}'", "status order-42-failed", f"send '{GROUP}' -s Hi 'By hand' --wait"):
        say(console, f"(cd {shlex.quote(os.path.relpath(folder))} && {router} {command})")
    heading(console, f"Logs: {os.path.relpath(folder)}/router.log, and those of the servers beside it.")


def login(user: CouchUser) -> str:
    """The beginning of a curl command as `user`."""
    return f"curl -s -u {shlex.quote(f'{user.name}:{user.password}')}"


def curl_get(user: CouchUser, path: str) -> str:
    """A curl command that reads `path` below the database."""
    return f"{login(user)} {user.database_url}{path}"


def curl_put(user: CouchUser, url: str, body: str) -> str:
    """A curl command that writes `body`, or the file that it names, to `url`. Both are already as a shell reads them."""
    return f"{login(user)} -X PUT {url} -H 'Content-Type: application/json' -d {body}"


def problems(console: Console, sentences: Sequence[str]) -> None:
    """What is missing."""
    for sentence in sentences:
        say(console, f"✗ {one_line(sentence)}", "red")
