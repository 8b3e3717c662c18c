"""AG, the average gradient of the fused image.

AG = mean of √((gx² + gy²) / 2), gx and gy central differences, one-sided on the border. NaN for
an image of a single row or column. After G. Cui, H. Feng, Z. Xu, Q. Li, Y. Chen, "Detail preserved
fusion of visible and infrared images using regional saliency extraction and multi-scale image
decomposition", Optics Communications 341, 2015.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric
from bench.metrics.gaussian import row_bands
from bench.metrics.summation import plane_sum


def average_gradient(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """AG of N×1×H×W luma 0..255."""
    height, width = fused.shape[-2:]
    if min(height, width) < 2:
        return {"AG": fused.new_full((fused.shape[0],), math.nan, dtype=torch.float64)}
    differences = convention.average_gradient.differences
    total = fused.new_zeros(fused.shape[0], dtype=torch.float64)
    for rows in row_bands(height, width, 1):
        total += plane_sum(slopes(fused, rows, differences))[:, 0]
    cells = convention.average_gradient.divisor == "cells"
    divisor = (height - 1) * (width - 1) if cells else height * width
    return {"AG": total / divisor}


def slopes(image: Tensor, rows: slice, differences: Literal["central", "forward"]) -> Tensor:
    """√((gx² + gy²) / 2) at a band of rows of N×1×H×W; forward differences end one pixel early."""
    height = image.shape[-2]
    first, last = max(rows.start - 1, 0), min(rows.stop + 1, height)
    if differences == "forward":
        band = image[..., rows.start : last, :].to(torch.float64)
        vertical, horizontal = band.diff(dim=-2)[..., :-1], band.diff(dim=-1)
        horizontal = horizontal[..., : vertical.shape[-2], :]
    else:
        band = image[..., first:last, :].to(torch.float64)
        own = slice(rows.start - first, rows.stop - first)
        vertical = torch.gradient(band, dim=-2)[0][..., own, :]
        horizontal = torch.gradient(band[..., own, :], dim=-1)[0]
    return vertical.square().add_(horizontal.square()).div_(2).sqrt_()


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
    dtype=torch.uint8,
)
