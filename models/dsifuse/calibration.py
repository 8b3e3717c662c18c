"""Cross-modal feature calibration (CFC) between adjacent encoder stages; Section 2 of the paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CrossModalCalibration(nn.Module):
    """CFC: each modality receives the other one's channel- and space-weighted features.

    F_V' = F_V + λ_C W_R^C F_R + λ_S W_R^S F_R, and the same with V and R exchanged.
    """

    def __init__(self, channels: int, lambda_channel: float, lambda_spatial: float) -> None:
        super().__init__()
        self.lambda_channel = lambda_channel
        self.lambda_spatial = lambda_spatial
        self.channel = nn.Sequential(
            nn.Linear(4 * channels, channels), nn.ReLU(), nn.Linear(channels, 2 * channels)
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, 2, 1)
        )

    def channel_weights(self, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
        """W_V^C and W_R^C, N×C×1×1, from the average and maximum of both modalities (Y, 4C)."""
        pooled = [visible.mean((2, 3)), visible.amax((2, 3))]
        pooled += [infrared.mean((2, 3)), infrared.amax((2, 3))]
        weights = torch.sigmoid(self.channel(torch.cat(pooled, dim=1)))[:, :, None, None]
        of_visible, of_infrared = weights.chunk(2, dim=1)
        return of_visible, of_infrared

    def spatial_weights(self, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
        """W_V^S and W_R^S, N×1×H×W."""
        weights = torch.sigmoid(self.spatial(torch.cat([visible, infrared], dim=1)))
        of_visible, of_infrared = weights.chunk(2, dim=1)
        return of_visible, of_infrared

    def forward(self, visible: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
        """F_V, F_R (N×C×H×W) to the calibrated F_V, F_R."""
        channel_v, channel_r = self.channel_weights(visible, infrared)
        spatial_v, spatial_r = self.spatial_weights(visible, infrared)
        to_visible = self.lambda_channel * channel_r + self.lambda_spatial * spatial_r
        to_infrared = self.lambda_channel * channel_v + self.lambda_spatial * spatial_v
        return visible + to_visible * infrared, infrared + to_infrared * visible
