"""SF, the spatial frequency of the fused image.

SF = √(RF² + CF²), the root mean squares of the horizontal and of the vertical first differences.
NaN for an image of a single row or column. After A. M. Eskicioglu, P. S. Fisher, "Image quality
measures and their performance", IEEE Trans. Commun. 43(12), 1995.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric
from bench.metrics.summation import plane_sum


def spatial_frequency(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """SF of N×1×H×W luma 0..255."""
    height, width = fused.shape[-2:]
    if min(height, width) < 2:
        return {"SF": fused.new_full((fused.shape[0],), math.nan)}
    rows = plane_sum(fused.diff(dim=-1).square_())[:, 0]
    columns = plane_sum(fused.diff(dim=-2).square_())[:, 0]
    if convention.spatial_frequency.divisor == "pixels":
        return {"SF": ((rows + columns) / (height * width)).sqrt()}
    squares = rows / (height * (width - 1)) + columns / ((height - 1) * width)
    return {"SF": squares.sqrt()}


SPATIAL_FREQUENCY = Metric(
    name="SF",
    title="spatial frequency",
    columns=("SF",),
    direction="higher",
    unit="grey levels per pixel",
    range="0 to 361",
    smallest=2,
    reference="Eskicioglu, Fisher, IEEE Trans. Commun. 43(12), 1995",
    function=spatial_frequency,
)
