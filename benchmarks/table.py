"""The benchmark table in RESULTS.md, made from the JSON: `python -m benchmarks.table [RESULTS FOLDER]`."""

import sys
from pathlib import Path
from typing import Final

import orjson

from benchmarks.processes import CHECKOUT
from router.documents.json_types import JsonObject

NAMES: Final = (
    "drain",
    "latency",
    "fan_out",
    "many_targets",
    "black_hole",
    "storm",
    "start_up",
    "memory",
    "inbox",
    "streams",
)
"""The benchmarks, in the order in which they run and stand in the table; each is a module of that name."""
BEGIN: Final = "<!-- bench -->"
END: Final = "<!-- /bench -->"
FRAME: Final = f"""# What the router does, in figures

## Benchmarks

{BEGIN}
{END}

## Crash table

<!-- crash-table -->
<!-- /crash-table -->
"""
"""RESULTS.md when there is none yet. What stands between the other pair of markers is made by another command."""
PLOTS: Final = {"drain": "Drain of a backlog", "latency": "From acknowledged document to bytes at the peer"}


def write_table(results: Path) -> Path:
    """Put the table into RESULTS.md: the checkout's for the checkout's results, else one beside the results; its path.

    All outside the markers stays. Raises ValueError when RESULTS.md has no markers.
    """
    here = CHECKOUT / "benchmarks"
    file = (here if results == here / "results" else results) / "RESULTS.md"
    text = file.read_text() if file.exists() else FRAME
    plots = "results/" if file.parent != results else ""
    file.write_text(with_section(text, section(read_results(results), plots)))
    return file


def read_results(results: Path) -> list[JsonObject]:
    """What the benchmarks wrote into a folder, in the table's order."""
    return [orjson.loads(file.read_bytes()) for name in NAMES if (file := results / f"{name}.json").exists()]


def with_section(text: str, made: str) -> str:
    """`text` with `made` between its markers. Raises ValueError when they are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"RESULTS.md has no {BEGIN} … {END} to put the table between")
    return f"{before}{BEGIN}\n{made}{END}{after}"


def section(results: list[JsonObject], plots: str = "results/") -> str:
    """The benchmarks' part as Markdown. `plots` is where the pictures are."""
    lines = [
        "Made by `make bench`. Each figure stands beside its floor, the least that the job costs, measured in the same run; "
        "each is the median of the runs named below.",
        "",
        *(f"{line}" for line in _machines(results)),
        "",
        "| figure | router | floor | measured | to reach | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        for figure in _objects(result["figures"]):
            lines.append(
                f"| {figure['what']} | {figure['router']} | {figure['floor']} | "
                f"{float(str(figure['measure'])):.2f}{figure['unit']} | {figure['to_reach']} | "
                f"{'reached' if figure['is_reached'] else '**not reached**'} |"
            )
    for result in results:
        name = str(result["name"])
        lines += ["", f"### {name.replace('_', ' ').capitalize()}", "", str(result["how"])]
        beside = result["beside"]
        if isinstance(beside, list) and beside:
            lines += ["", "| beside it | |", "| --- | --- |"]
            lines += [f"| {row[0]} | {row[1]} |" for row in beside if isinstance(row, list)]
        if name in PLOTS:
            lines += ["", f"![{PLOTS[name]}]({plots}{name}.svg)"]
    return "\n".join(lines) + "\n"


def _machines(results: list[JsonObject]) -> list[str]:
    """Where and when they were made; one line for all that were made in the same circumstances."""
    described: dict[str, list[tuple[str, str]]] = {}
    for result in results:
        told = result["circumstances"]
        if not isinstance(told, dict):
            continue
        packages = told.get("packages")
        versions = ", ".join(f"{k} {v}" for k, v in packages.items()) if isinstance(packages, dict) else ""
        line = (
            f"{told['cores']} cores ({told['cpu']}), {told['memory_gib']} GiB, {told['system']}, Python {told['python']}, "
            f"{told['couchdb']}, {versions}; {told['runs']} run{'' if told['runs'] == 1 else 's'}"
            f"{', quick: too small to mean much' if told['quick'] else ''}"
        )
        described.setdefault(line, []).append((str(result["name"]).replace("_", " "), str(told["at"])))
    return [
        f"- {', '.join(name for name, _ in made)}: {line}; {min(at for _, at in made)} to {max(at for _, at in made)}."
        for line, made in described.items()
    ]


def _objects(value: object) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else CHECKOUT / "benchmarks" / "results"
    sys.stdout.write(f"{write_table(folder)}\n")
