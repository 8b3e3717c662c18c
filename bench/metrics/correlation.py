"""CC, the linear correlation of the fused image with each source.

CC = mean of corr(I, F) and corr(V, F), Pearson's coefficient over all pixels. NaN where one image
is constant. After J. Ma, Y. Ma, C. Li, "Infrared and visible image fusion methods and
applications: a survey", Information Fusion 45, 2019.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from bench.metrics.choices import Convention, combine
from bench.metrics.contract import Metric
from bench.metrics.summation import plane_sum


def correlation(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """CC_ir, CC_vi and CC of N×1×H×W luma 0..255."""
    saturating = convention.correlation.arithmetic == "saturating"
    coefficient = saturating_pearson if saturating else pearson
    from_infrared, from_visible = (coefficient(source, fused) for source in (infrared, visible))
    return {
        "CC_ir": from_infrared,
        "CC_vi": from_visible,
        "CC": combine(from_infrared, from_visible, "mean"),
    }


def pearson(first: Tensor, second: Tensor) -> Tensor:
    """Correlation coefficient of two N×1×H×W images over their pixels; N."""
    x, y = first - _mean(first), second - _mean(second)
    spread = (plane_sum(x.square()) * plane_sum(y.square())).sqrt()
    return (plane_sum(x * y) / spread)[:, 0]


def saturating_pearson(first: Tensor, second: Tensor) -> Tensor:
    """`pearson` as a program computes it that keeps every image in 8 bits; N.

    Deviations from the mean are rounded, below 0 they become 0, and their products end at 255.
    """
    x, y = ((d - _mean(d) + 0.5).floor_().clamp_(0, 255) for d in (first, second))
    xy, xx, yy = (plane_sum((a * b).clamp_max_(255)) for a, b in ((x, y), (x, x), (y, y)))
    return (xy / (xx * yy).sqrt())[:, 0]


def _mean(image: Tensor) -> Tensor:
    return plane_sum(image)[..., None, None] / image[0].numel()


CORRELATION = Metric(
    name="CC",
    title="correlation coefficient",
    columns=("CC_ir", "CC_vi", "CC"),
    direction="higher",
    unit="1",
    range="-1 to 1",
    smallest=1,
    reference="Ma, Ma, Li, Information Fusion 45, 2019",
    function=correlation,
)
