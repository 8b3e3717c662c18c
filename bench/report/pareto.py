"""Figure 9: detection quality against cost, the size of the network as the size of the bubble."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.errors import UserError
from bench.report.frame import COST
from bench.report.rows import title_of
from bench.report.source import Source
from bench.report.style import colour, new_figure, plain, save, styled

QUALITY = "mAP50:95"
# Points² per square root of a million parameters, and the smallest bubble that can be seen.
AREA, SMALLEST = 70.0, 14.0
WIDTH, HEIGHT = 5.0, 3.4
# Where a name may stand: directions, and gaps to its bubble in heights of a line.
DIRECTIONS = 16
GAPS = (0.0, 0.8, 1.8, 3.0)


def front(cost: Sequence[float], quality: Sequence[float]) -> list[int]:
    """Indices of the points that no other is as cheap and better than, from cheap to costly."""
    order = sorted(range(len(cost)), key=lambda k: (cost[k], -quality[k]))
    found: list[int] = []
    for k in order:
        if not found or quality[k] > quality[found[-1]]:
            found.append(k)
    return found


def points(source: Source, dataset: str) -> pd.DataFrame:
    """method, name, size, macs, params, quality, low, high of every row that has all of it."""
    detection, cost = source.tables.get(f"detection-{dataset}"), source.tables.get("cost")
    if detection is None or not any(row.competes and row.cells for row in detection.rows):
        raise UserError(f"{source.run} has no detection on {dataset}: run the detect stage first.")
    if cost is None:
        raise UserError(f"{source.run} has no costs: run the profile stage first.")
    last = [column.name for column in detection.columns].index(QUALITY)
    profile = source.frame[source.frame["stage"] == "profile"]
    sizes = [size for size in dict.fromkeys(profile["item"]) if size]
    rows = []
    for row in detection.rows:
        known = profile[(profile["method"] == row.key) & (profile["item"] == (sizes or [""])[0])]
        by_name = dict(zip(known["name"], known["value"], strict=True))
        cell = row.cells[last]
        wanted = not source.methods or row.key in source.methods
        if row.competes and wanted and cell.value is not None and "macs" in by_name:
            bounds = (cell.low, cell.high)
            low, high = (cell.value if bound is None else bound for bound in bounds)
            counts = (float(by_name["macs"]), float(by_name.get("params", 0)))
            name = source.name(dataset, row.key)
            rows.append((row.key, name, sizes[0], *counts, cell.value, low, high))
    columns = ["method", "name", "size", "macs", "params", "quality", "low", "high"]
    if not rows:
        raise UserError(
            f"No row of {source.run} has both detection on {dataset} and a cost: run the detect "
            f"and the profile stage for the same methods ({COST} holds the costs)."
        )
    return pd.DataFrame(rows, columns=columns)


def bubbles(source: Source, dataset: str) -> tuple[Path, ...]:
    """`cost-<data set>`: MACs along a logarithmic axis; what needs none stands at its left end."""
    data = points(source, dataset)
    best = front(data["macs"].tolist(), data["quality"].tolist())
    data["pareto"] = ["yes" if place in best else "no" for place in range(len(data))]
    positive = data.loc[data["macs"] > 0, "macs"]
    zero = float(positive.min()) / 4 if len(positive) else 1.0
    x = data["macs"].where(data["macs"] > 0, zero).to_numpy(float) / 1e9
    y = data["quality"].to_numpy(float)
    with styled():
        figure = new_figure(WIDTH, HEIGHT, layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        steps = [k for k in best for _ in (0, 1)]
        ends = [*x[steps][1:], max(x) * 1.6]
        axes.plot(ends, y[steps], color="#999999", linestyle="--", linewidth=0.8, zorder=1)
        axes.errorbar(
            x, y, [y - data["low"], data["high"] - y], fmt="none", ecolor="#777777", elinewidth=0.6
        )
        areas = [_area(params) for params in data["params"]]
        for k, area in enumerate(areas):
            filled = bool(data["macs"][k] > 0)
            axes.scatter(
                x[k], y[k], area, color=colour(0) if k in best else colour(1), alpha=0.75,
                edgecolors="black", linewidths=0.5, zorder=3, facecolors=None if filled else "none",
            )  # fmt: skip
        axes.set_title(plain(f"Detection on {title_of(dataset)} against cost"), loc="left")
        _frame(axes, data, x, zero / 1e9)
        _labels(figure, axes, [plain(name) for name in data["name"]], x, y, areas)
    return save(figure, source.out(f"cost-{dataset}"), data)


def _area(params: float) -> float:
    return max(SMALLEST, AREA * math.sqrt(params / 1e6))


def _frame(axes: Any, data: pd.DataFrame, x: Any, zero: float) -> None:
    """Limits with room for names, axis names, and the key to colours and sizes."""
    axes.set_xlim(min(x) / 2.5, max(x) * 4)
    low, high = float(data["low"].min()), float(data["high"].max())
    span = max(high - low, 1.0)
    axes.set_ylim(low - 0.15 * span, high + 0.15 * span)
    size = str(data["size"][0]).replace("x", "×")
    axes.set_xlabel(f"GMACs of fusing one {size} pair (logarithmic)")
    axes.set_ylabel(f"{QUALITY} in %")
    axes.grid()
    axes.set_axisbelow(True)
    if (data["macs"] == 0).any():
        axes.axvline(zero, color="#cccccc", linewidth=0.6, linestyle=":")
        axes.annotate("no MACs", (zero, 0), (2, 2), xycoords=("data", "axes fraction"),
                      textcoords="offset points", fontsize=5.5, color="#555555")  # fmt: skip
    largest = max(1.0, float(data["params"].max()) / 1e6)
    keys = [k for k in (0.1, 1.0, 10.0, 100.0) if k <= largest * 3][-3:]
    handles = [axes.scatter([], [], _area(k * 1e6), color="#bbbbbb", edgecolors="black",
                            linewidths=0.5, label=f"{k:g} M") for k in keys]  # fmt: skip
    handles += [
        axes.scatter([], [], 20, color=colour(0), label="on the Pareto front"),
        axes.scatter([], [], 20, color=colour(1), label="behind it"),
    ]
    axes.figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), title="parameters",
        title_fontsize=6, fontsize=6, columnspacing=1.2, handletextpad=0.8,
    )  # fmt: skip


def _labels(
    figure: Any, axes: Any, names: Sequence[str], x: Any, y: Any, areas: Sequence[float]
) -> None:
    """Every name by its bubble, with a line to it, where it covers least of names and bubbles."""
    figure.canvas.draw()
    # From here on nothing may move, or the names would no longer stand where there is room.
    figure.set_layout_engine("none")
    scale = figure.dpi / 72
    spots = axes.transData.transform(np.column_stack([x, y]))
    radii = [math.sqrt(area / math.pi) * scale for area in areas]
    # A name that touches another bubble would be read as that one's.
    margin = 3 * scale
    taken = [
        (px - r - margin, py - r - margin, px + r + margin, py + r + margin)
        for (px, py), r in zip(spots, radii, strict=True)
    ]
    window = axes.get_window_extent()
    frame = (window.x0, window.y0, window.x1, window.y1)
    back = axes.transData.inverted().transform
    for place in sorted(range(len(names)), key=lambda k: -len(names[k])):
        text = axes.text(0.5, 0.5, names[place], fontsize=6, transform=axes.transAxes)
        box = text.get_window_extent()
        text.remove()
        others = [area for k, area in enumerate(taken) if k != place]
        spot = _best_spot(
            spots[place], radii[place] + scale, (box.width, box.height), others, frame
        )
        taken.append(spot)
        px, py = spots[place]
        # From the bubble to the nearest point of the name's box.
        near = (min(max(px, spot[0]), spot[2]), min(max(py, spot[1]), spot[3]))
        line = back([(px, py), near])
        axes.plot(line[:, 0], line[:, 1], color="#555555", linewidth=0.5, zorder=2.5)
        middle = back(((spot[0] + spot[2]) / 2, (spot[1] + spot[3]) / 2))
        axes.text(
            *middle, names[place], fontsize=6, zorder=5, ha="center", va="center",
            bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.3},
        )  # fmt: skip


Rectangle = tuple[float, float, float, float]


def _best_spot(
    centre: Sequence[float],
    radius: float,
    size: tuple[float, float],
    others: Sequence[Rectangle],
    frame: Rectangle,
) -> Rectangle:
    """The place of a name of this size around a bubble; all in pixels."""
    wide, high = size
    best, least = (0.0, 0.0, 0.0, 0.0), math.inf
    for gap in GAPS:
        for k in range(DIRECTIONS):
            angle = 2 * math.pi * k / DIRECTIONS
            dx, dy = math.cos(angle), math.sin(angle)
            left = centre[0] + dx * (radius + gap * high + wide / 2) - wide / 2
            low = centre[1] + dy * (radius + gap * high + high / 2) - high / 2
            spot = (left, low, left + wide, low + high)
            cost = sum(_overlap(spot, other) for other in others)
            cost += 4 * (wide * high - _overlap(spot, frame)) + gap * high * high
            if cost < least:
                best, least = spot, cost
    return best


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, wide) * max(0.0, high)
