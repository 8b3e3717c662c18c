"""Invariances that hold for all images, searched with hypothesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.metrics.evaluate import evaluate

SIDES = st.integers(2, 14)
SEEDS = st.integers(0, 2**32 - 1)
LIMITS = settings(max_examples=40, deadline=None)


@st.composite
def image_triples(draw: st.DrawFn, high: int = 255) -> list[np.ndarray]:
    shape = draw(SIDES), draw(SIDES)
    levels = st.integers(0, high)
    return [draw(arrays(np.uint8, shape, elements=levels)) for _ in range(3)]


@LIMITS
@given(image_triples(), SEEDS)
def test_permuting_the_pixels_keeps_entropy_and_mutual_information(
    images: list[np.ndarray], seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(images[0].size)
    shuffled = [image.ravel()[order].reshape(image.shape) for image in images]
    before = evaluate(*images, metrics=["EN", "MI"])
    after = evaluate(*shuffled, metrics=["EN", "MI"])
    for column in before:
        assert after[column].item() == before[column].item()


@LIMITS
@given(image_triples(high=200), st.integers(0, 55))
def test_adding_a_constant_keeps_gradient_and_deviation(
    images: list[np.ndarray], constant: int
) -> None:
    fused, visible, infrared = images
    brighter = fused + np.uint8(constant)
    before = evaluate(fused, visible, infrared, metrics=["AG", "SD", "EN"])
    after = evaluate(brighter, visible, infrared, metrics=["AG", "SD", "EN"])
    for column in before:
        assert after[column].item() == pytest.approx(before[column].item(), rel=1e-10, abs=1e-10)


@LIMITS
@given(image_triples(high=127))
def test_doubling_the_contrast_doubles_gradient_and_deviation(images: list[np.ndarray]) -> None:
    fused, visible, infrared = images
    before = evaluate(fused, visible, infrared, metrics=["AG", "SD", "MI"])
    after = evaluate(fused * np.uint8(2), visible, infrared, metrics=["AG", "SD", "MI"])
    for column, factor in (("AG", 2), ("SD", 2), ("MI_ir", 1), ("MI_vi", 1)):
        expected = factor * before[column].item()
        assert after[column].item() == pytest.approx(expected, rel=1e-10, abs=1e-10)


@LIMITS
@given(image_triples())
def test_information_is_bounded_by_the_entropies(images: list[np.ndarray]) -> None:
    fused, visible, infrared = images
    row = evaluate(fused, visible, infrared, metrics=["EN", "MI"])
    entropy = row["EN"].item()
    source = evaluate(visible, visible, visible, metrics=["EN"])["EN"].item()
    assert -1e-12 <= row["MI_vi"].item() <= min(entropy, source) + 1e-12
    assert 0 <= entropy <= 8


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(41, 60), st.integers(41, 60))
def test_rotating_all_images_keeps_every_metric_without_halving(
    seed: int, height: int, width: int
) -> None:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (3, height, width), dtype=np.uint8)
    images[2] = images[2] // 64 * 64
    before, after = evaluate(*images), evaluate(*images.transpose(0, 2, 1)[:, ::-1])
    for column in before:
        if column.startswith("VIF"):
            continue  # halving keeps the first row and column, so VIF depends on where they are
        assert after[column].item() == pytest.approx(before[column].item(), rel=1e-9, abs=1e-9)
