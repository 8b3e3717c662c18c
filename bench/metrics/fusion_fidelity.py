"""VIFF, the visual information fidelity for fusion.

Per pixel and scale the source with the smaller gain is taken, and what a noisy observer draws from
the fused image about it is set against what is there; the scales are weighted 1, 0, 0.15 and 1.
Not to be confused with the column of the same name of MMIF-CDDFuse, which is VIF. NaN below 41
pixels. Y. Han, Y. Cai, Y. Cao, X. Xu, "A new image fusion performance metric based on visual
information fidelity", Information Fusion 14(2), 2013, on luma.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric
from bench.metrics.gaussian import filter_valid, gaussian_taps, row_bands
from bench.metrics.summation import plane_sum
from bench.metrics.visual_information_fidelity import SMALLEST, WINDOWS, gains

NOISE = 0.005 * 255**2
WEIGHTS = (1.0, 0.0, 0.15, 1.0)
EMPTY = 1e-7


def fusion_fidelity(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """VIFF of N×1×H×W luma 0..255."""
    if min(fused.shape[-2:]) < SMALLEST:
        return {"VIFF": fused.new_full((fused.shape[0],), math.nan)}
    images = torch.cat((infrared, visible, fused), 1)
    fidelity = fused.new_zeros(fused.shape[0])
    for size, weight in zip(WINDOWS, WEIGHTS, strict=True):
        taps = gaussian_taps(size, size / 5)
        if size != WINDOWS[0]:
            images = filter_valid(images, taps, stride=2)
        if weight:
            fidelity += weight * _ratio(images, taps)
    return {"VIFF": fidelity / sum(WEIGHTS)}


def _ratio(images: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Information drawn over information there at one scale, of N×3×H×W (I, V, F); N."""
    drawn, there = images.new_zeros(images.shape[0]), images.new_zeros(images.shape[0])
    size = len(taps)
    height, width = images.shape[-2:]
    for band in row_bands(height, width, size):
        gain, variance, residual = gains(images[:, :, band], taps)
        signal = (gain.square() * variance / (residual + NOISE)).log1p_() / math.log(10)
        information = (variance / NOISE).log1p_() / math.log(10)
        infrared_is_less = gain[:, 0] < gain[:, 1]
        for total, part in ((drawn, signal), (there, information)):
            total += plane_sum(torch.where(infrared_is_less, part[:, 0], part[:, 1]))
    empty = EMPTY * (height - size + 1) * (width - size + 1)
    return (drawn + empty) / (there + empty)


FUSION_FIDELITY = Metric(
    name="VIFF",
    title="visual information fidelity for fusion",
    columns=("VIFF",),
    direction="higher",
    unit="1",
    range="0 to about 1",
    smallest=SMALLEST,
    reference="Han, Cai, Cao, Xu, Information Fusion 14(2), 2013",
    function=fusion_fidelity,
)
