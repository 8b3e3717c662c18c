"""SSIM, the structural similarity of the fused image to each source.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error
visibility to structural similarity", IEEE Trans. Image Process. 13(4), 2004: 11×11 Gaussian window
with sigma 1.5, data range 255, only positions with the whole window inside, no downsampling.
NaN where the image is smaller than the window. Evaluators differ most on this metric.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from bench.metrics.choices import Convention, StructuralSimilarityChoices, combine
from bench.metrics.contract import Metric
from bench.metrics.gaussian import gaussian_taps, local_moments, row_bands, uniform_taps
from bench.metrics.summation import plane_sum

PRECISION = {"float64": torch.float64, "float32": torch.float32}


def structural_similarity(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """SSIM_ir, SSIM_vi and SSIM of N×1×H×W luma 0..255."""
    choices = convention.ssim
    if choices.border == "valid" and min(fused.shape[-2:]) < choices.window:
        undefined = fused.new_full((fused.shape[0],), math.nan, dtype=torch.float64)
        return {"SSIM_ir": undefined, "SSIM_vi": undefined, "SSIM": undefined}
    similarity = mean_similarity(fused, torch.cat((infrared, visible), 1), choices)
    from_infrared, from_visible = similarity.unbind(1)
    return {
        "SSIM_ir": from_infrared,
        "SSIM_vi": from_visible,
        "SSIM": combine(from_infrared, from_visible, choices.combination),
    }


def mean_similarity(image: Tensor, sources: Tensor, choices: StructuralSimilarityChoices) -> Tensor:
    """Mean SSIM of N×1×H×W to each of the S sources in N×S×H×W; N×S.

    The image's own moments are taken once for all sources, one band of rows after the other.
    """
    images = torch.cat((sources, image), 1)
    size = choices.window
    if choices.border == "replicate":
        images = functional.pad(images.double(), (size // 2,) * 4, mode="replicate")
    height, width = images.shape[-2:]
    total = images.new_zeros(sources.shape[:2], dtype=torch.float64)
    for band in row_bands(height, width, size):
        similarity = similarity_map(images[:, :, band], choices)
        total += plane_sum(similarity.double())
    return total / ((height - size + 1) * (width - size + 1))


def similarity_map(images: Tensor, choices: StructuralSimilarityChoices) -> Tensor:
    """SSIM at every position of the window, of the last of N×(S+1)×H×W to each other; N×S×h×w."""
    luminance_constant = (0.01 * choices.data_range) ** 2
    contrast_constant = (0.03 * choices.data_range) ** 2
    mean_squares, mean_product, variances, covariance = _moments(images, choices)
    numerator = mean_product.mul_(2).add_(luminance_constant)
    numerator.mul_(covariance.mul_(2).add_(contrast_constant))
    denominator = mean_squares.add_(luminance_constant).mul_(variances.add_(contrast_constant))
    return numerator.div_(denominator)


def contrast_map(images: Tensor, choices: StructuralSimilarityChoices) -> Tensor:
    """The contrast and structure factor of `similarity_map`, without luminance; N×S×h×w."""
    constant = (0.03 * choices.data_range) ** 2
    _, _, variances, covariance = _moments(images, choices)
    return covariance.mul_(2).add_(constant).div_(variances.add_(constant))


def _moments(
    images: Tensor, choices: StructuralSimilarityChoices
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of the last of N×(S+1)×H×W images with each other one, N×S×h×w each: the sum of the squared
    local means, their product, the sum of the local variances, the covariance.
    """
    size, precision = choices.window, PRECISION[choices.precision]
    taps = uniform_taps(size) if choices.sigma is None else gaussian_taps(size, choices.sigma)
    unbiased = size**2 / (size**2 - 1) if choices.covariance == "sample" else 1.0
    # An evaluator in single precision rounds each image's moments by themselves.
    joined = precision is torch.float64
    mean, square, product = local_moments(images, taps, joined=joined, round_to=precision)
    mean_product = mean[:, :-1] * mean[:, -1:]
    covariance = product.sub_(mean_product)
    squared = mean.mul_(mean)
    mean_squares = squared[:, :-1] + squared[:, -1:]
    if joined:
        variances = square.sub_(mean_squares)
    else:
        variance = square.sub_(squared)
        variances = variance[:, :-1] + variance[:, -1:]
    if unbiased != 1:
        variances.mul_(unbiased)
        covariance.mul_(unbiased)
    return mean_squares, mean_product, variances, covariance


STRUCTURAL_SIMILARITY = Metric(
    name="SSIM",
    title="structural similarity",
    columns=("SSIM_ir", "SSIM_vi", "SSIM"),
    direction="higher",
    unit="1",
    range="-2 to 2 (sum of both sources)",
    smallest=11,
    reference="Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Process. 13(4), 2004",
    function=structural_similarity,
    dtype=torch.uint8,
)
