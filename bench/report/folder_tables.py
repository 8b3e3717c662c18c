"""What `bench score` prints: means, a paired comparison of two folders, and all conventions."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from bench.errors import UserError, counted
from bench.metrics.registry import METRICS
from bench.report.folder_scores import FolderScores
from bench.report.statistics import (
    Values,
    bootstrap_mean_interval,
    fewest_for_a_test,
    holm_rejections,
    signed_rank_p,
)

LEVEL = 0.05
METRIC_OF = {column: metric for metric in METRICS.values() for column in metric.columns}


def summary(scores: FolderScores, convention: str) -> Table:
    """Means with their 95 % bootstrap intervals."""
    table = _table(
        f"{counted(len(scores.images), 'image')}, convention {convention}, mean and 95 % bootstrap "
        "interval",
        ("metric", "mean", "low", "high", "undefined"),
    )
    small = False
    for column, values in scores.values[convention].items():
        interval = bootstrap_mean_interval(values)
        small |= bool(interval.n_nan)
        numbers = (_number(v) for v in (interval.mean, interval.low, interval.high))
        table.add_row(column, *numbers, str(interval.n_nan))
    if small:
        table.caption = (
            "undefined: a constant image, or one that is smaller than the metric's filters; "
            "left out of the mean"
        )
        table.caption_justify = "left"
    return table


def comparison(first: FolderScores, second: FolderScores, convention: str) -> Table:
    """Both folders' means over the images that both have, and the paired difference.

    Raises UserError where they share no image.
    """
    common = [image for image in first.images if image in set(second.images)]
    if not common:
        raise UserError(f"{first.folder} and {second.folder} share no image to compare.")
    ours, theirs = (_columns(scores, convention, common) for scores in (first, second))
    p_values = {name: signed_rank_p(ours[name], theirs[name]) for name in ours}
    # The terms of single sources are parts of what is tested already: they would only cost power.
    tested = {name: p for name, p in p_values.items() if name in METRICS}
    different = holm_rejections(tested, LEVEL)
    fewest = fewest_for_a_test(len(tested), LEVEL)
    table = _table(
        f"A = {first.folder}, B = {second.folder}: {counted(len(common), 'image')}, "
        f"convention {convention}",
        ("metric", "A", "B", "A − B", "low", "high", "p", "better"),
    )
    for name in ours:
        gap = bootstrap_mean_interval(ours[name] - theirs[name])
        higher = (gap.mean > 0) == (METRIC_OF[name].direction == "higher")
        table.add_row(
            name,
            *(_number(_mean(values[name])) for values in (ours, theirs)),
            *(_number(v) for v in (gap.mean, gap.low, gap.high)),
            f"{p_values[name]:.2g}",
            _verdict(name in tested and len(common) >= fewest, name in different, higher),
        )
    table.caption = (
        "A − B: mean paired difference with its 95 % bootstrap interval; p: two-sided Wilcoxon "
        f"signed-rank test; better: at the level {LEVEL} after Holm over the "
        f"{counted(len(tested), 'metric')}; terms of single sources get no verdict"
    )
    if len(common) < fewest:
        table.caption += (
            f"; too few images for a verdict: with fewer than {fewest} no difference can reach "
            "the level"
        )
    table.caption_justify = "left"
    return table


def _verdict(tested: bool, different: bool, first_is_better: bool) -> str:
    if not tested:
        return ""
    return ("A" if first_is_better else "B") if different else "="


def conventions_table(scores: Sequence[FolderScores]) -> Table:
    """Mean of every metric under every convention; with several folders also the rank.

    A dash stands where the convention does not define the metric.
    """
    names = tuple(scores[0].values)
    letters = string.ascii_uppercase[: len(scores)] if len(scores) > 1 else " "
    heads = ("metric", *(("",) if len(scores) > 1 else ()), *map(_heading, names))
    title = f"{counted(len(scores[0].images), 'image')}, mean by convention"
    if len(scores) > 1:
        whose = (f"{letter} = {s.folder}" for letter, s in zip(letters, scores, strict=True))
        title = f"Mean (rank) by convention; {', '.join(whose)}"
    table = _table(title, heads)
    for metric in _headline(scores[0].values):
        means = {
            convention: [_mean_of(s.values[convention].get(metric)) for s in scores]
            for convention in names
        }
        ranks = {c: _ranks(values, METRICS[metric].direction) for c, values in means.items()}
        for k, folder in enumerate(letters):
            cells = []
            for convention in names:
                mean = means[convention][k]
                place = f" ({ranks[convention][k]})" if len(scores) > 1 else ""
                cells.append("–" if mean is None else _number(mean) + place)
            table.add_row(metric, *((folder,) if len(scores) > 1 else ()), *cells)
    return table


def agreement_table(scores: FolderScores, reference: str = "standard") -> Table:
    """Spearman's rank correlation of per-image values with those under `reference`."""
    from scipy.stats import spearmanr

    names = [name for name in scores.values if name != reference]
    table = _table(
        f"Do images keep their order? Spearman's ρ with {reference} over "
        f"{counted(len(scores.images), 'image')}",
        ("metric", *map(_heading, names)),
    )
    base = scores.values[reference]
    for metric in _headline({reference: base}):
        cells = []
        for convention in names:
            values = scores.values[convention].get(metric)
            pairs = [
                (x, y)
                for x, y in zip(base[metric], values or (), strict=False)
                if not math.isnan(x) and not math.isnan(y)
            ]
            varied = all(len(set(side)) > 1 for side in zip(*pairs, strict=True))
            rho = float(spearmanr(pairs).statistic) if varied and len(pairs) > 2 else math.nan
            cells.append("–" if values is None or math.isnan(rho) else f"{rho:.3f}")
        table.add_row(metric, *cells)
    return table


def _table(title: str, heads: Sequence[str]) -> Table:
    # Not a plain string: rich would take brackets in the names of folders for markup.
    table = Table(title=Text(title), title_justify="left")
    for head in heads:
        words = head in ("metric", "")
        table.add_column(head, justify="left" if words else "right", no_wrap=head == "metric")
    return table


def _heading(convention: str) -> str:
    return convention.replace("-", "-\n")


def _headline(values: Mapping[str, Mapping[str, object]]) -> list[str]:
    """The metrics' own columns, without the terms of single sources."""
    present = {name for columns in values.values() for name in columns}
    return [name for name in METRICS if name in present]


def _columns(scores: FolderScores, convention: str, images: Sequence[str]) -> dict[str, Values]:
    place = {image: k for k, image in enumerate(scores.images)}
    order = [place[image] for image in images]
    return {
        name: np.asarray(values, dtype=np.float64)[order]
        for name, values in scores.values[convention].items()
    }


def _mean(values: Values) -> float:
    used = values[~np.isnan(values)]
    return float(used.mean()) if used.size else math.nan


def _mean_of(values: Sequence[float] | None) -> float | None:
    return None if values is None else _mean(np.asarray(values, dtype=np.float64))


def _ranks(means: Sequence[float | None], direction: str) -> list[str]:
    """Each mean's place, 1 the best; equal means share the better place."""
    known = [mean for mean in means if mean is not None and not math.isnan(mean)]
    sign = 1 if direction == "higher" else -1
    return [
        "–"
        if mean is None or math.isnan(mean)
        else str(1 + sum(sign * other > sign * mean for other in known))
        for mean in means
    ]


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.3f}"
