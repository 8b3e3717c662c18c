"""Nabf, the share of edges in the fused image that neither source has.

At pixels where the fused gradient exceeds both sources', what is not preserved of each source,
weighted by the source's gradient to the power 1.5, over the weights of all pixels. NaN for an
image of a single row or column. B. K. Shreyamsha Kumar, "Multifocus and multispectral image fusion
based on pixel significance using discrete cosine harmonic wavelet transform", Signal, Image and
Video Processing 7, 2013.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric
from bench.metrics.sobel import logistic, sobel
from bench.metrics.summation import plane_sum

THRESHOLD = 2.0


def fusion_artefacts(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """Nabf of N×1×H×W luma 0..255."""
    choices = convention.nabf
    if min(fused.shape[-2:]) < 2:
        return {"Nabf": fused.new_full((fused.shape[0],), math.nan)}
    given = {"fused": fused, "infrared": infrared, "visible": visible}
    image, first, second = (given[name] for name in choices.order)
    across, down = sobel(torch.cat((first, second, image), 1) / 8, "reflect")
    strength = (across.square() + down.square()).sqrt_()
    angle = (across / down).atan_().masked_fill_((across == 0) & (down == 0), 0)
    sources, own = strength[:, :-1], strength[:, -1:]
    relative = torch.minimum(sources, own) / torch.maximum(sources, own)
    relative = relative.nan_to_num_(nan=0.0)
    alignment = ((angle[:, :-1] - angle[:, -1:]).abs_() - math.pi / 2).abs_() * (2 / math.pi)
    kept = logistic(relative, 0.9999, 19, 0.5) * logistic(alignment, 0.9995, 22, 0.5)
    weight = torch.where(sources >= THRESHOLD, sources**1.5, choices.faint)
    lost = ((1 - kept.sqrt_()) * weight).sum(1)
    new = (own > sources).all(1)
    return {"Nabf": plane_sum(lost * new) / plane_sum(weight).sum(1)}


FUSION_ARTEFACTS = Metric(
    name="Nabf",
    title="fusion artefacts",
    columns=("Nabf",),
    direction="lower",
    unit="1",
    range="0 to 1",
    smallest=2,
    reference="Shreyamsha Kumar, Signal, Image and Video Processing 7, 2013",
    function=fusion_artefacts,
)
