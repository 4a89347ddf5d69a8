"""How commands speak: tables for people, JSON for programs, one sentence for what went wrong."""

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


PIPED_WIDTH = 400
"""How wide a table may be where there is no terminal to be too narrow for it."""

STYLES = {
    "COMPLETE": "green",
    "ok": "green",
    "FAILED": "red",
    "wrong": "red",
    "UNROUTABLE": "red",
    "EXPIRED": "yellow",
    "UNCERTAIN": "yellow",
    "CANCELLED": "yellow",
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
    # Piped, a table is as wide as it wants to be: a program or a file has no right margin.
    Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def print_json(value: JsonValue) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def say(sentence: str) -> None:
    """A sentence on standard output."""
    Console(highlight=False, soft_wrap=True).print(Text(sentence))


def complain(sentence: str) -> None:
    """A sentence on standard error about what went wrong."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        Text("error: ", style="bold red"), Text(sentence), sep=""
    )
