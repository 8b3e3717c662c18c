"""Intervals and tie groups against numbers checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.report.statistics import (
    bootstrap_mean_interval,
    fewest_for_a_test,
    holm_rejections,
    signed_rank_p,
    tie_group,
)

NAN = math.nan


def test_bootstrap_of_two_values_is_the_binomial_by_hand() -> None:
    # Resamples of (0, 4) have the means 0, 2, 4 with shares 1/4, 1/2, 1/4.
    assert bootstrap_mean_interval([0.0, 4.0], level=0.95) == (2.0, 0.0, 4.0, 2, 0)
    assert bootstrap_mean_interval([0.0, 4.0], level=0.40) == (2.0, 2.0, 2.0, 2, 0)


def test_bootstrap_width_is_that_of_the_normal_limit() -> None:
    values = np.random.default_rng(5).normal(10, 2, 400)
    mean, low, high, used, missing = bootstrap_mean_interval(values, seed=1)
    error = values.std() / math.sqrt(400)
    assert mean == pytest.approx(values.mean(), rel=1e-12)
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.02)
    assert (used, missing) == (400, 0)


def test_nan_are_left_out_and_counted() -> None:
    full = bootstrap_mean_interval([1.0, 2.0, 5.0], seed=3)
    holes = bootstrap_mean_interval([NAN, 1.0, 2.0, NAN, 5.0], seed=3)
    assert holes[:4] == full[:4]
    assert (full.n_nan, holes.n_nan) == (0, 2)
    nothing = bootstrap_mean_interval([NAN, NAN])
    assert math.isnan(nothing.mean) and math.isnan(nothing.low) and math.isnan(nothing.high)
    assert (nothing.n_used, nothing.n_nan) == (0, 2)
    assert bootstrap_mean_interval([]).n_used == 0


def test_single_value_is_its_own_interval() -> None:
    assert bootstrap_mean_interval([7.5]) == (7.5, 7.5, 7.5, 1, 0)


def test_the_seed_decides_everything() -> None:
    values = np.arange(30.0) ** 2
    assert bootstrap_mean_interval(values, seed=4) == bootstrap_mean_interval(values, seed=4)
    assert bootstrap_mean_interval(values, seed=4) != bootstrap_mean_interval(values, seed=5)


def test_large_sets_are_resampled_in_parts() -> None:
    values = np.tile([1.0, 3.0], 50_000)
    interval = bootstrap_mean_interval(values, resamples=90)
    assert interval.mean == 2
    assert 1.98 < interval.low < 2 < interval.high < 2.02


def test_signed_rank_p_by_hand() -> None:
    # All n differences of one sign: the exact two-sided p-value is 2 / 2^n.
    six = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert signed_rank_p(six, np.zeros(6)) == pytest.approx(2 / 64)
    # The smallest rank of five has the other sign: W = 1, so p = 2 · (1 + 1) / 2^5.
    five = np.array([-1.0, 2.0, 3.0, 4.0, 5.0])
    assert signed_rank_p(five, np.zeros(5)) == pytest.approx(4 / 32)
    assert signed_rank_p(six, six) == 1


def test_only_images_present_in_both_are_paired() -> None:
    first = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, NAN, 100.0])
    second = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 50.0, NAN])
    assert signed_rank_p(first, second) == pytest.approx(2 / 64)


def test_holm_by_hand() -> None:
    # Thresholds 0.05/4, 0.05/3, 0.05/2, 0.05/1: the third fails, and with it the fourth.
    p_values = {"a": 0.030, "b": 0.001, "c": 0.016, "d": 0.040}
    assert holm_rejections(p_values, 0.05) == {"b", "c"}
    assert holm_rejections({"a": 0.03, "b": 0.03}, 0.05) == set()
    assert holm_rejections({"a": 0.03}, 0.05) == {"a"}
    assert holm_rejections({}, 0.05) == set()


def test_tie_group_of_three_methods() -> None:
    base = np.arange(8.0)
    jitter = np.array([1, -2, 3, -4, 5, -6, 7, -3.5]) / 1000
    methods = {"worse": base - 1 - base / 100, "good": base, "equal": base + jitter}
    # "worse": p = 2/256, below 0.05/2; "equal": ranks of both signs, far from significant.
    # The jitter's sum is +0.5/1000, so "equal" has the better mean.
    assert tie_group(methods, higher_is_better=True) == ("equal", {"good", "equal"})
    assert tie_group(methods, higher_is_better=False) == ("worse", {"worse"})


def test_correction_keeps_a_method_that_one_test_would_drop() -> None:
    # p = 2/64 = 0.031: significant alone, not as one of two comparisons (0.031 > 0.05/2).
    steps = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    best = np.full(6, 50.0)
    assert tie_group({"a": best, "b": best - steps}, True) == ("a", {"a"})
    three = {"a": best, "b": best - steps, "c": best - 2 * steps}
    assert tie_group(three, True) == ("a", {"a", "b", "c"})


def test_methods_without_values_cannot_be_best() -> None:
    best, group = tie_group({"empty": [NAN, NAN], "some": [1.0, 2.0]}, True)
    assert (best, group) == ("some", {"some"})
    with pytest.raises(ValueError, match="no best"):
        tie_group({"empty": [NAN]}, True)


def test_unpaired_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="same order"):
        tie_group({"a": [1.0, 2.0], "b": [1.0]}, True)


def test_with_so_few_images_no_difference_can_be_significant() -> None:
    assert [fewest_for_a_test(rivals) for rivals in (1, 2, 3, 11)] == [6, 7, 7, 9]
    for rivals in (1, 2, 3, 11):
        fewest = fewest_for_a_test(rivals)
        for images, significant in ((fewest - 1, False), (fewest, True)):
            steps = np.arange(1.0, images + 1)
            methods = {f"m{k}": np.full(images, 50.0) - k * steps for k in range(rivals + 1)}
            _, group = tie_group(methods, higher_is_better=True)
            assert (group == {"m0"}) is significant
