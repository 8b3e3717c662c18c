"""MI, the mutual information between the fused image and each source.

MI(F, X) = H(F) + H(X) - H(F, X) from the 256×256 joint histogram; the marginals are its sums, so
MI(F, F) = EN. A constant image shares nothing: 0. After G. Qu, D. Zhang, P. Yan, "Information
measure for performance of image fusion", Electronics Letters 38(7), 2002.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from bench.metrics.choices import Convention, combine
from bench.metrics.contract import Metric
from bench.metrics.entropy import LEVELS, entropy_of_counts, histogram


def mutual_information(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """MI_ir, MI_vi and MI of N×1×H×W luma 0..255."""
    choices = convention.mutual_information
    unit = math.log(2) if choices.unit == "bits" else 1.0
    levels = fused.flatten(1).int()
    from_infrared, from_visible = (
        shared_information(levels, source.flatten(1).int(), choices.merged) / unit
        for source in (infrared, visible)
    )
    return {
        "MI_ir": from_infrared,
        "MI_vi": from_visible,
        "MI": combine(from_infrared, from_visible, choices.combination),
    }


def shared_information(
    levels: Tensor, source: Tensor, merged: Literal["none", "joint", "all"] = "none"
) -> Tensor:
    """Nats shared by two int32 N×P images; N. merged: where levels 254 and 255 are one bin."""
    joint = histogram(levels * LEVELS + source, LEVELS * LEVELS)
    table = joint.view(-1, LEVELS, LEVELS)
    together = _top_merged(table) if merged != "none" else table
    marginal = together if merged == "all" else table
    return (
        entropy_of_counts(marginal.sum(2))
        + entropy_of_counts(marginal.sum(1))
        - entropy_of_counts(together.flatten(1))
    )


def _top_merged(table: Tensor) -> Tensor:
    """N×256×256 counts with those of level 255 moved to level 254, in both images."""
    table = table.clone()
    table[:, -2] += table[:, -1]
    table[:, :, -2] += table[:, :, -1]
    table[:, -1], table[:, :, -1] = 0, 0
    return table


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
    dtype=torch.uint8,
)
