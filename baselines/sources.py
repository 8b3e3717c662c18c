"""The single-modality rows: a source image passed through as if it were a fusion result."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.methods.contract import Card, Method, Protocol


class Visible(nn.Module):
    """The visible image unchanged. N×3×H×W in, N×3×H×W out."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return visible


class Infrared(nn.Module):
    """The infrared image in three equal channels. N×1×H×W in, N×3×H×W out."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return torch.cat([infrared] * 3, dim=1)


def _card(name: str) -> Card:
    return Card(
        name=name,
        title=name.capitalize(),
        year=None,
        venue="",
        kind="source",
        licence="AGPL-3.0-or-later",
        url="",
    )


VISIBLE = Method(_card("visible"), Protocol(colour="rgb", range="byte"), Visible)
INFRARED = Method(_card("infrared"), Protocol(colour="rgb", range="byte"), Infrared)
