"""AG, the average gradient of the fused image.

AG = mean of √((gx² + gy²) / 2), gx and gy central differences, one-sided on the border. NaN for
an image of a single row or column. After G. Cui, H. Feng, Z. Xu, Q. Li, Y. Chen, "Detail preserved
fusion of visible and infrared images using regional saliency extraction and multi-scale image
decomposition", Optics Communications 341, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric


def average_gradient(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """AG of N×1×H×W luma 0..255."""
    height, width = fused.shape[-2:]
    if min(height, width) < 2:
        return {"AG": fused.new_full((fused.shape[0],), math.nan)}
    if convention.average_gradient.differences == "central":
        vertical, horizontal = torch.gradient(fused, dim=(-2, -1))
    else:
        vertical = fused.diff(dim=-2)[..., :-1]
        horizontal = fused.diff(dim=-1)[..., :-1, :]
    slope = vertical.square_().add_(horizontal.square_()).div_(2).sqrt_()
    cells = convention.average_gradient.divisor == "cells"
    divisor = (height - 1) * (width - 1) if cells else height * width
    return {"AG": slope.flatten(1).sum(1) / divisor}


AVERAGE_GRADIENT = Metric(
    name="AG",
    title="average gradient",
    columns=("AG",),
    direction="higher",
    unit="grey levels per pixel",
    range="0 to 255",
    smallest=2,
    reference="Cui, Feng, Xu, Li, Chen, Optics Communications 341, 2015",
    function=average_gradient,
)
