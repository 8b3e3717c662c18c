"""A training as a picture: loss, metrics of the held-out pairs and speed over the iterations."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.training.validation import SIX

Series = tuple[list[float], list[float]]


def _columns(path: Path) -> dict[str, Series]:
    """Each column of a log as (iterations, values), empty cells left out."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, Series] = {}
    for name in rows[0] if rows else ():
        filled = [row for row in rows if row[name]]
        found[name] = [float(row["iteration"]) for row in filled], [float(r[name]) for r in filled]
    return found


def _line(axes: Axes, columns: dict[str, Series], name: str, label: str) -> None:
    if name in columns:
        axes.plot(*columns[name], label=label, marker="." if len(columns[name][0]) < 40 else None)


def draw(out: Path) -> Path:
    """Draw `out`/log.csv and `out`/validation.csv into `out`/curves.png; returns its path."""
    train, validation = _columns(out / "log.csv"), _columns(out / "validation.csv")
    figure = Figure(figsize=(9, 6), layout="constrained")
    loss, six, metrics, speed = figure.subplots(2, 2).flat
    _line(loss, train, "total", "training batches")
    _line(loss, validation, "total", "held-out pairs")
    loss.set_ylabel("loss")
    loss.set_yscale("log" if all(min(c["total"][1], default=1) > 0 for c in (train, validation)
                                 if "total" in c) else "linear")  # fmt: skip
    _line(six, validation, "six", "six metrics")
    six.axhline(1, color="grey", linewidth=0.8, label="average of both images")
    six.set_ylabel("geometric mean, relative")
    for name in SIX:
        if validation.get(name, ([], []))[1]:
            iterations, values = validation[name]
            first = abs(values[0]) or 1.0
            metrics.plot(iterations, [value / first for value in values], label=name, marker=".")
    metrics.set_ylabel("metric, relative to its first")
    _line(speed, train, "pairs_per_second", "pairs per second")
    speed.set_ylabel("pairs per second")
    for axes in (loss, six, metrics, speed):
        axes.set_xlabel("iteration")
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize="small")
    path = out / "curves.png"
    figure.savefig(path, dpi=110)
    return path
