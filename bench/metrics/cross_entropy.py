"""CE, the cross entropy of the fused image's histogram with each source's.

CE = mean over both sources X of Σ p_X log2(p_X / p_F), over the levels that both images have; those
that only the source has are left out, so that a fused image with nothing in common gets 0. Defined
by the VIFB benchmark only; `standard` does not define it. D. M. Bulanon, T. F. Burks,
V. Alchanatis, "Image fusion of visible and thermal images for fruit detection", Biosystems
Eng. 103(1), 2009.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.metrics.choices import Convention, combine
from bench.metrics.contract import Metric
from bench.metrics.entropy import LEVELS, histogram


def cross_entropy(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """CE_ir, CE_vi and CE of N×1×H×W luma 0..255."""
    own, first, second = (
        histogram(image.flatten(1), LEVELS).double() / image[0].numel()
        for image in (fused, infrared, visible)
    )
    from_infrared, from_visible = divergence(first, own), divergence(second, own)
    return {
        "CE_ir": from_infrared,
        "CE_vi": from_visible,
        "CE": combine(from_infrared, from_visible, "mean"),
    }


def divergence(source: Tensor, own: Tensor) -> Tensor:
    """Bits by which N×256 shares differ from others, over the levels that both have; N."""
    both = (source > 0) & (own > 0)
    ratio = torch.where(both, source, 1) / torch.where(both, own, 1)
    return (torch.where(both, source, 0) * ratio.log()).sum(1) / math.log(2)


CROSS_ENTROPY = Metric(
    name="CE",
    title="cross entropy",
    columns=("CE_ir", "CE_vi", "CE"),
    direction="lower",
    unit="bits",
    range="unbounded",
    smallest=1,
    reference="Bulanon, Burks, Alchanatis, Biosystems Eng. 103(1), 2009",
    function=cross_entropy,
    dtype=torch.uint8,
)
