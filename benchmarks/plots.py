"""Plots of latency and drain as SVG and PNG: `python -m benchmarks.plots RESULTS`, run in `.local/bench`."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found, unused-ignore]

mpl.use("Agg")

# The backend must be chosen before this.
import matplotlib.pyplot as plt  # type: ignore[import-not-found, unused-ignore]

COLOURS = {"router": "#1f5fa8", "bare": "#d1711f"}
"""The same for the same thing in every plot."""
CHANNEL_COLOURS = {"matrix": "#7a4fa3", "email": "#3a8f5b", "slack": "#b23a5e", "sphinx": "#8a7a2a"}


def plot_drain(result: dict[str, Any], out: Path) -> None:
    """Deliveries that have arrived, over time."""
    figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
    for curve in result["curves"]:
        label = curve["label"]
        channel = label.partition(": ")[2]
        if channel:
            axes.plot(
                curve["x"], curve["y"], label=channel, color=CHANNEL_COLOURS[channel], linewidth=1, linestyle="--"
            )
        else:
            axes.plot(curve["x"], curve["y"], label=label, color=COLOURS[label.split()[0]], linewidth=2.2)
    axes.set(xlabel="seconds since the first arrival", ylabel="deliveries arrived", xlim=0, ylim=0)
    axes.set_title("Drain of a backlog: the router (dashed: its channels) and the bare loop")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center")
    _save(figure, out, "drain")


def plot_latency(result: dict[str, Any], out: Path) -> None:
    """Which share of the messages took at most how long, a panel for each rate."""
    rates = list(dict.fromkeys(curve["label"].partition(" at ")[2] for curve in result["curves"]))
    figure, panels = plt.subplots(1, len(rates), figsize=(10, 4.4), sharey=True, layout="constrained", squeeze=False)
    for axes, rate in zip(panels[0], rates, strict=True):
        for curve in result["curves"]:
            label, _, its_rate = curve["label"].partition(" at ")
            if its_rate == rate:
                axes.plot(curve["x"], curve["y"], label=label, color=COLOURS[label.split()[0]], linewidth=2)
        axes.set(title=f"at {rate}", xlabel="milliseconds (log)", xscale="log")
        # Where the feed was quicker than the answer to the writer there is nothing to see on such an axis.
        axes.set_xlim(left=0.3)
        axes.grid(alpha=0.3, which="both")
        for share in (50, 99):
            axes.axhline(share, color="grey", linewidth=0.7, linestyle=":")
        axes.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    panels[0][0].set(ylabel="percent of messages", ylim=(0, 100), yticks=[0, 25, 50, 75, 90, 99])
    panels[0][-1].legend(loc="upper left")
    figure.suptitle("From acknowledged document to bytes at the peer")
    _save(figure, out, "latency")


def _save(figure: Any, out: Path, name: str) -> None:
    # Without a date and with fixed ids: the same figures give the same file.
    figure.savefig(out / f"{name}.svg", metadata={"Date": None})
    figure.savefig(out / f"{name}.png", dpi=110)
    plt.close(figure)


def main(out: Path) -> None:
    """Draw what there are results for."""
    mpl.rcParams.update({"svg.hashsalt": "bench", "font.size": 10, "axes.titlesize": 11})
    for name, plot in (("drain", plot_drain), ("latency", plot_latency)):
        file = out / f"{name}.json"
        if file.exists():
            plot(json.loads(file.read_text()), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
