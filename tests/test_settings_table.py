"""The README's table of settings is the one that the code makes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from router.settings import Settings
from router.settings_loading import variables
from router.settings_table import BEGIN, END, settings_table, with_table

README = Path(__file__).parents[1] / "README.md"


def test_the_readme_holds_the_table_of_today() -> None:
    _, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    table, _, _ = rest.partition(END)
    assert table.strip() == settings_table().strip(), "python -m router.settings_table README.md puts it in"


def test_every_variable_has_a_row_with_its_default_and_meaning() -> None:
    rows = dict(re.findall(r"^\| `(ROUTER_[A-Z_]+)` \| (.*) \|$", settings_table(), flags=re.MULTILINE))
    assert list(rows) == [name for name, _ in variables(Settings)]
    assert rows["ROUTER_COUCHDB__DATABASE"].startswith("`notifications` | Database that holds")
    assert rows["ROUTER_SLACK__ALLOW_WEBHOOKS"].startswith("`true` | ")
    assert rows["ROUTER_SLACK__WEBHOOK_HOSTS"].startswith("`hooks.slack.com,hooks.slack-gov.com` | ")
    assert rows["ROUTER_EMAIL__CONCURRENCY"].startswith("`8` | ")
    assert rows["ROUTER_MATRIX__CONCURRENCY"].startswith("`8` | ")
    assert rows["ROUTER_EMAIL__HOST"] == " | SMTP server."
    assert rows["ROUTER_SLACK__BOT_TOKEN"].startswith(" | Bot token")
    assert rows["ROUTER_EMAIL__RETRY__MAX_RETRIES"].startswith("`20` | ")


def test_every_row_has_three_cells() -> None:
    for line in settings_table().splitlines():
        assert len(re.split(r"(?<!\\)\|", line)) == 5, line


def test_the_command_prints_the_table_or_puts_it_into_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "router.settings_table"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert printed == settings_table()
    file = tmp_path / "x.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    subprocess.run([*command, str(file)], check=True, timeout=60)
    assert file.read_text(encoding="utf-8") == f"before\n{BEGIN}\n{settings_table()}{END}\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END} {BEGIN}"])
def test_a_file_without_its_markers_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="to put the table between"):
        with_table(text)
