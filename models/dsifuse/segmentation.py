"""The auxiliary segmentation branches: coarse priors S_V, S_R and the global map S_G.

All three are class probabilities at stride 8, the resolution of interaction level t = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def resize(features: Tensor, like: Tensor) -> Tensor:
    """Bilinear resize of N×C×h×w to the H×W of `like`."""
    return functional.interpolate(features, size=like.shape[-2:], mode="bilinear")


class ModalPrior(nn.Module):
    """S_I: the deepest calibrated feature (stride 32) decoded to K probabilities (stride 8)."""

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.deep = nn.Conv2d(channels, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.classify = nn.Conv2d(width, classes, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """N×C×H/32×W/32 to N×K×H/8×W/8."""
        x = functional.relu(self.deep(features))
        x = functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        x = functional.relu(self.middle(x))
        x = functional.interpolate(x, scale_factor=2.0, mode="bilinear")
        return self.classify(x).softmax(dim=1)


class GlobalPrior(nn.Module):
    """S_G: the concatenated calibrated features C_n = [F_V^n, F_R^n], n = 1..5, to K maps."""

    def __init__(self, widths: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        self.reduce = nn.ModuleList([nn.Conv2d(2 * w, width, 1) for w in widths])
        self.merge = nn.Conv2d(width, width, 3, padding=1)
        self.classify = nn.Conv2d(width, classes, 3, padding=1)

    def forward(self, visible: Sequence[Tensor], infrared: Sequence[Tensor]) -> Tensor:
        """Features of stages 1..5 (strides 2..32) of both modalities to N×K×H/8×W/8."""
        height, width = visible[2].shape[-2:]
        levels = []
        for reduce, v, r in zip(self.reduce, visible, infrared, strict=True):
            joined = reduce(torch.cat([v, r], dim=1))
            # Averaging, not sampling: bilinear steps over most pixels of the finer stages.
            finer = joined.shape[-2] > height
            levels.append(
                functional.adaptive_avg_pool2d(joined, (height, width))
                if finer
                else resize(joined, visible[2])
            )
        x = functional.relu(torch.stack(levels).sum(dim=0))
        x = functional.relu(self.merge(x))
        return self.classify(x).softmax(dim=1)
