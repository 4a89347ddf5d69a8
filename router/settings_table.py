"""The table of all settings in the README, made from the code: `python -m router.settings_table [README.md]`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from router.settings import Settings
from router.settings_loading import variables

BEGIN, END = "<!-- settings -->", "<!-- /settings -->"
"""What stands around the table in a Markdown file."""


def settings_table() -> str:
    """Every variable with its default and meaning, as a Markdown table. Secrets have no default."""
    rows = [("variable", "default", "meaning"), ("---", "---", "---"), *_rows()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def with_table(text: str) -> str:
    """`text` with the table of today between its markers. Raises ValueError when they are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"has no {BEGIN} … {END} to put the table between")
    return f"{before}{BEGIN}\n{settings_table()}{END}{after}"


def _rows() -> Iterator[tuple[str, str, str]]:
    for variable, field in variables(Settings):
        yield f"`{variable}`", _default(field), (field.description or "").replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    value = field.get_default()
    if value is None or value == () or "SecretStr" in str(field.annotation):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{','.join(map(str, value))}`" if isinstance(value, tuple) else f"`{value}`"


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.stdout.write(settings_table())
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
