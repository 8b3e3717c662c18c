"""MEF-SSIM, the structural similarity of the fused image to the best of both sources together.

K. Ma, K. Zeng, Z. Wang, "Perceptual quality assessment for multi-exposure image fusion", IEEE
Trans. Image Process. 24(11), 2015: in every window the sources' structures are added, the clearer
one with more weight the less they agree, and stretched to the higher of their contrasts; the fused
image is compared with that, without luminance, at three scales. One number for both sources, not
comparable with MS-SSIM, by whose name tang-matlab prints it; `standard` does not define it.
NaN below 44 pixels, where the third scale is smaller than the window (-inf in the original), and
where the mean similarity of a scale is negative, which has no real power.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.metrics.choices import Convention, MultiScaleSimilarityChoices
from bench.metrics.contract import Metric
from bench.metrics.gaussian import filter_valid, gaussian_taps, row_bands
from bench.metrics.multi_scale_similarity import halved
from bench.metrics.summation import plane_sum

WINDOW = 11
SMALLEST = 44
WEIGHTS = (0.0448, 0.2856, 0.3001)
CONSTANT = (0.03 * 255) ** 2
EPSILON = torch.finfo(torch.float64).eps
# Added to contrasts, so that flat windows can be divided by theirs.
FLAT = 0.001
# Above this power the clearer source is all there is.
LARGEST_POWER = 10.0


def multi_exposure_similarity(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """MEF_SSIM of N×1×H×W luma 0..255."""
    if min(fused.shape[-2:]) < SMALLEST:
        return {"MEF_SSIM": fused.new_full((fused.shape[0],), math.nan)}
    images = torch.cat((infrared, visible, fused), 1)
    product = fused.new_ones(fused.shape[0])
    for scale, weight in enumerate(WEIGHTS):
        if scale > 0:
            images = halved(images, MultiScaleSimilarityChoices())
        product *= _mean_similarity(images) ** (weight / sum(WEIGHTS))
    return {"MEF_SSIM": product}


def _mean_similarity(images: Tensor) -> Tensor:
    """Mean of `similarity_map` of N×3×H×W, one band of rows after the other; N."""
    height, width = images.shape[-2:]
    total = images.new_zeros(images.shape[0])
    for band in row_bands(height, width, WINDOW):
        total += plane_sum(similarity_map(images[:, :, band]))
    return total / ((height - WINDOW + 1) * (width - WINDOW + 1))


def similarity_map(images: Tensor) -> Tensor:
    """Similarity of the last of N×3×H×W to the desired window of the first two; N×h×w.

    The desired window is a weighted sum of the two centred windows, so that its moments follow
    from theirs and no window is ever built.
    """
    first, second, fused = images.unbind(1)
    planes = torch.stack(
        (
            *(first, second, fused),
            *(first * first, second * second, first * second),
            *(fused * fused, first * fused, second * fused),
        ),
        1,
    )
    weight_first, weight_second = _desired_weights(planes)
    moments = filter_valid(planes, gaussian_taps(WINDOW, 1.5)).unbind(1)
    mean_first, mean_second, mean_fused = moments[:3]
    first_first = moments[3] - mean_first * mean_first
    second_second = moments[4] - mean_second * mean_second
    first_second = moments[5] - mean_first * mean_second
    fused_variance = moments[6] - mean_fused * mean_fused
    first_fused = moments[7] - mean_first * mean_fused
    second_fused = moments[8] - mean_second * mean_fused
    variance = (
        weight_first**2 * first_first
        + weight_second**2 * second_second
        + 2 * weight_first * weight_second * first_second
    )
    covariance = weight_first * first_fused + weight_second * second_fused
    return (2 * covariance + CONSTANT) / (variance + fused_variance + CONSTANT)


def _desired_weights(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of the two centred sources in the desired window, each N×h×w.

    planes: N×P×H×W as in `similarity_map`. Sums over windows without weights are of integers (of
    sixteenths at most at the third scale), hence exact: a flat window has a contrast of 0.
    """
    sums = filter_valid(planes[:, [0, 1, 3, 4, 5]], (1.0,) * WINDOW).unbind(1)
    count = WINDOW**2
    first = (count * sums[2] - sums[0] * sums[0]) / count
    second = (count * sums[3] - sums[1] * sums[1]) / count
    both = (count * sums[4] - sums[0] * sums[1]) / count
    contrasts = torch.stack((first, second)).sqrt()
    # 1 where the two sources' structures are equal, 0 where they cancel.
    agreement = ((first + 2 * both + second).clamp_min(0).sqrt() + EPSILON) / (
        contrasts.sum(0) + EPSILON
    )
    power = torch.tan(math.pi / 2 * agreement.clamp_max(1)).clamp_max(LARGEST_POWER)
    contrasts = contrasts + FLAT
    weights = (contrasts / WINDOW) ** power + EPSILON
    weights = weights / weights.sum(0) / contrasts
    squared = (
        weights[0] ** 2 * first + weights[1] ** 2 * second + 2 * weights[0] * weights[1] * both
    )
    length = squared.clamp_min(0).sqrt()
    stretched = weights * (contrasts.amax(0) / torch.where(length > 0, length, math.inf))
    return stretched[0], stretched[1]


MULTI_EXPOSURE_SIMILARITY = Metric(
    name="MEF_SSIM",
    title="multi-exposure fusion structural similarity",
    columns=("MEF_SSIM",),
    direction="higher",
    unit="1",
    range="0 to 1",
    smallest=SMALLEST,
    reference="Ma, Zeng, Wang, IEEE Trans. Image Process. 24(11), 2015",
    function=multi_exposure_similarity,
)
