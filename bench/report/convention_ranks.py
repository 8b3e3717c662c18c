"""The figure of `bench score --convention all --plot`: each method's place under each convention.

One panel a metric, conventions along x, place 1 on top; a crossing of lines is a pair of methods
whose order depends on the evaluator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.errors import UserError
from bench.metrics.registry import METRICS
from bench.report.folder_scores import FolderScores

# metric -> convention -> method -> mean over images.
Means = Mapping[str, Mapping[str, Mapping[str, float]]]

SUFFIXES = (".pdf", ".png", ".svg")
PANELS_A_ROW = 3
PANEL_INCHES = (3.1, 2.3)


def check_plot(path: Path, folders: int, convention: str | None) -> None:
    """UserError unless a plot of ranks can be drawn from what was asked for."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"--plot {path}: give a name that ends in {', '.join(SUFFIXES)}.")
    if not path.parent.is_dir():
        raise UserError(f"--plot {path}: the folder {path.parent} does not exist.")
    if convention != "all" or folders < 2:
        raise UserError(
            "--plot shows how ranks move between conventions: it needs --convention all and at "
            "least one folder to compare with, --against DIR."
        )


def draw(means: Means, out: Path, title: str = "") -> tuple[str, ...]:
    """Draw the metrics that at least two conventions define; the metrics drawn.

    A convention that gives not every method of a metric a value is left out of its panel.
    """
    panels = {
        metric: complete
        for metric, by_convention in means.items()
        if len(complete := _complete(by_convention)) > 1
    }
    if not panels:
        raise UserError("no metric has values under two conventions: there are no ranks to draw.")
    methods = list(next(iter(next(iter(panels.values())).values())))
    rows = math.ceil(len(panels) / PANELS_A_ROW)
    width, height = PANEL_INCHES
    figure = Figure((width * PANELS_A_ROW, height * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, PANELS_A_ROW, squeeze=False).ravel()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    palette = colormaps["tab10" if len(methods) <= 10 else "tab20"]
    colours = [palette(k) for k in range(len(methods))]
    for axis, (metric, by_convention) in zip(axes, panels.items(), strict=False):
        higher = METRICS[metric].direction == "higher"
        places = {c: ranks(values, higher) for c, values in by_convention.items()}
        x = range(len(places))
        for method, colour in zip(methods, colours, strict=True):
            axis.plot(x, [p[method] for p in places.values()], "o-", color=colour, label=method)
        moved = any(len({p[method] for p in places.values()}) > 1 for method in methods)
        axis.set_title(metric if moved else f"{metric} (order agrees)", fontsize=9)
        axis.set_xticks(list(x), [c.replace("-", "-\n") for c in places], fontsize=6)
        axis.set_yticks(range(1, len(methods) + 1))
        axis.tick_params(axis="y", labelsize=7)
        axis.set_ylim(len(methods) + 0.5, 0.5)
        axis.set_xlim(-0.3, len(places) - 0.7)
    handles, labels = axes[0].get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="outside lower center", ncols=6, fontsize=7, frameon=False
    )
    for text in legend.get_texts():
        # Names of folders are text: dollar signs in them are no formula.
        text.set_parse_math(False)
    if title:
        figure.suptitle(title, fontsize=10)
    figure.savefig(out, dpi=160)
    return tuple(panels)


def ranks(values: Mapping[str, float], higher: bool) -> dict[str, float]:
    """Each method's place, 1 the best; equal means share the mean of their places."""
    sign = 1 if higher else -1
    numbers = np.array([sign * value for value in values.values()])
    return {
        name: 1 + float((numbers > own).sum()) + float((numbers == own).sum() - 1) / 2
        for name, own in zip(values, numbers, strict=True)
    }


def means_of(scores: Sequence[FolderScores]) -> Means:
    """The means of scored folders, over the images of each; columns of single sources left out."""
    labels = folder_labels([score.folder for score in scores])
    found: dict[str, dict[str, dict[str, float]]] = {}
    for label, score in zip(labels, scores, strict=True):
        for convention, columns in score.values.items():
            for metric in (name for name in METRICS if name in columns):
                values = np.asarray(columns[metric], dtype=np.float64)
                mean = float(np.nanmean(values)) if not np.isnan(values).all() else math.nan
                found.setdefault(metric, {}).setdefault(convention, {})[label] = mean
    return {metric: found[metric] for metric in METRICS if metric in found}


def folder_labels(folders: Sequence[Path]) -> list[str]:
    """The parts in which paths of equal depth differ; otherwise the paths themselves."""
    parts = [folder.parts for folder in folders]
    if len({len(p) for p in parts}) > 1:
        return [str(folder) for folder in folders]
    differing = [k for k, column in enumerate(zip(*parts, strict=True)) if len(set(column)) > 1]
    return ["/".join(p[k] for k in differing) for p in parts]


def _complete(by_convention: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    most = max(len(values) for values in by_convention.values())
    return {
        convention: values
        for convention, values in by_convention.items()
        if len(values) == most and not any(math.isnan(v) for v in values.values())
    }
