"""Critical-difference diagrams: which methods' mean ranks over the images can be told apart.

Friedman's test and Nemenyi's critical difference at 5 %, drawn as in J. Demšar, JMLR 7, 2006.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.errors import UserError, counted
from bench.report.curves import ranked_scores
from bench.report.rows import ablation_of, title_of
from bench.report.source import Source
from bench.report.style import PAGE, new_figure, plain, save, styled
from bench.report.tables import FUSION_METRICS

LEVEL = 0.05
# Friedman's test needs three methods, and says little over fewer images than this.
FEWEST_METHODS, FEWEST_IMAGES = 3, 5
# Beside the scale, for a name and its rank.
NAME_INCHES = 0.95


@dataclass(frozen=True)
class Ranks:
    """mean_rank: by method, 1 the best. distance: the critical difference. p: Friedman's test.

    cliques: groups of neighbours in rank that can't be told apart, each as large as possible.
    """

    mean_rank: Mapping[str, float]
    distance: float
    p: float
    images: int
    cliques: tuple[tuple[str, ...], ...]


def mean_ranks(values: Mapping[str, npt.ArrayLike]) -> Ranks:
    """values: per method one value per image, higher is better; equal values share a rank."""
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    table = np.column_stack([np.asarray(column, dtype=np.float64) for column in values.values()])
    images, methods = table.shape
    means = rankdata(-table, axis=1).mean(axis=0)
    own = dict(sorted(zip(values, map(float, means), strict=True), key=lambda pair: pair[1]))
    quantile = float(studentized_range.ppf(1 - LEVEL, methods, math.inf)) / math.sqrt(2)
    distance = quantile * math.sqrt(methods * (methods + 1) / (6 * images))
    varied = bool((table != table[:, :1]).any())
    p = float(friedmanchisquare(*table.T).pvalue) if varied else 1.0
    return Ranks(own, distance, p, images, _cliques(own, distance))


def _cliques(ranks: Mapping[str, float], distance: float) -> tuple[tuple[str, ...], ...]:
    names = list(ranks)
    found: list[tuple[str, ...]] = []
    for start, first in enumerate(names):
        group = tuple(n for n in names[start:] if ranks[n] - ranks[first] <= distance)
        if len(group) > 1 and not any(set(group) <= set(other) for other in found):
            found.append(group)
    return tuple(found)


def diagrams(source: Source, dataset: str) -> tuple[Path, ...]:
    """`critical-difference-<data set>`: one diagram a metric."""
    long = ranked_scores(source, dataset, source.methods)
    if not source.methods:
        long = long[[not ablation_of(str(name)) for name in long["method"]]]
    found = {}
    for metric in FUSION_METRICS:
        part = long[long["name"] == metric]
        wide = part.pivot(index="item", columns="method", values="value").dropna()
        if wide.shape[1] >= FEWEST_METHODS and len(wide) >= FEWEST_IMAGES:
            found[metric] = mean_ranks({str(m): wide[m].to_numpy() for m in wide.columns})
    if not found:
        raise UserError(
            f"A critical-difference diagram of {dataset} needs {FEWEST_METHODS} methods and "
            f"{FEWEST_IMAGES} images that all of them have: run the score stage for more."
        )
    data = pd.DataFrame(
        [
            (metric, method, rank, ranks.distance, ranks.p, ranks.images)
            for metric, ranks in found.items()
            for method, rank in ranks.mean_rank.items()
        ],
        columns=["metric", "method", "mean_rank", "critical_difference", "friedman_p", "images"],
    )
    most = max(len(ranks.mean_rank) for ranks in found.values())
    names = {method: source.name(dataset, method) for method in data["method"].unique()}
    with styled():
        height = 0.3 + math.ceil(len(found) / 2) * (0.9 + 0.14 * math.ceil(most / 2))
        figure = new_figure(PAGE, height, layout="constrained")
        axes = figure.subplots(math.ceil(len(found) / 2), 2, squeeze=False).ravel()
        for own, (metric, ranks) in zip(axes, found.items(), strict=False):
            _diagram(own, metric, ranks, names)
        for own in axes[len(found) :]:
            own.set_visible(False)
        title = (
            f"{title_of(dataset)}: mean ranks over images, 1 the best; bars join what Nemenyi's "
            f"test can't tell apart (5 %, CD)"
        )
        figure.suptitle(plain(title), fontsize=7.5)
    return save(figure, source.out(f"critical-difference-{dataset}"), data)


def _diagram(axes: Any, metric: str, ranks: Ranks, names: Mapping[str, str]) -> None:
    """The better half is named on the left, the other on the right, so that no lines cross."""
    order = list(ranks.mean_rank)
    count = len(order)
    half = math.ceil(count / 2)
    room = 0.42 * (count - 1)
    axes.set_xlim(1 - room, count + room)
    axes.set_ylim(1.4 + 0.3 * len(ranks.cliques) + half, -1.6)
    axes.axis("off")
    axes.plot([1, count], [0, 0], color="black", linewidth=0.8)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [-0.15, 0], color="black", linewidth=0.8)
        axes.text(tick, -0.3, str(tick), ha="center", va="bottom", fontsize=6)
    axes.plot([1, 1 + ranks.distance], [-1.35, -1.35], color="black", linewidth=1.6)
    axes.text(1 + ranks.distance, -1.35, f"  CD {ranks.distance:.2f}", va="center", fontsize=6)
    words = f"{metric}: Friedman p {_p(ranks.p)}, {counted(ranks.images, 'image')}"
    axes.set_title(words, loc="left", fontsize=7, weight="bold", pad=2)
    start = 0.45 + 0.3 * len(ranks.cliques)
    _names(axes, order[:half], ranks, names, start, 1 - 0.04 * count, "right")
    _names(axes, order[half:][::-1], ranks, names, start, count + 0.04 * count, "left")
    # Methods of one rank are a bar too, not a dot under their line.
    margin = 0.015 * count
    for place, clique in enumerate(ranks.cliques):
        ends = [ranks.mean_rank[clique[0]] - margin, ranks.mean_rank[clique[-1]] + margin]
        level = 0.35 + 0.3 * place
        axes.plot(ends, [level, level], color="#0072B2", linewidth=2.2, solid_capstyle="butt")


def _names(
    axes: Any,
    order: Sequence[str],
    ranks: Ranks,
    names: Mapping[str, str],
    start: float,
    x: float,
    side: str,
) -> None:
    for place, method in enumerate(order):
        level, rank = start + 0.35 + place, ranks.mean_rank[method]
        axes.plot([rank, rank, x], [0, level, level], color="#555555", linewidth=0.6)
        label = (
            f"{plain(names[method])}  {rank:.2f}"
            if side == "right"
            else (f"{rank:.2f}  {plain(names[method])}")
        )
        points = max(3.0, min(6.5, 72 * NAME_INCHES / (0.6 * len(label))))
        axes.text(x, level, f" {label} ", ha=side, va="center", fontsize=points)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
