"""MSE, the mean squared error of the fused image to each source.

MSE = mean of mean((F - I)²) and mean((F - V)²). Zero only where all three images are equal, so
less is not simply better: a fused image can't be both of its sources.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from bench.metrics.choices import Convention, combine
from bench.metrics.contract import Metric
from bench.metrics.summation import plane_sum


def mean_squared_error(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """MSE_ir, MSE_vi and MSE of N×1×H×W luma 0..255."""
    scale = (255 / convention.mse.full_scale) ** 2
    from_infrared, from_visible = (
        plane_sum((fused - source).square_())[:, 0] / fused[0].numel() / scale
        for source in (infrared, visible)
    )
    return {
        "MSE_ir": from_infrared,
        "MSE_vi": from_visible,
        "MSE": combine(from_infrared, from_visible, "mean"),
    }


MEAN_SQUARED_ERROR = Metric(
    name="MSE",
    title="mean squared error",
    columns=("MSE_ir", "MSE_vi", "MSE"),
    direction="lower",
    unit="squared grey levels",
    range="0 to 65025",
    smallest=1,
    reference="Wang, Bovik, IEEE Signal Process. Mag. 26(1), 2009",
    function=mean_squared_error,
)
