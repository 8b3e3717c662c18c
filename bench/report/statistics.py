"""Intervals and ties for tables of per-image scores: bootstrap of the mean, paired tests.

Percentile bootstrap after B. Efron, Ann. Statist. 7, 1979; signed-rank test of F. Wilcoxon,
Biometrics Bulletin 1, 1945, with the step-down correction of S. Holm, Scand. J. Statist. 6, 1979.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# Resampled indices drawn at a time: bounds the memory to some tens of megabytes.
DRAWS = 4_000_000


class MeanInterval(NamedTuple):
    """A mean over images with its confidence interval; n_nan images had no value."""

    mean: float
    low: float
    high: float
    n_used: int
    n_nan: int


def bootstrap_mean_interval(
    values: npt.ArrayLike, *, seed: int = 0, resamples: int = 10_000, level: float = 0.95
) -> MeanInterval:
    """Percentile bootstrap of the mean over images; NaN are left out and counted.

    Without any value mean and bounds are NaN; a single value is its own interval.
    """
    given: Values = np.asarray(values, dtype=np.float64).ravel()
    used = given[~np.isnan(given)]
    missing = given.size - used.size
    if used.size == 0:
        return MeanInterval(math.nan, math.nan, math.nan, 0, missing)
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, DRAWS // used.size)
    for first in range(0, resamples, step):
        last = min(resamples, first + step)
        drawn = random.integers(used.size, size=(last - first, used.size))
        means[first:last] = used[drawn].mean(axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return MeanInterval(float(used.mean()), float(low), float(high), used.size, missing)


def tie_group(
    values_by_method: Mapping[str, npt.ArrayLike], higher_is_better: bool, level: float = 0.05
) -> tuple[str, frozenset[str]]:
    """The method with the best mean, and all methods not significantly different from it.

    values_by_method: per method one value per image, the images in the same order for all. Each
    method is compared with the best one by a two-sided signed-rank test over the images on which
    both have a value; the p-values of one call are corrected after Holm. The group contains the
    best method. Methods without any value can't be in it; with no value at all this is an error.
    """
    scores: dict[str, Values] = {
        name: np.asarray(values, dtype=np.float64).ravel()
        for name, values in values_by_method.items()
    }
    if len({score.size for score in scores.values()}) > 1:
        raise ValueError("paired methods need one value (or NaN) per image, in the same order.")
    scores = {name: score for name, score in scores.items() if not np.isnan(score).all()}
    if not scores:
        raise ValueError("no method has a value: there is no best one.")
    sign = 1 if higher_is_better else -1
    best = max(scores, key=lambda name: sign * float(np.nanmean(scores[name])))
    others = [name for name in scores if name != best]
    different = holm_rejections(
        {name: signed_rank_p(scores[best], scores[name]) for name in others}, level
    )
    return best, frozenset({best, *others} - different)


def fewest_for_a_test(comparisons: int, level: float = 0.05) -> int:
    """With fewer pairs no signed-rank test of so many can be significant after Holm, whatever the
    differences are: n of one sign have the two-sided p-value 2 / 2^n.
    """
    return 1 + math.ceil(math.log2(comparisons / level))


def signed_rank_p(first: Values, second: Values) -> float:
    """Two-sided p-value of the paired test over images present in both; 1 without a difference."""
    difference = first - second
    difference = difference[~np.isnan(difference)]
    if not difference.any():
        return 1.0
    # Imported where it is needed: scipy.stats takes a second, and most scorings compare nothing.
    from scipy.stats import wilcoxon

    return float(wilcoxon(difference).pvalue)


def holm_rejections(p_values: Mapping[str, float], level: float) -> set[str]:
    """Names whose hypothesis is rejected at this family-wise level."""
    rejected: set[str] = set()
    ordered = sorted(p_values, key=lambda name: p_values[name])
    for position, name in enumerate(ordered):
        if p_values[name] > level / (len(ordered) - position):
            break
        rejected.add(name)
    return rejected
