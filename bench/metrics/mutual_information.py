"""MI, the mutual information between the fused image and each source.

MI(F, X) = H(F) + H(X) - H(F, X) from the 256×256 joint histogram; the marginals are its sums, so
MI(F, F) = EN. A constant image shares nothing: 0. After G. Qu, D. Zhang, P. Yan, "Information
measure for performance of image fusion", Electronics Letters 38(7), 2002.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from bench.metrics.contract import Metric
from bench.metrics.conventions import Convention, combine
from bench.metrics.entropy import LEVELS, entropy_of_counts, histogram


def mutual_information(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """MI_ir, MI_vi and MI of N×1×H×W luma 0..255."""
    choices = convention.mutual_information
    unit = math.log(2) if choices.unit == "bits" else 1.0
    levels = fused.flatten(1).long() * LEVELS
    from_infrared, from_visible = (
        shared_information(levels, source.flatten(1).long()) / unit
        for source in (infrared, visible)
    )
    return {
        "MI_ir": from_infrared,
        "MI_vi": from_visible,
        "MI": combine(from_infrared, from_visible, choices.combination),
    }


def shared_information(scaled: Tensor, source: Tensor) -> Tensor:
    """Nats shared by two int64 N×P images, the first with its levels times 256; N."""
    joint = histogram(scaled + source, LEVELS * LEVELS)
    table = joint.view(-1, LEVELS, LEVELS)
    return (
        entropy_of_counts(table.sum(2)) + entropy_of_counts(table.sum(1)) - entropy_of_counts(joint)
    )


MUTUAL_INFORMATION = Metric(
    name="MI",
    title="mutual information",
    columns=("MI_ir", "MI_vi", "MI"),
    direction="higher",
    unit="bits",
    range="0 to 16 (sum of both sources)",
    smallest=1,
    reference="Qu, Zhang, Yan, Electronics Letters 38(7), 2002",
    function=mutual_information,
)
