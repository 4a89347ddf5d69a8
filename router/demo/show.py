"""How the demo shows things: panels of what arrived, the table of delivery documents, and live lines."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import orjson
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from router.commands.output import STYLES
from router.couch.live_document import State
from router.demo.arrival import Arrival
from router.demo.environment import MAPPING_ID
from router.demo.received import list_at
from router.documents.delivery import Delivery
from router.documents.json_types import JsonObject, JsonValue
from router.rendering.characters import one_line, tidy

TITLES: Final = {
    "matrix": "Matrix: the room {} as alice sees it",
    "email": "Email: the mailbox {}",
    "slack": "Slack: {}, as the stand-in for it took it",
    "sphinx": "Sphinx: {}, as the stand-in for the bot took it",
    "inapp": "In-app: the inbox of {}, as the HTTP API gives it",
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
    if target.startswith("@"):
        return f"the direct chat with {shortened(target)}"
    return f"the webhook {'/'.join(target.split('/')[:3])}/…" if target.startswith("/") else shortened(target)


def shortened(text: str) -> str:
    """`text`, its middle left out where it is long."""
    if len(text) <= SHORT_CHARS:
        return text
    half = SHORT_CHARS // 2
    return f"{text[:half]}…{text[-half + 1 :]}"


def arrived(console: Console, arrival: Arrival, message_id: str | None) -> None:
    """A live line: something has arrived. Where nothing tells which message it is, its first line, the subject, stands for it."""
    name, text = message_id, arrival.text
    if name is None:
        name, _, text = text.strip().partition("\n")
        name = f"“{shortened(one_line(name))}”"
    line = Text(f"{clock()}  arrived   {one_line(name)} → {arrival.channel} {place(arrival.target)}  ")
    console.print(line.append(one_line(text), style="bold"), soft_wrap=True)


def changed(console: Console, delivery: Delivery) -> None:
    """A live line: a delivery document was written, or the one about a message as a whole."""
    message, channel, target, status, said = cells(delivery)
    what = f"document  {message} → {channel} {target}" if delivery.channel else f"message   {message}"
    line = Text(f"{clock()}  {what}  ")
    console.print(line.append(status, style=STYLES.get(status, "")).append(f"  {said}"), soft_wrap=True)


def mapping_changed(console: Console, status: JsonObject) -> None:
    """A live line: the router has looked at an edit of the mapping. `status` is the mapping's status document."""
    good = status.get("status") == State.OK
    line = Text(f"{clock()}  ")
    console.print(line.append(mapping_sentence(status), style="green" if good else "red"), soft_wrap=True)


def mapping_sentence(status: JsonObject) -> str:
    """What the mapping's status document says, in a line."""
    in_force = f"revision {number_of(status.get('in_force_rev'))}" if status.get("in_force_rev") else ""
    stays = f"; {in_force} stays in force" if in_force else "; none is in force"
    match status.get("status"):
        case State.OK:
            return f"mapping: {in_force} is in force" + first_said(", but ", list_at(status, "warnings"))
        case State.MISSING:
            return f"mapping: the document {MAPPING_ID} is MISSING{stays}"
        case state:
            said = first_said(": ", list_at(status, "problems"))
            return f"mapping: revision {number_of(status.get('mapping_rev'))} is {one_line(str(state))}{said}{stays}"


def number_of(revision: JsonValue) -> str:
    """`5` of `5-0a1b…`."""
    return one_line(str(revision)).partition("-")[0]


def first_said(before: str, problems: Sequence[JsonValue]) -> str:
    """The first problem behind `before`, and how many more there are; empty when there is none."""
    first = problems[0] if problems else None
    if not isinstance(first, dict):
        return ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return before + one_line(f"{first.get('path')}: {first.get('reason')}") + more


def clock() -> str:
    """The time of day, as a live line begins."""
    return datetime.now().astimezone().strftime("%H:%M:%S")


def problems(console: Console, sentences: Sequence[str]) -> None:
    """What is missing."""
    for sentence in sentences:
        say(console, f"✗ {one_line(sentence)}", "red")
