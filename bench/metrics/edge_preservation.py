"""Qabf, how well the edges of both sources are preserved in the fused image.

Per pixel, the product of two logistic functions of how equal strength and angle of the Sobel
gradients are, weighted by the source's gradient. The image is surrounded by zeros, so that its
border is an edge too; NaN where both sources are black. C. S. Xydeas, V. Petrović, "Objective
image fusion performance measure", Electronics Letters 36(4), 2000, with the constants that every
public evaluator uses.

A flaw of all of them is kept, so that the number equals theirs: where two gradients are equal, the
relative strength is the gradient itself instead of 1; and angles are compared without wrap-around.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.metrics.choices import Convention, combine
from bench.metrics.contract import Metric
from bench.metrics.sobel import logistic, sobel
from bench.metrics.summation import plane_sum


def edge_preservation(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """Qabf_ir, Qabf_vi and Qabf of N×1×H×W luma 0..255."""
    across, down = sobel(torch.cat((infrared, visible, fused), 1), "constant")
    strength = (across.square() + down.square()).sqrt_()
    angle = (-down / across).atan_().masked_fill_(across == 0, math.pi / 2)
    sources, own = strength[:, :-1], strength[:, -1:]
    relative = torch.minimum(sources, own).div_(torch.maximum(sources, own))
    equal = own * (convention.qabf.white / 255)
    relative = torch.where(sources == own, equal, relative)
    alignment = 1 - (angle[:, :-1] - angle[:, -1:]).abs_().div_(math.pi / 2)
    kept = logistic(relative, 0.9994, 15, 0.5) * logistic(alignment, 0.9879, 22, 0.8)
    weight = plane_sum(sources).sum(1, keepdim=True)
    from_infrared, from_visible = (plane_sum(kept * sources) / weight).unbind(1)
    return {
        "Qabf_ir": from_infrared,
        "Qabf_vi": from_visible,
        "Qabf": combine(from_infrared, from_visible, "sum"),
    }


EDGE_PRESERVATION = Metric(
    name="Qabf",
    title="edge preservation",
    columns=("Qabf_ir", "Qabf_vi", "Qabf"),
    direction="higher",
    unit="1",
    range="0 to 1",
    smallest=1,
    reference="Xydeas, Petrović, Electronics Letters 36(4), 2000",
    function=edge_preservation,
)
