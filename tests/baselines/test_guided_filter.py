"""The guided-filter fusion against a slow version of the paper's equations, pixel by pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from baselines.guided_filter import METHOD, box_mean, guided_filter
from bench.methods.protocol import fuse
from tests.baselines.rule_weights import waves

Image = npt.NDArray[np.float64]


def at_border(image: Image, row: int, column: int) -> float:
    height, width = image.shape
    return float(image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])


def correlated(image: Image, kernel: Image) -> Image:
    """Correlation with replicated borders."""
    half, out = len(kernel) // 2, np.zeros_like(image)
    for row, column in np.ndindex(image.shape):
        for down, right in np.ndindex(kernel.shape):
            value = at_border(image, row + down - half, column + right - half)
            out[row, column] += kernel[down, right] * value
    return out


def window(image: Image, row: int, column: int, radius: int) -> Image:
    return image[
        max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1
    ]


def slowly_guided(target: Image, guide: Image, radius: int, epsilon: float) -> Image:
    """Equations 5 to 8 of the guided filter, one window after the other."""
    slope, offset, out = np.zeros_like(guide), np.zeros_like(guide), np.zeros_like(guide)
    for place in np.ndindex(guide.shape):
        i, p = window(guide, *place, radius), window(target, *place, radius)
        slope[place] = ((i * p).mean() - i.mean() * p.mean()) / (i.var() + epsilon)
        offset[place] = p.mean() - slope[place] * i.mean()
    for place in np.ndindex(guide.shape):
        mean_slope = window(slope, *place, radius).mean()
        out[place] = mean_slope * guide[place] + window(offset, *place, radius).mean()
    return out


def slowly_fused(visible: Image, infrared: Image) -> Image:
    laplacian = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
    distance = np.arange(-5, 6) ** 2
    gaussian = np.exp(-(distance[:, None] + distance[None, :]) / 50)
    sources = (visible, infrared)
    bases = [correlated(image, np.full((31, 31), 1 / 961)) for image in sources]
    activity = [
        correlated(np.abs(correlated(image, laplacian)), gaussian / gaussian.sum())
        for image in sources
    ]
    chosen = [np.where(a == np.maximum(*activity), 1.0, 0.0) for a in activity]
    fused = np.zeros_like(visible)
    details = [image - base for image, base in zip(sources, bases, strict=True)]
    for layers, radius, epsilon in ((bases, 45, 0.3), (details, 7, 1e-6)):
        weights = [
            np.clip(slowly_guided(p, image, radius, epsilon), 0, 1) + 1e-12
            for p, image in zip(chosen, sources, strict=True)
        ]
        for weight, layer in zip(weights, layers, strict=True):
            fused += weight / np.sum(weights, axis=0) * layer
    return fused


def test_equals_the_papers_equations() -> None:
    random = np.random.default_rng(3)
    visible, infrared = random.random((11, 14)), random.random((11, 14))
    visible[:, 7:] = 0.25 + visible[:, 7:] / 50
    infrared[:6] = 0.75
    fused = METHOD.build()(torch.tensor(visible)[None, None], torch.tensor(infrared)[None, None])
    expected = slowly_fused(visible, infrared)
    assert np.abs(fused[0, 0].numpy() - expected).max() < 1e-9
    assert np.abs(expected - (visible + infrared) / 2).max() > 0.1


def test_box_mean_counts_only_pixels_of_the_image() -> None:
    image = torch.arange(12.0).view(1, 1, 3, 4)
    mean = box_mean(image, 1)
    assert mean[0, 0, 0, 0] == (0 + 1 + 4 + 5) / 4
    assert mean[0, 0, 1, 2] == image[0, 0, 0:3, 1:4].mean()
    assert torch.equal(box_mean(image, 45), torch.full_like(image, 5.5))


def test_a_guide_filters_itself_to_itself_where_it_has_structure() -> None:
    visible, _ = waves(40, 40)
    visible = visible.double()
    kept = guided_filter(visible, visible, 7, 1e-12)
    assert (kept - visible).abs().max() < 1e-9
    smoothed = guided_filter(visible, visible, 7, 1e6)
    assert (smoothed - box_mean(box_mean(visible, 7), 7)).abs().max() < 1e-5


def test_equal_sources_come_back_and_order_does_not_matter() -> None:
    visible, infrared = waves(37, 53)
    network = METHOD.build()
    assert (network(visible, visible) - visible).abs().max() < 1e-6
    assert torch.equal(network(visible, infrared), network(infrared, visible))


def test_the_source_with_detail_brings_it_into_the_fused_image() -> None:
    textured, _ = waves(64, 64)
    flat = torch.full_like(textured, 0.5)
    fused = METHOD.build()(textured, flat)
    assert (fused - textured).abs().max() < 1e-5


def test_gives_the_recorded_numbers() -> None:
    visible, infrared = waves(48, 61)
    fused = METHOD.build()(visible, infrared)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (24, 60), (47, 15))]
    assert picked == pytest.approx([-0.2121074, 0.5132079, 0.8518809, 0.270441], abs=1e-6)


def test_items_of_a_batch_do_not_see_each_other() -> None:
    visible, infrared = waves(21, 33)
    network = METHOD.build()
    both = network(torch.cat([visible, infrared]), torch.cat([infrared, visible.flip(3)]))
    assert torch.equal(both[:1], network(visible, infrared))
    assert torch.equal(both[1:], network(infrared, visible.flip(3)))


def test_fuses_a_tiny_colour_pair_by_the_protocol() -> None:
    visible = torch.tensor([[[200, 10, 30]], [[100, 20, 60]], [[50, 250, 90]]], dtype=torch.uint8)
    infrared = torch.tensor([[[0, 128, 255]]], dtype=torch.uint8)
    fused = fuse(METHOD.build().eval(), METHOD.protocol, visible[None], infrared[None])
    assert fused.shape == (1, 3, 1, 3)
