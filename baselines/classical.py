"""Fusion rules without weights: average, maximum, Laplacian pyramid.

Pyramid: Burt and Adelson, IEEE Trans. Communications 31(4), 1983, doi 10.1109/TCOM.1983.1095851;
the rule of the larger coefficient: Toet, Pattern Recognition Letters 9(4), 1989.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.methods.contract import Card, Method, Protocol


class Average(nn.Module):
    """The mean of both images. N×1×H×W in and out."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return (visible + infrared) / 2


class Maximum(nn.Module):
    """The brighter of both pixels. N×1×H×W in and out."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return torch.maximum(visible, infrared)


def _smooth(image: Tensor) -> Tensor:
    taps = image.new_tensor([1, 4, 6, 4, 1]) / 16
    padded = functional.pad(image, (2, 2, 2, 2), mode="replicate")
    rows = functional.conv2d(padded, taps.view(1, 1, 1, 5))
    return functional.conv2d(rows, taps.view(1, 1, 5, 1))


def _expand(image: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(image, size=size, mode="bilinear", align_corners=False)


class LaplacianPyramid(nn.Module):
    """Per coefficient the source of larger magnitude; the coarsest level is averaged.

    levels: number of detail levels; fewer are used where a side would fall below 2 pixels.
    """

    def __init__(self, levels: int = 4) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        details: list[Tensor] = []
        for _ in range(self.levels):
            if min(visible.shape[-2:]) < 4:
                break
            coarse_v, coarse_i = _smooth(visible)[..., ::2, ::2], _smooth(infrared)[..., ::2, ::2]
            detail_v = visible - _expand(coarse_v, visible.shape[-2:])
            detail_i = infrared - _expand(coarse_i, infrared.shape[-2:])
            details.append(torch.where(detail_v.abs() >= detail_i.abs(), detail_v, detail_i))
            visible, infrared = coarse_v, coarse_i
        fused = (visible + infrared) / 2
        for detail in reversed(details):
            fused = _expand(fused, detail.shape[-2:]) + detail
        return fused


def _card(name: str, title: str, year: int | None = None, venue: str = "", doi: str = "") -> Card:
    return Card(
        name=name,
        title=title,
        year=year,
        venue=venue,
        kind="classical",
        licence="AGPL-3.0-or-later",
        url=f"https://doi.org/{doi}" if doi else "",
        doi=doi,
    )


AVERAGE = Method(_card("average", "Average"), Protocol(colour="luma"), Average)
MAX = Method(_card("max", "Maximum"), Protocol(colour="luma"), Maximum)
LAPLACIAN = Method(
    _card(
        "laplacian",
        "Laplacian",
        1989,
        "Pattern Recognition Letters",
        "10.1016/0167-8655(89)90003-2",
    ),
    Protocol(colour="luma"),
    LaplacianPyramid,
)
