"""RMSE as the VIFB benchmark prints it: √(Σ squares) / (H·W), mean of the two sources.

Neither MSE nor the root of it: too small by √(H·W). It exists here to be compared with that
benchmark's tables, and `standard` does not define it. X. Zhang, P. Ye, G. Xiao, "VIFB: a visible
and infrared image fusion benchmark", CVPR Workshops 2020.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from bench.metrics.choices import Convention, combine
from bench.metrics.contract import Metric
from bench.metrics.summation import plane_sum


def root_error(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """RMSE_ir, RMSE_vi and RMSE of N×1×H×W luma 0..255."""
    pixels = fused[0].numel()
    scale = 255 / convention.mse.full_scale
    from_infrared, from_visible = (
        plane_sum((fused - source).square_())[:, 0].sqrt() / (pixels * scale)
        for source in (infrared, visible)
    )
    return {
        "RMSE_ir": from_infrared,
        "RMSE_vi": from_visible,
        "RMSE": combine(from_infrared, from_visible, "mean"),
    }


ROOT_ERROR = Metric(
    name="RMSE",
    title="root of the summed squared error over the number of pixels",
    columns=("RMSE_ir", "RMSE_vi", "RMSE"),
    direction="lower",
    unit="grey levels",
    range="0 to 255",
    smallest=1,
    reference="Zhang, Ye, Xiao, VIFB, CVPR Workshops 2020",
    function=root_error,
)
