"""Figure 10: per-image curves of the six metrics, and the same values as violins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from bench.errors import UserError, counted
from bench.report.rows import ablation_of, empty, title_of
from bench.report.source import Source
from bench.report.style import PAGE, colour, dash, legend_below, new_figure, plain, save, styled
from bench.report.table import ARROWS
from bench.report.tables import FUSION_METRICS

# More lines can't be followed.
LINES = 6
# Images up to which every value is drawn in full; above, a running mean leads the eye.
FEW_IMAGES = 60


def ranked_scores(source: Source, dataset: str, methods: Sequence[str] = ()) -> pd.DataFrame:
    """item, method, name, value of rows that may be compared, over the images that all have.

    methods: these rows, else all that are ranked in the data set's tables. UserError for less than
    one row.
    """
    tables = [source.tables.get(f"{kind}-{dataset}") for kind in ("fusion", "ablation")]
    ranked = dict.fromkeys(
        row.key for table in tables if table for row in table.rows if row.competes
    )
    frame = source.frame
    frame = frame[(frame["dataset"] == dataset) & (frame["stage"] == "score")]
    frame = frame[frame["name"].isin(FUSION_METRICS)]
    here = set(frame["method"])
    wanted = [name for name in (methods or ranked) if name in here]
    lost = [name for name in methods if name in here and name not in ranked]
    if lost:
        raise UserError(
            f"{lost[0]} on {dataset} was not made under the conditions of the other rows, or is "
            "not ranked: choose other methods for this figure."
        )
    if not wanted:
        raise UserError(f"{source.run} has no scores of {dataset}: run the score stage first.")
    frame = frame[frame["method"].isin(wanted)]
    wide = frame.pivot(index=["item", "name"], columns="method", values="value")
    order = list(dict.fromkeys(frame["item"]))
    wide = wide.reindex(pd.MultiIndex.from_product([order, FUSION_METRICS], names=["item", "name"]))
    long = wide[wanted].melt(ignore_index=False, var_name="method").reset_index()
    return long.dropna(subset="value").reset_index(drop=True)


def chosen_lines(source: Source, dataset: str) -> tuple[str, ...]:
    """The chosen methods; else the ablations and their method; else DSIFuse and its neighbours."""
    if source.methods:
        return source.methods
    ablation = source.tables.get(f"ablation-{dataset}")
    rows = [row.key for row in ablation.rows if row.competes and not empty(row)] if ablation else []
    if any(ablation_of(name) for name in rows):
        return tuple(rows[-LINES:])
    return _table_rows(source, dataset)[-LINES:]


def _table_rows(source: Source, dataset: str) -> tuple[str, ...]:
    """The ranked rows of the fusion table that have numbers; it has no ablations."""
    table = source.tables.get(f"fusion-{dataset}")
    rows = [row for row in table.rows if row.competes and not empty(row)] if table else []
    return tuple(row.key for row in rows)


def curves(source: Source, dataset: str) -> tuple[Path, ...]:
    """`curves-<data set>`: one line a method over the images, its mean in the legend."""
    methods = chosen_lines(source, dataset)
    long = ranked_scores(source, dataset, methods)
    drawn = [name for name in methods if name in set(long["method"])]
    images = long["item"].nunique()
    step = max(1, round(images / 20)) if images > FEW_IMAGES else 1

    def panel(axes: Any, metric: str) -> None:
        for place, method in enumerate(drawn):
            values = _values(long, method, metric)
            x = np.arange(1, len(values) + 1)
            mean = f"{values.mean():.3f}" if len(values) else "undefined"
            look = {"color": colour(place), "linestyle": dash(place), "label": mean}
            if step > 1:
                axes.plot(x, values, color=colour(place), linewidth=0.3, alpha=0.35)
                middle = np.convolve(values, np.ones(step) / step, "valid")
                axes.plot(np.arange(len(middle)) + (step + 1) / 2, middle, linewidth=1.2, **look)
            else:
                axes.plot(x, values, linewidth=0.9, **look)
        axes.set_xlim(1, max(2, images))
        # Room above the lines, so that the means hide nothing.
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.32 * (high - low))
        axes.legend(loc="upper center", ncols=3, handlelength=1.6, columnspacing=0.8)
        axes.set_xlabel("image")

    lead = f"; thick: running mean over {step} images" if step > 1 else ""
    title = f"{title_of(dataset)}, {counted(images, 'image')}; means in the legends{lead}"
    names = [source.name(dataset, method) for method in drawn]
    return _six(source, f"curves-{dataset}", title, panel, names, long)


def violins(source: Source, dataset: str) -> tuple[Path, ...]:
    """`violins-<data set>`: the distribution over images, its quartiles and mean."""
    long = ranked_scores(source, dataset, source.methods or _table_rows(source, dataset))
    drawn = list(dict.fromkeys(long["method"]))
    names = [source.name(dataset, method) for method in drawn]

    def panel(axes: Any, metric: str) -> None:
        columns = [_values(long, method, metric) for method in drawn]
        full = [place for place, values in enumerate(columns) if len(values) > 1]
        if full:
            bodies = axes.violinplot(
                [columns[k] for k in full], full, orientation="horizontal", showextrema=False,
                widths=0.85,
            )["bodies"]  # fmt: skip
            for body in bodies:
                body.set(facecolor="#9ecae1", edgecolor="#4f7f9f", alpha=1.0, linewidth=0.4)
        for place, values in enumerate(columns):
            if len(values):
                low, high = np.quantile(values, (0.25, 0.75))
                axes.plot([low, high], [place, place], color="black", linewidth=1.6)
                axes.plot(values.mean(), place, "o", color="white", markeredgecolor="black", ms=3)
        axes.set_yticks(range(len(drawn)), [plain(name) for name in names])
        axes.set_ylim(len(drawn) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.set_axisbelow(True)

    count = long["item"].nunique()
    title = f"{title_of(dataset)}, {counted(count, 'image')}; bar: middle half, dot: mean"
    height = 0.5 + 2 * (0.42 + 0.17 * len(drawn))
    return _six(source, f"violins-{dataset}", title, panel, (), long, height)


def _values(long: pd.DataFrame, method: str, metric: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = long[(long["method"] == method) & (long["name"] == metric)]
    return rows["value"].to_numpy(dtype=np.float64)


def _six(
    source: Source,
    name: str,
    title: str,
    panel: Callable[[Any, str], None],
    legend: Sequence[str],
    data: pd.DataFrame,
    height: float = 4.0,
) -> tuple[Path, ...]:
    """A panel a metric, two rows of three; legend: names of the lines below them."""
    with styled():
        figure = new_figure(PAGE, height, layout="constrained")
        axes = figure.subplots(2, 3, sharey=not legend)
        for own, metric in zip(axes.ravel(), FUSION_METRICS, strict=True):
            panel(own, metric)
            own.set_title(f"{metric} {ARROWS['higher']}", loc="left", pad=3)
        figure.suptitle(plain(title), fontsize=7.5)
        lines = [
            Line2D([], [], color=colour(k), linestyle=dash(k), label=plain(text))
            for k, text in enumerate(legend)
        ]
        if lines:
            legend_below(figure, lines, min(6, len(lines)))
    # A column a method, since the same long table would be several times as large.
    wide = data.pivot(index=["item", "name"], columns="method", values="value")
    order = pd.MultiIndex.from_frame(data[["item", "name"]].drop_duplicates())
    wide = wide.reindex(order)[list(dict.fromkeys(data["method"]))].round(6)
    return save(figure, source.out(name), wide.reset_index())
