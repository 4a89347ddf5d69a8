"""Pure: what a benchmark found out, and how it is written down as JSON."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from router.documents.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table: what was measured, beside its floor, and whether it is what was to be reached."""

    what: str
    router: str
    """The router's figure with its unit, `1,234/s`."""
    floor: str
    """The floor's."""
    measure: float
    """What is held against the mark: mostly the one over the other."""
    unit: str
    """Of `measure`; empty for a ratio."""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def to_reach(self) -> str:
        """The mark in words."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}{self.unit}"
        return f"at most {self.at_most:g}{self.unit}"

    @property
    def is_reached(self) -> bool:
        """Whether the mark is reached."""
        if self.at_least is not None:
            return self.measure >= self.at_least
        return self.at_most is not None and self.measure <= self.at_most


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a plot."""

    label: str
    x: list[float]
    y: list[float]


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark found out."""

    name: str
    how: str
    """How it was measured, and what the floor is, in a few sentences."""
    figures: list[Figure]
    beside: list[tuple[str, str]] = field(default_factory=list)
    """What else there is to say, `(what, figure)`."""
    runs: list[JsonObject] = field(default_factory=list)
    """The single runs that the medians are of."""
    curves: list[Curve] = field(default_factory=list)

    def to_document(self) -> JsonObject:
        """As JSON."""
        return {
            "name": self.name,
            "how": self.how,
            "figures": [
                {**asdict(figure), "to_reach": figure.to_reach, "is_reached": figure.is_reached}
                for figure in self.figures
            ],
            "beside": [[what, figure] for what, figure in self.beside],
            "runs": list(self.runs),
            "curves": [asdict(curve) for curve in self.curves],
        }


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share of all is not above (nearest rank). `values` has at least one."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(runs: Sequence[JsonObject], name: str) -> float:
    """The median of one number over the runs."""
    return statistics.median(float(str(run[name])) for run in runs)


def over(value: float, floor: float) -> float:
    """The one over the other; infinite where there is no floor."""
    return value / floor if floor else math.inf


def cumulative(label: str, moments_ns: Sequence[int], points: int = 150) -> Curve:
    """How many there were by when, in seconds since the first, thinned out to so many points."""
    ordered = sorted(moments_ns)
    step = max(1, len(ordered) // points)
    picked = sorted({*range(0, len(ordered), step), len(ordered) - 1})
    return Curve(label, [(ordered[i] - ordered[0]) / 1e9 for i in picked], [float(i + 1) for i in picked])


def distribution(label: str, values: Sequence[float]) -> Curve:
    """Which share (percent) is at most how much."""
    shares = [*range(1, 100), 99.5, 99.9]
    return Curve(label, [quantile(values, share / 100) for share in shares], [float(share) for share in shares])
