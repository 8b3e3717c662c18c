"""SCD, the sum of the correlations of differences.

SCD = corr(I, F - V) + corr(V, F - I): what the fused image has beyond one source should come from
the other. NaN where a source or a difference is constant. After V. Aslantas, E. Bendes, "A new
image quality metric for image fusion: the sum of the correlations of differences", AEU 69(12),
2015.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from bench.metrics.choices import Convention, combine
from bench.metrics.contract import Metric
from bench.metrics.correlation import pearson


def sum_of_correlations(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """SCD_ir, SCD_vi and SCD of N×1×H×W luma 0..255."""
    beyond_visible, beyond_infrared = fused - visible, fused - infrared
    if convention.correlation.arithmetic == "saturating":
        beyond_visible, beyond_infrared = beyond_visible.clamp_(0), beyond_infrared.clamp_(0)
    from_infrared = pearson(infrared, beyond_visible)
    from_visible = pearson(visible, beyond_infrared)
    return {
        "SCD_ir": from_infrared,
        "SCD_vi": from_visible,
        "SCD": combine(from_infrared, from_visible, "sum"),
    }


SUM_OF_CORRELATIONS = Metric(
    name="SCD",
    title="sum of correlations of differences",
    columns=("SCD_ir", "SCD_vi", "SCD"),
    direction="higher",
    unit="1",
    range="-2 to 2",
    smallest=1,
    reference="Aslantas, Bendes, AEU Int. J. Electron. Commun. 69(12), 2015",
    function=sum_of_correlations,
)
