"""How commands speak: tables for people, JSON for programs, one sentence for what went wrong."""

import os
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from router.documents.json_types import JsonValue


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    COUCHDB = 3


class BadArgument(ValueError):
    """An argument of a command that makes no sense; the text says which and what to write instead."""


PIPED_WIDTH = 160
"""How wide a table may be where there is no terminal, and no COLUMNS says how wide."""
MOST_TARGET_CHARS = 60
"""How much of a target stands in a table."""

STYLES = {
    "COMPLETE": "green",
    "ok": "green",
    "FAILED": "red",
    "odd": "yellow",
    "wrong": "red",
    "UNROUTABLE": "red",
    "EXPIRED": "yellow",
    "UNCERTAIN": "yellow",
    "CANCELLED": "yellow",
    "SUPPRESSED": "yellow",
    "PENDING": "cyan",
    "WAITING_KEY_EXCHANGE": "cyan",
}
"""The colour of a word that says how something stands."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """A table on standard output. What stands in a cell is shown as it is, never read as markup."""
    table = Table(title=title, title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Console(highlight=False, width=_width()).print(table)


def _width() -> int | None:
    """How wide a table may be; None for as wide as the terminal is."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    return None if sys.stdout.isatty() else PIPED_WIDTH


def shortened(target: str) -> str:
    """`target` as a table shows it: of a long one the beginning and the end, which tell it from others."""
    if len(target) <= MOST_TARGET_CHARS:
        return target
    tail = (MOST_TARGET_CHARS - 1) // 2
    return f"{target[: MOST_TARGET_CHARS - 1 - tail]}…{target[-tail:]}"


def counted(number: int, thing: str) -> str:
    """`1 group`, `2 groups`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def print_json(value: JsonValue) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def say(sentence: str) -> None:
    """A sentence on standard output."""
    Console(highlight=False, soft_wrap=True).print(Text(sentence))


def warn(sentence: str) -> None:
    """A sentence on standard error about what is odd, though it stops nothing."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        Text("warning: ", style="bold yellow"), Text(sentence), sep=""
    )


def complain(sentence: str) -> None:
    """A sentence on standard error about what went wrong."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        Text("error: ", style="bold red"), Text(sentence), sep=""
    )
