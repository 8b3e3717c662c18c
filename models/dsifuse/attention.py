"""The two operators of DSIFuse's interaction: cross attention (CAT) and FiLM modulation (FMI)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def _tokens(features: Tensor, heads: int) -> Tensor:
    """N×C×H×W to N×heads×HW×(C/heads)."""
    return features.unflatten(1, (heads, -1)).flatten(3).transpose(2, 3)


class CrossAttention(nn.Module):
    """CAT: queries from one map, keys and values from another of the same H×W.

    Keys and values share d_k, and a 1×1 convolution leads back to `outputs` channels: with equal
    sizes `scaled_dot_product_attention` never stores the HW×HW matrix.
    """

    def __init__(self, queries: int, source: int, width: int, outputs: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(queries, width, 1)
        self.key = nn.Conv2d(source, width, 1)
        self.value = nn.Conv2d(source, width, 1)
        self.project = nn.Conv2d(width, outputs, 1)

    def forward(self, query: Tensor, source: Tensor) -> Tensor:
        """query N×Q×H×W, source N×C×H×W; returns N×outputs×H×W."""
        attended = functional.scaled_dot_product_attention(
            _tokens(self.query(query), self.heads),
            _tokens(self.key(source), self.heads),
            _tokens(self.value(source), self.heads),
        )
        merged = attended.transpose(2, 3).flatten(1, 2).unflatten(2, tuple(source.shape[-2:]))
        return self.project(merged)


class FeatureModulation(nn.Module):
    """FMI: (β + 1) ⊙ x + γ with β, γ from a condition by a 3×3 convolution."""

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.condition = nn.Conv2d(condition, 2 * channels, 3, padding=1)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """features N×C×H×W, condition N×D×H×W."""
        beta, gamma = self.condition(condition).chunk(2, dim=1)
        return (beta + 1) * features + gamma
