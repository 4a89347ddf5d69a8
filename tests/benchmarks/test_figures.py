"""What is made of measurements: quantiles, marks reached or not, curves, and the table in RESULTS.md."""

import re
from pathlib import Path

import orjson
import pytest

from benchmarks.figure import Figure, Result, cumulative, distribution, median, over, quantile
from benchmarks.table import BEGIN, END, section, with_section, write_table


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0)]
)
def test_a_quantile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert quantile([float(n) for n in range(100, 0, -1)], share) == expected


def test_a_median_is_of_the_runs() -> None:
    assert median([{"a": 3}, {"a": 1.5}, {"a": 100}], "a") == 3
    assert over(3, 2) == 1.5
    assert over(3, 0) == float("inf")


@pytest.mark.parametrize(
    ("figure", "to_reach", "is_reached"),
    [
        (Figure("w", "r", "f", 0.7, "", at_least=0.7), "at least 0.7", True),
        (Figure("w", "r", "f", 0.69, "", at_least=0.7), "at least 0.7", False),
        (Figure("w", "r", "f", 2.0, " s", at_most=2), "at most 2 s", True),
        (Figure("w", "r", "f", 2.01, " s", at_most=2), "at most 2 s", False),
    ],
)
def test_a_mark_is_reached_or_not(figure: Figure, to_reach: str, is_reached: bool) -> None:
    assert (figure.to_reach, figure.is_reached) == (to_reach, is_reached)


def test_curves_begin_at_the_first_and_end_with_all() -> None:
    curve = cumulative("router", [3_000_000_000 + n * 10_000_000 for n in range(1000)], points=10)
    assert (curve.x[0], curve.y[0]) == (0, 1)
    assert (curve.x[-1], curve.y[-1]) == (9.99, 1000)
    assert len(curve.x) <= 12
    assert distribution("router", [5.0, 5.0]).x == [5.0] * 101


def result(name: str, measure: float) -> bytes:
    made = Result(name, f"How {name} is measured.", [Figure("drained", "7/s", "10/s", measure, "", at_least=0.7)])
    machine = {"cores": 2, "cpu": "a cpu", "memory_gib": 4, "system": "Linux", "python": "3.11", "couchdb": "CouchDB 3"}
    circumstances = {**machine, "runs": 3, "quick": False, "at": "2026-11-21 12:00 UTC", "packages": {"httpx": "1"}}
    return orjson.dumps({**made.to_document(), "circumstances": circumstances})


def test_the_table_says_what_was_reached_and_leaves_the_rest_of_the_file_alone(tmp_path: Path) -> None:
    (tmp_path / "drain.json").write_bytes(result("drain", 0.71))
    (tmp_path / "storm.json").write_bytes(result("storm", 0.2))
    file = write_table(tmp_path)
    text = file.read_text()
    assert "| drained | 7/s | 10/s | 0.71 | at least 0.7 | reached |" in text
    assert "| drained | 7/s | 10/s | 0.20 | at least 0.7 | **not reached** |" in text
    assert "2 cores (a cpu), 4 GiB, Linux, Python 3.11, CouchDB 3, httpx 1; 3 runs" in text
    assert "![Drain of a backlog](drain.svg)" in text
    other = text.replace("<!-- crash-table -->\n", "<!-- crash-table -->\n| crash |\n")
    file.write_text(other)
    (tmp_path / "storm.json").unlink()
    write_table(tmp_path)
    outside = re.compile(f"{BEGIN}.*{END}", re.DOTALL)
    assert outside.sub("", file.read_text()) == outside.sub("", other)
    assert "storm" not in file.read_text()


def test_a_file_without_markers_is_not_overwritten() -> None:
    with pytest.raises(ValueError, match="no <!-- bench -->"):
        with_section("# mine\n", section([]))
