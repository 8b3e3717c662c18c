"""SD, the standard deviation of the fused image's grey levels.

SD = √(mean((F - mean F)²)), the population's. A constant image has 0. After Y.-J. Rao, "In-fibre
Bragg grating sensors", Meas. Sci. Technol. 8(4), 1997, which the fusion literature cites for it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric
from bench.metrics.entropy import LEVELS, histogram


def standard_deviation(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """SD of N×1×H×W luma 0..255."""
    counts = histogram(fused.flatten(1), LEVELS).double()
    pixels = fused[0].numel()
    levels = torch.arange(LEVELS, dtype=torch.float64, device=fused.device)
    mean = (counts * levels).sum(1, keepdim=True) / pixels
    squares = (counts * (levels - mean).square()).sum(1)
    divisor = pixels - convention.standard_deviation.ddof
    return {"SD": (squares / divisor).sqrt()}


STANDARD_DEVIATION = Metric(
    name="SD",
    title="standard deviation",
    columns=("SD",),
    direction="higher",
    unit="grey levels",
    range="0 to 127.5",
    smallest=1,
    reference="Rao, Meas. Sci. Technol. 8(4), 1997",
    function=standard_deviation,
    dtype=torch.uint8,
)
