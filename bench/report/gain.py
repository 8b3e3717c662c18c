"""The gain per class: what detectors find on fused images beyond what they find with one camera."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import AutoMinorLocator

from bench.errors import UserError
from bench.report.detection_tables import CLASSES, MEASURES
from bench.report.footers import APART, SOURCES, printed_name
from bench.report.rows import of_stage, ordered, title_of
from bench.report.source import Source
from bench.report.statistics import bootstrap_mean_interval
from bench.report.style import PAGE, colour, legend_below, marker, new_figure, plain, save, styled
from bench.stages.detection_intervals import interval, read_draws

ALL = "all"
# Inches of a row of the chart, of what stands above and below the rows of a panel, and of the rest.
ROW, FRAME, REST = 0.17, 0.42, 0.55
# The two references of one row, apart by this share of its height.
APART_BY = 0.17
COLUMNS = (
    *("method", "name", "reference", "measure", "class", "objects"),
    *("gain", "low", "high", "seeds", "interval_over"),
)


def gains(source: Source, dataset: str) -> pd.DataFrame:
    """One line for each measure, row, reference and class: the mean difference of their AP over the
    seeds that both have, in points, with its 95 % bootstrap interval over test images (over these
    seeds where a job has left no draws).

    Rows made under other conditions than the ranked ones are left out.
    """
    table = source.tables.get(f"detection-{dataset}")
    values = of_stage(source.frame, dataset, "detect")
    values = values[values["name"].isin(list(MEASURES))]
    like = {row.key for row in table.rows if APART not in row.marks} if table else set()
    references = [name for name in SOURCES if name in like & set(values["method"])]
    if not references:
        raise UserError(
            f"{source.run} has no detection on {dataset} with visible or infrared images, over "
            "which methods would gain: run the detect stage for visible, infrared and the methods."
        )
    wanted = source.methods or ordered(source.jobs, dataset)
    # Rows of one seed and class each, a column per method.
    wide = values.pivot(
        index=["name", "item", "seed"], columns="method", values="value"
    ).reset_index()
    present = set(values["item"])
    classes = [c for c in CLASSES if c in present]
    classes += [c for c in dict.fromkeys(values["item"]) if c not in (*classes, ALL)]
    facts = source.jobs.get(dataset, references[0], "detect").facts
    objects = {**dict.fromkeys(classes, 0), **(facts.get("test_boxes") or {})}
    objects[ALL] = sum(objects.values())
    shown = [m for m in wanted if m in like & set(wide.columns)]
    pairs = [(m, r) for m in shown for r in references if r != m]
    draws = {m: read_draws(source.run / dataset / m / "detect") for m in {*shown, *references}}
    rows = []
    for measure, (method, reference), item in product(MEASURES, pairs, (*classes, ALL)):
        both = wide.loc[(wide["name"] == measure) & (wide["item"] == item), [method, reference]]
        found = bootstrap_mean_interval(both[method] - both[reference])
        if found.n_used:
            bounds = (found.low, found.high) if found.n_used > 1 else (None, None)
            over = "seeds" if found.n_used > 1 else ""
            own, other = (draws[m].get((item, measure)) for m in (method, reference))
            if own is not None and other is not None and len(own) == len(other):
                bounds, over = interval(own - other), "test images"
            words = (method, source.name(dataset, method), reference, measure, item)
            rows.append((*words, objects[item], found.mean, *bounds, found.n_used, over))
    if not rows:
        raise UserError(f"No row of {source.run} shares a seed with {' or '.join(references)}.")
    return pd.DataFrame(rows, columns=list(COLUMNS))


def gain_chart(source: Source, dataset: str) -> tuple[Path, ...]:
    """`gain-<data set>`: a column of panels per class, a line per row, a mark per reference."""
    data = gains(source, dataset)
    names = list(dict.fromkeys(zip(data["method"], data["name"], strict=True)))
    classes = [c for c in dict.fromkeys(data["class"]) if c != ALL] + [ALL]
    references = [name for name in SOURCES if name in set(data["reference"])]
    height = len(MEASURES) * (ROW * len(names) + FRAME) + REST
    with styled():
        figure = new_figure(PAGE, height, layout="constrained")
        axes = figure.subplots(len(MEASURES), len(classes), sharex=True, sharey=True, squeeze=False)
        for line, (measure, label) in enumerate(MEASURES.items()):
            for column, cls in enumerate(classes):
                own = axes[line][column]
                part = data[(data["measure"] == measure) & (data["class"] == cls)]
                _panel(own, part, [method for method, _ in names], references)
                count = data.loc[data["class"] == cls, "objects"].max()
                head = f"{label}\n(mean)" if cls == ALL else f"{plain(cls)}\n({count})"
                own.set_title(head, fontsize=6.5)
            axes[line][0].set_ylabel(measure)
        axes[0][0].set_yticks(range(len(names)), [plain(name) for _, name in names])
        axes[0][0].set_ylim(len(names) - 0.4, -0.6)
        axes[0][0].margins(x=0.12)
        over = ", ".join(word for word in dict.fromkeys(data["interval_over"]) if word)
        spread = f"95 % bootstrap over {over}" if over else "one seed: no intervals"
        what = f"Detection on {title_of(dataset)}: points of AP gained over one camera alone"
        figure.suptitle(plain(f"{what} ({spread}; objects in brackets)"), fontsize=7.5)
        handles = [
            Line2D([], [], color=colour(k), marker=marker(k), linestyle="", markersize=4,
                   label=f"against {plain(printed_name(source.jobs, dataset, name))}")
            for k, name in enumerate(references)
        ]  # fmt: skip
        legend_below(figure, handles, len(handles))
    return save(figure, source.out(f"gain-{dataset}"), data)


def _panel(
    axes: Any, data: pd.DataFrame, methods: Sequence[str], references: Sequence[str]
) -> None:
    """The gains of one class by one measure: a dot each, its interval as a line."""
    axes.axvline(0, color="#777777", linewidth=0.6, zorder=1)
    axes.xaxis.set_minor_locator(AutoMinorLocator(2))
    axes.grid(axis="x", which="both")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for k, reference in enumerate(references):
        part = data[data["reference"] == reference]
        shift = (k - (len(references) - 1) / 2) * 2 * APART_BY
        y = [methods.index(method) + shift for method in part["method"]]
        known = part["low"].notna().to_numpy()
        bounds = part[known]
        axes.hlines(
            [place for place, has in zip(y, known, strict=True) if has],
            bounds["low"], bounds["high"], color=colour(k), linewidth=0.8, zorder=2,
        )  # fmt: skip
        axes.plot(part["gain"], y, marker(k), color=colour(k), markersize=2.8, zorder=3)
