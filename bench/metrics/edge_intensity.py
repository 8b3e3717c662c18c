"""EI, the mean strength of the fused image's Sobel gradient.

Edge pixels are repeated outside the image. Defined by the VIFB benchmark only; `standard` does not
define it. B. Rajalingam, R. Priya, "Hybrid multimodality medical image fusion technique for feature
enhancement in medical diagnosis", Int. J. Eng. Sci. Invention 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric
from bench.metrics.sobel import sobel
from bench.metrics.summation import plane_sum


def edge_intensity(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """EI of N×1×H×W luma 0..255."""
    across, down = sobel(fused, "replicate")
    strength = (across.square_() + down.square_()).sqrt_()
    return {"EI": plane_sum(strength)[:, 0] / fused[0].numel()}


EDGE_INTENSITY = Metric(
    name="EI",
    title="edge intensity",
    columns=("EI",),
    direction="higher",
    unit="grey levels",
    range="0 to 1443",
    smallest=1,
    reference="Rajalingam, Priya, Int. J. Eng. Sci. Invention, 2018",
    function=edge_intensity,
)
