"""MS-SSIM, the structural similarity of the fused image to each source at five scales.

Contrast and structure are compared at scales 1 to 4, all of SSIM at the fifth; the product of the
means, each to the power of its scale's weight. NaN below 176 pixels, where the fifth scale is
smaller than the window. Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multi-scale structural similarity
for image quality assessment", Asilomar 2003.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from bench.metrics.choices import Convention, MultiScaleSimilarityChoices, combine
from bench.metrics.choices import StructuralSimilarityChoices as Choices
from bench.metrics.contract import Metric
from bench.metrics.gaussian import row_bands
from bench.metrics.structural_similarity import contrast_map, mean_similarity
from bench.metrics.summation import plane_sum

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def multi_scale_similarity(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """MS_SSIM_ir, MS_SSIM_vi and their sum MS_SSIM of N×1×H×W luma 0..255."""
    choices = convention.ms_ssim
    if min(fused.shape[-2:]) < choices.smallest:
        undefined = fused.new_full((fused.shape[0],), math.nan)
        return {"MS_SSIM_ir": undefined, "MS_SSIM_vi": undefined, "MS_SSIM": undefined}
    scale = replace(Choices(), data_range=choices.data_range)
    images = torch.cat((infrared, visible, fused), 1)
    product = fused.new_ones(fused.shape[0], 2)
    for weight in WEIGHTS[:-1]:
        product *= _mean_contrast(images, scale).clamp_min_(0) ** weight
        images = halved(images, choices)
    whole = mean_similarity(images[:, -1:], images[:, :-1], scale)
    product *= whole.clamp_min_(0) ** WEIGHTS[-1]
    from_infrared, from_visible = product.unbind(1)
    return {
        "MS_SSIM_ir": from_infrared,
        "MS_SSIM_vi": from_visible,
        "MS_SSIM": combine(from_infrared, from_visible, "sum"),
    }


def _mean_contrast(images: Tensor, choices: Choices) -> Tensor:
    """Mean of the contrast-structure map of the last of N×(S+1)×H×W to each other; N×S."""
    height, width = images.shape[-2:]
    size = choices.window
    total = images.new_zeros(images.shape[0], images.shape[1] - 1)
    for band in row_bands(height, width, size):
        total += plane_sum(contrast_map(images[:, :, band], choices))
    return total / ((height - size + 1) * (width - size + 1))


def halved(images: Tensor, choices: MultiScaleSimilarityChoices) -> Tensor:
    """2×2 block means of N×S×H×W; see `odd` for sides that are odd."""
    height, width = images.shape[-2:]
    down, right = height % 2, width % 2
    if choices.odd == "repeated":
        images = functional.pad(images, (0, right, 0, down), mode="replicate")
    else:
        images = functional.pad(images, (right, right, down, down))
    return functional.avg_pool2d(images, 2)


MULTI_SCALE_SIMILARITY = Metric(
    name="MS_SSIM",
    title="multi-scale structural similarity",
    columns=("MS_SSIM_ir", "MS_SSIM_vi", "MS_SSIM"),
    direction="higher",
    unit="1",
    range="0 to 2 (sum of both sources)",
    smallest=176,
    reference="Wang, Simoncelli, Bovik, Asilomar 2003",
    function=multi_scale_similarity,
)
