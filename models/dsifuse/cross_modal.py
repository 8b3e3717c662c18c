"""Cross-modal fusion block (CFB), interaction level t = 1 at the encoder stage n = 3."""

from __future__ import annotations

from torch import Tensor, nn

from models.dsifuse.attention import CrossAttention, FeatureModulation


class CrossModalFusion(nn.Module):
    """CFB: semantic attention within each modality, then modulation by the other one's result.

    prior: channels of the query map S_I (or of F_I where semantic guidance is off).
    """

    def __init__(self, prior: int, channels: int, key_width: int, heads: int) -> None:
        super().__init__()
        self.attend_visible = CrossAttention(prior, channels, key_width, channels, heads)
        self.attend_infrared = CrossAttention(prior, channels, key_width, channels, heads)
        self.modulate_visible = FeatureModulation(channels, channels)
        self.modulate_infrared = FeatureModulation(channels, channels)

    def forward(
        self, prior_v: Tensor, prior_r: Tensor, visible: Tensor, infrared: Tensor
    ) -> tuple[Tensor, Tensor]:
        """S_V, S_R (N×K×H×W) and F_V, F_R (N×C×H×W) to M_V^1, M_R^1 (N×C×H×W)."""
        m_visible = self.attend_visible(prior_v, visible)
        m_infrared = self.attend_infrared(prior_r, infrared)
        return (
            self.modulate_visible(m_visible, m_infrared),
            self.modulate_infrared(m_infrared, m_visible),
        )
