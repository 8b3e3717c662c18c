"""CrossFuse's cross attention module (CAM): self attention per image, then cross attention whose
softmax is reversed, on 2×2 blocks of the deep features inside windows of 32×32.

Li and Wu, Information Fusion 103, 102147, 2024, doi 10.1016/j.inffus.2023.102147, section 3.2.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW = 32
TOKEN = 2
HEAD = 32


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Multi-head attention with heads of 32. All B×T×D; returns B×T×D."""
    batch, tokens, width = query.shape

    def heads(x: Tensor) -> Tensor:
        return x.reshape(batch, tokens, width // HEAD, HEAD).transpose(1, 2)

    joined = functional.scaled_dot_product_attention(heads(query), heads(key), heads(value))
    return joined.transpose(1, 2).reshape(batch, tokens, width)


class MLP(nn.Module):
    """D to 4D to D with an exact GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class SelfAttention(nn.Module):
    """Attention of the tokens of a window among themselves, B×T×D."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(attention(*self.qkv(x).chunk(3, dim=-1)))


class ReversedCrossAttention(nn.Module):
    """Queries of `first` ask `second` for what is least alike, B×T×D each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q_linear = nn.Linear(width, width)
        self.k_linear = nn.Linear(width, width)
        self.v_linear = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        # The minus stands at the query: fused kernels take the maximum of the logits before they
        # scale them, so that a negative scale can overflow.
        query = -self.q_linear(first)
        return self.proj(attention(query, self.k_linear(second), self.v_linear(second)))


class SelfBlock(nn.Module):
    """Pre-norm transformer block, B×T×D."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = SelfAttention(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class CrossBlock(nn.Module):
    """The same with cross attention: one norm for both inputs, and the skip is the second's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = ReversedCrossAttention(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        x = second + self.attn(self.norm1(first), self.norm1(second))
        return x + self.mlp(self.norm2(x))


def self_unit(width: int) -> nn.Sequential:
    """One self attention block under the authors' name `blocks.0`."""
    return nn.Sequential(OrderedDict(blocks=nn.Sequential(SelfBlock(width))))


class SelfPair(nn.Module):
    """Self attention of the infrared and of the visible tokens, each with its own weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_atten1 = self_unit(width)
        self.self_atten2 = self_unit(width)

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        return self.self_atten1(infrared), self.self_atten2(visible)


class CrossUnit(nn.Module):
    """One cross attention block and a last norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([CrossBlock(width)])
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.norm(self.blocks[0](first, second))


class CrossPair(nn.Module):
    """Both directions of cross attention, added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cross_atten1 = CrossUnit(width)
        self.cross_atten2 = CrossUnit(width)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        return self.cross_atten1(infrared, visible) + self.cross_atten2(visible, infrared)


def mirrored(size: int, to: int, device: torch.device) -> Tensor:
    """Indices that extend 0..size-1 to `to` entries by reflection, as often as it takes."""
    period = max(1, 2 * (size - 1))
    index = torch.arange(to, device=device) % period
    return torch.minimum(index, period - index)


def to_tokens(x: Tensor) -> Tensor:
    """N×C×H×W to (N·windows)×256×4C: padded on the right and bottom, windows and tokens in raster
    order, a token's entries ordered (channel, row, column)."""
    height, width = x.shape[-2:]
    down, right = height + -height % WINDOW, width + -width % WINDOW
    if (down, right) != (height, width):
        rows, columns = (mirrored(*sizes, x.device) for sizes in ((height, down), (width, right)))
        x = x.index_select(2, rows).index_select(3, columns)
    side = WINDOW // TOKEN
    x = functional.pixel_unshuffle(x, TOKEN)
    x = x.unflatten(3, (-1, side)).unflatten(2, (-1, side))
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2)


def from_tokens(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `to_tokens`, without the padding: N×C×height×width."""
    side = WINDOW // TOKEN
    down, right = -(-height // WINDOW), -(-width // WINDOW)
    x = tokens.unflatten(1, (side, side)).unflatten(0, (-1, down, right))
    x = x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
    return functional.pixel_shuffle(x, TOKEN)[..., :height, :width]


class CrossAttentionModule(nn.Module):
    """Deep features of infrared and visible, N×C×h×w each, to their common part, N×C×h×w.

    The authors roll the maps by half a window before the second self attention when they test.
    Without position encoding and mask that only permutes the tokens of a window, so it changes
    nothing and is left out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = channels * TOKEN * TOKEN
        self.self_atten_block1 = SelfPair(width)
        self.self_atten_block2 = SelfPair(width)
        self.cross_atten_block = CrossPair(width)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        tokens = to_tokens(infrared), to_tokens(visible)
        tokens = self.self_atten_block2(*self.self_atten_block1(*tokens))
        return from_tokens(self.cross_atten_block(*tokens), *infrared.shape[-2:])
