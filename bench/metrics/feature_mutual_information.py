"""FMI, the mutual information of features of the fused image and of each source in 3×3 windows.

M. B. A. Haghighat, A. Aghagolzadeh, H. Seyedarabi, "A non-reference image fusion metric based on
mutual information of image features", Comput. Electr. Eng. 37(5), 2011, and the fast version of
M. Haghighat, M. A. Razian, "Fast-FMI: non-reference image fusion metric", AICT 2014. A window's
nine features, scaled from 0 to their maximum, are taken for a distribution over its nine places;
the joint distribution of two windows mixes independence with the Fréchet bound of their marginals
so that it has their correlation; 2 MI / (H + H) is averaged over all windows and both sources.

Defined by tang-matlab only. FMI_dct compares the coefficients of the whole image's 2-D DCT.
FMI_pixel compares binary Sobel edge maps, not pixels, because the evaluator names no feature. The
edges are thinned as GNU Octave does; MATLAB thins differently and its FMI_pixel is another number.

NaN where a side is shorter than a window. Equal images have 1, constant ones too. A weight can
exceed 1, so that single windows lie outside of 0 to 1; means of images hardly do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from bench.metrics.choices import Convention, combine
from bench.metrics.contract import Metric
from bench.metrics.gaussian import row_bands
from bench.metrics.summation import plane_sum

WINDOW = 3
PLACES = WINDOW**2
# Coefficients of the DCT that are smaller than this part of the largest are rounding, and 0:
# windows are scaled to their range, which would make features of them.
ROUNDING = 1e-13


def dct_information(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """FMI_dct_ir, FMI_dct_vi and FMI_dct of N×1×H×W luma 0..255."""
    return _information("FMI_dct", cosine_transform, fused, visible, infrared)


def edge_information(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """FMI_pixel_ir, FMI_pixel_vi and FMI_pixel of N×1×H×W luma 0..255."""
    return _information("FMI_pixel", edges, fused, visible, infrared)


def cosine_transform(images: Tensor) -> Tensor:
    """Orthonormal 2-D DCT-II of N×1×H×W."""
    coefficients = _cosine_transform_rows(_cosine_transform_rows(images).mT).mT
    largest = coefficients.abs().amax((-2, -1), keepdim=True)
    return torch.where(coefficients.abs() > ROUNDING * largest, coefficients, 0)


def edges(images: Tensor) -> Tensor:
    """Sobel edges of N×1×H×W: 1.0 where the squared gradient is above four times its mean and
    above both neighbours' in its row, or both in its column, of those above that threshold.
    """
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    down = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    horizontal = down[..., 2:] - down[..., :-2]
    vertical = across[..., 2:, :] - across[..., :-2, :]
    strength = horizontal**2 + vertical**2
    threshold = 4 * strength.mean((-2, -1), keepdim=True)
    strength = functional.pad(torch.where(strength > threshold, strength, 0), (1, 1, 1, 1))
    here = strength[..., 1:-1, 1:-1]
    beside = torch.maximum(strength[..., 1:-1, :-2], strength[..., 1:-1, 2:])
    above = torch.maximum(strength[..., :-2, 1:-1], strength[..., 2:, 1:-1])
    return ((here > beside) | (here > above)).to(images.dtype)


def _cosine_transform_rows(images: Tensor) -> Tensor:
    """Orthonormal DCT-II along the last of ...×W, by a complex transform of the same length."""
    width = images.shape[-1]
    folded = torch.cat((images[..., ::2], images[..., 1::2].flip(-1)), -1)
    angles = torch.arange(width, dtype=images.dtype, device=images.device) * (math.pi / 2 / width)
    turned = torch.fft.fft(folded) * torch.polar(torch.ones_like(angles), -angles)
    coefficients: Tensor = turned.real * math.sqrt(2 / width)
    coefficients[..., 0] /= math.sqrt(2)
    return coefficients


def _information(
    name: str,
    feature: Callable[[Tensor], Tensor],
    fused: Tensor,
    visible: Tensor,
    infrared: Tensor,
) -> Mapping[str, Tensor]:
    """Columns of the metric `name` with this feature, of N×1×H×W luma 0..255."""
    height, width = fused.shape[-2:]
    if min(height, width) < WINDOW:
        undefined = fused.new_full((fused.shape[0],), math.nan)
        return {f"{name}_ir": undefined, f"{name}_vi": undefined, name: undefined}
    features = torch.cat([feature(image) for image in (infrared, visible, fused)], 1)
    total = fused.new_zeros(2, fused.shape[0])
    for band in row_bands(height, width, WINDOW):
        total += plane_sum(shared_in_windows(features[:, :, band]))
    from_infrared, from_visible = total / ((height - WINDOW + 1) * (width - WINDOW + 1))
    return {
        f"{name}_ir": from_infrared,
        f"{name}_vi": from_visible,
        name: combine(from_infrared, from_visible, "mean"),
    }


def shared_in_windows(features: Tensor) -> Tensor:
    """Normalised information that the last of N×3×H×W features shares with the first and with the
    second, for every 3×3 window; 2×N×h×w.

    Equal windows have 1, and two flat ones count as equal: in the evaluator's arithmetic nine
    ninths are not 1, so that flat distributions are fully correlated with each other, but with no
    other one.
    """
    height, width = features.shape[-2] - WINDOW + 1, features.shape[-1] - WINDOW + 1
    # Column by column, the order in which the evaluator sums the distributions up.
    windows = torch.stack(
        [
            features[..., row : row + height, column : column + width]
            for column in range(WINDOW)
            for row in range(WINDOW)
        ]
    )
    low, high = windows.aminmax(dim=0)
    flat = low == high
    scaled = torch.where(flat, 1.0, (windows - low) / (high - low))
    *sources, fused = (scaled / scaled.sum(0)).unbind(2)
    shared = []
    for k, source in enumerate(sources):
        same = (windows[:, :, k] == windows[:, :, -1]).all(0) | (flat[:, k] & flat[:, -1])
        correlated = ~(flat[:, k] | flat[:, -1])
        information = _normalised_information(fused, source, correlated)
        shared.append(torch.where(same, 1.0, information))
    return torch.stack(shared)


def _normalised_information(first: Tensor, second: Tensor, correlated: Tensor) -> Tensor:
    """2 MI / (H + H) of pairs of distributions, 9×N×h×w each; N×h×w.

    correlated: N×h×w, False for pairs with a flat distribution, which are independent.
    """
    marginal = _entropy(first) + _entropy(second)
    information = marginal - _joint_entropy(first, second, correlated)
    return torch.where(information == 0, 0.0, 2 * information / marginal)


def _joint_entropy(first: Tensor, second: Tensor, correlated: Tensor) -> Tensor:
    """Entropy of the joint distributions, one row of their 9×9 tables after the other; N×h×w.

    The table is (1 - w) · independence + w · bound, where the bound is Fréchet's upper one for a
    positive correlation c and the lower one else, and w = c / (correlation of the bound).
    """
    correlation = _correlation(first, second)
    positive = correlation >= 0
    first_sums, second_sums = first.cumsum(0), second.cumsum(0)

    def bound(row: int) -> Tensor:
        """Row of the bound's cumulative table."""
        upper = torch.minimum(second_sums, first_sums[row])
        lower = (second_sums + first_sums[row] - 1).clamp_min(0)
        return torch.where(positive, upper, lower)

    covariance = -first_sums.sum(0) * second_sums.sum(0)
    for row in range(PLACES):
        covariance += bound(row).sum(0)
    deviations = _deviation(first) * _deviation(second)
    correlated = correlated & (deviations > 0)
    weight = torch.where(correlated, correlation * deviations / covariance, 0.0)
    entropy = torch.zeros_like(correlation)
    before = torch.zeros_like(second)
    for row in range(PLACES):
        cumulated = bound(row)
        rise = cumulated - before
        before = cumulated
        rise[1:] -= rise[:-1].clone()
        entropy += _entropy(weight * rise + (1 - weight) * first[row] * second)
    return entropy


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's, of the nine values of 9×N×h×w each; N×h×w. Meaningless where one is flat."""
    first, second = first - first.mean(0), second - second.mean(0)
    size = ((first * first).sum(0) * (second * second).sum(0)).sqrt()
    return (first * second).sum(0) / size


