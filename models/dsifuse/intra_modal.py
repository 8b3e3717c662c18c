"""Intra-modal interaction block (IMB), levels t = 2, 3 at the encoder stages n = 4, 5."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.dsifuse.attention import CrossAttention, FeatureModulation


class IntraModalInteraction(nn.Module):
    """IMB for one modality: semantic path, visual recovery path, modulation by the prior."""

    def __init__(self, prior: int, channels: int, key_width: int, heads: int) -> None:
        super().__init__()
        self.semantic = CrossAttention(prior, channels, key_width, channels, heads)
        self.recovery = CrossAttention(channels, channels, key_width, channels, heads)
        self.reduce = nn.Conv2d(2 * channels, channels, 1)
        self.modulate = FeatureModulation(prior, channels)

    def forward(self, prior: Tensor, features: Tensor) -> Tensor:
        """S_I (N×K×H×W) and F_I (N×C×H×W) to M_I^t (N×C×H×W)."""
        semantic = self.semantic(prior, features)
        recovered = self.recovery(features, semantic)
        joined = self.reduce(torch.cat([semantic, recovered], dim=1))
        return self.modulate(joined, prior)
