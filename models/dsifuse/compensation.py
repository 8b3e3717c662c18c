"""Semantic compensation block (SCB): M_V^t, M_R^t and S_G brought to a decoder feature."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.dsifuse.segmentation import resize


class SemanticCompensation(nn.Module):
    """SCB: reduce, upsample, 3×3 convolution each; concatenate; channel attention; gives A_f.

    levels: channels of one modality's M^t, 0 where that block is ablated. classes: channels of
    S_G, 0 without semantic guidance. outputs: channels of the decoder feature.
    """

    def __init__(self, levels: int, classes: int, width: int, outputs: int) -> None:
        super().__init__()
        sources = [n for n in (2 * levels, classes) if n]
        self.reduce = nn.ModuleList([nn.Conv2d(n, width, 1) for n in sources])
        self.convolve = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in sources])
        joined = width * len(sources)
        self.attention = nn.Sequential(
            nn.Linear(joined, joined), nn.ReLU(), nn.Linear(joined, joined), nn.Sigmoid()
        )
        self.project = nn.Conv2d(joined, outputs, 1)

    def forward(self, sources: list[Tensor], decoder: Tensor) -> Tensor:
        """sources: [concat(M_V^t, M_R^t)] and/or [S_G], any resolution; decoder: D_f^n, N×C×H×W.

        Returns A_f, N×C×H×W.
        """
        maps = [
            torch.relu(convolve(resize(reduce(source), decoder)))
            for reduce, convolve, source in zip(self.reduce, self.convolve, sources, strict=True)
        ]
        joined = torch.cat(maps, dim=1)
        weights = self.attention(joined.mean((2, 3)))[:, :, None, None]
        return self.project(weights * joined)