def _deviation(distribution: Tensor) -> Tensor:
    """Standard deviation of the place, 1 to 9, under distributions 9×N×h×w."""
    mean, square = torch.zeros_like(distribution[:2]).unbind(0)
    for place in range(1, PLACES + 1):
        mean.add_(distribution[place - 1], alpha=place)
        square.add_(distribution[place - 1], alpha=place**2)
    return (square - mean * mean).clamp_min(0).sqrt()


def _entropy(distribution: Tensor) -> Tensor:
    """Bits of distributions 9×N×h×w. Weights above 1 make entries negative, and these count."""
    nats: Tensor = -torch.xlogy(distribution, distribution.abs()).sum(0)
    return nats / math.log(2)


FEATURE_INFORMATION_DCT = Metric(
    name="FMI_dct",
    title="feature mutual information of DCT coefficients",
    columns=("FMI_dct_ir", "FMI_dct_vi", "FMI_dct"),
    direction="higher",
    unit="1",
    range="about 0 to 1 (mean of both sources)",
    smallest=WINDOW,
    reference="Haghighat, Razian, AICT 2014",
    function=dct_information,
)

FEATURE_INFORMATION_EDGES = Metric(
    name="FMI_pixel",
    title="feature mutual information of Sobel edges (thinned as in Octave)",
    columns=("FMI_pixel_ir", "FMI_pixel_vi", "FMI_pixel"),
    direction="higher",
    unit="1",
    range="about 0 to 1 (mean of both sources)",
    smallest=WINDOW,
    reference="Haghighat, Razian, AICT 2014",
    function=edge_information,
)
