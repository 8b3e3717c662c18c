"""CDDFuse's network: shared encoder with a base and a detail branch, fusion layers, decoder.

Zhao et al., CVPR 2023, sections 3.1 to 3.3. Attribute names are those of the authors' state dicts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS = 64, 8
BAND = 12 * 1024

Local = Callable[..., Tensor]


def _conv1(inputs: int, outputs: int, bias: bool = False) -> nn.Conv2d:
    # Of one pixel there is nothing to dilate; but torch hands dilated convolutions to oneDNN, and
    # others of this size to a matrix product that takes more than twice as long on one thread.
    return nn.Conv2d(inputs, outputs, 1, dilation=2, bias=bias)


def _conv3(inputs: int, outputs: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups, bias=False)


def bands(x: Tensor, reach: int) -> Iterator[tuple[slice, slice]]:
    """The rows of x, N×C×H×W, in bands of about BAND pixels: the rows of x that a band needs where
    its computation reaches so many rows up and down, and which of them are the band itself.

    Band by band, maps of up to 256 channels stay small enough for memory that is used again: new
    memory for a map of the whole image would take longer than the arithmetic.
    """
    height, width = x.shape[-2:]
    # On the meta device, where operations are counted, nothing needs to be small.
    step = height if x.is_meta else max(1, BAND // width)
    for first in range(0, height, step):
        top = max(0, first - reach)
        yield slice(top, first + step + reach), slice(first - top, first - top + step)


def in_bands(local: Local, reach: int, *maps: Tensor) -> Tensor:
    """local(*maps), all N×C×H×W, where `local` reaches so many rows.

    A band has its own border where it is cut, but the rows that see it are not kept.
    """
    out = torch.empty_like(maps[0])
    for rows, kept in bands(out, reach):
        out[:, :, rows][:, :, kept] = local(*(x[:, :, rows] for x in maps))[:, :, kept]
    return out


class PixelNorm(nn.Module):
    """Layer norm over the channels of each pixel, N×64×H×W."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def attend_over_channels(
    x: Tensor, qkv: Local, temperature: Tensor, projection: Tensor
) -> tuple[Tensor, Tensor]:
    """Transposed attention: each head's channels attend to each other over all pixels.

    qkv: rows of x, N×64×h×W, to query, key and value, N×192×h×W, with a reach of one row.
    temperature: heads×1×1. projection: 64×64×1×1. Returns the values, N×64×H×W, and what attention
    and projection together multiply each pixel of them with, N×64×64.
    """
    values, products, squares = torch.empty_like(x), [], []
    for rows, kept in bands(x, 1):
        mixed = qkv(x[:, :, rows])[:, :, kept]
        values[:, :, rows][:, :, kept] = mixed[:, 2 * WIDTH :]
        q, k = mixed[:, : 2 * WIDTH].flatten(2).unflatten(1, (2, HEADS, -1)).unbind(dim=1)
        products.append(q @ k.mT)
        squares.append(mixed[:, : 2 * WIDTH].square().sum(dim=(2, 3)))
    # Unit vectors along the pixels: the small matrix is divided by the norms instead of the maps.
    norms = sum(squares).sqrt().clamp_min(1e-12).unflatten(1, (2, HEADS, -1))
    similarity = sum(products) / norms[:, 0].unsqueeze(-1) / norms[:, 1].unsqueeze(-2)
    weights = (similarity * temperature).softmax(dim=-1)
    per_head = projection.view(WIDTH, HEADS, -1)
    return values, torch.einsum("ohc,nhcd->nohd", per_head, weights).flatten(2)


class DepthwiseAttention(nn.Module):
    """Transposed attention whose query, key and value come from a depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))
        self.qkv = _conv1(WIDTH, 3 * WIDTH)
        self.qkv_dwconv = _conv3(3 * WIDTH, 3 * WIDTH, groups=3 * WIDTH)
        self.project_out = _conv1(WIDTH, WIDTH)

    def forward(self, x: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
        """What `attend_over_channels` returns, of the normed x."""

        def qkv(rows: Tensor) -> Tensor:
            return self.qkv_dwconv(self.qkv(norm(rows)))

        return attend_over_channels(x, qkv, self.temperature, self.project_out.weight)


class FullAttention(nn.Module):
    """Transposed attention whose query, key and value come from a full 3×3 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(HEADS, 1, 1))
        self.qkv1 = _conv1(WIDTH, 3 * WIDTH)
        self.qkv2 = _conv3(3 * WIDTH, 3 * WIDTH)
        self.proj = _conv1(WIDTH, WIDTH)

    def forward(self, x: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
        """What `attend_over_channels` returns, of the normed x."""

        # Nothing stands between the two convolutions, and one kernel of both would take a third of
        # the products; but then the cost would not be that of the published network.
        def qkv(rows: Tensor) -> Tensor:
            return self.qkv2(self.qkv1(norm(rows)))

        return attend_over_channels(x, qkv, self.scale, self.proj.weight)


class GatedFeedForward(nn.Module):
    """1×1, grouped 3×3, then GELU of one half times the other half, 1×1."""

    def __init__(self, hidden: int, groups: int) -> None:
        super().__init__()
        self.project_in = _conv1(WIDTH, 2 * hidden)
        self.dwconv = _conv3(2 * hidden, 2 * hidden, groups)
        self.project_out = _conv1(hidden, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        # Where the gate has gaps in memory its GELU takes several times as long as with a copy.
        gate = gate.contiguous(memory_format=torch.channels_last)
        return self.project_out(functional.gelu(gate) * value)


def _block(
    x: Tensor, norm1: nn.Module, attention: nn.Module, norm2: nn.Module, feed_forward: nn.Module
) -> Tensor:
    """x + attention(norm1(x)), and of that x + feed_forward(norm2(x)); N×64×H×W."""
    values, matrix = attention(x, norm1)

    def second_half(x: Tensor, values: Tensor) -> Tensor:
        attended = values.flatten(2).mT @ matrix.mT
        x = x + attended.mT.view_as(x)
        return x + feed_forward(norm2(x))

    return in_bands(second_half, 1, x, values)


class TransformerBlock(nn.Module):
    """The block of the shared encoder and the decoder (Restormer's)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = PixelNorm(), PixelNorm()
        self.attn = DepthwiseAttention()
        self.ffn = GatedFeedForward(2 * WIDTH, groups=4 * WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return _block(x, self.norm1, self.attn, self.norm2, self.ffn)


class BaseBlock(nn.Module):
    """Base features: full convolutions in the attention, two channels per group in the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = PixelNorm(), PixelNorm()
        self.attn = FullAttention()
        self.mlp = GatedFeedForward(WIDTH, groups=WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return _block(x, self.norm1, self.attn, self.norm2, self.mlp)


class Bottleneck(nn.Module):
    """32 to 32 channels through 64, without a skip inside; reflect border."""

    def __init__(self) -> None:
        super().__init__()
        half = WIDTH // 2
        self.bottleneckBlock = nn.Sequential(
            _conv1(half, WIDTH),
            nn.ReLU6(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(WIDTH, WIDTH, 3, groups=WIDTH, bias=False),
            nn.ReLU6(),
            _conv1(WIDTH, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.bottleneckBlock(x)


class DetailNode(nn.Module):
    """One invertible step (affine coupling) on the two halves of 64 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.theta_phi, self.theta_rho, self.theta_eta = Bottleneck(), Bottleneck(), Bottleneck()
        self.shffleconv = _conv1(WIDTH, WIDTH, bias=True)

    def _step(self, x: Tensor) -> Tensor:
        first, second = self.shffleconv(x).chunk(2, dim=1)
        second = second + self.theta_phi(first)
        first = first * torch.exp(self.theta_rho(second)) + self.theta_eta(second)
        return torch.cat([first, second], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return in_bands(self._step, 2, x)


class DetailBranch(nn.Module):
    """Detail features: a chain of invertible steps."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.net = nn.Sequential(*(DetailNode() for _ in range(nodes)))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Encoder(nn.Module):
    """One image, N×1×H×W, to its base and detail features, N×64×H×W each."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Sequential(OrderedDict(proj=_conv3(1, WIDTH)))
        self.encoder_level1 = nn.Sequential(*(TransformerBlock() for _ in range(4)))
        self.baseFeature = BaseBlock()
        self.detailFeature = DetailBranch(3)

    def shallow(self, image: Tensor) -> Tensor:
        """The features that both branches start from."""
        embedded = self.patch_embed(image)
        # All blocks keep this layout, in which nothing needs to be copied for the layer norms.
        return self.encoder_level1(embedded.contiguous(memory_format=torch.channels_last))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.shallow(image)
        return self.baseFeature(features), self.detailFeature(features)


class Decoder(nn.Module):
    """Base and detail features to an image in (0, 1), as a correction of `image` in logits."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce_channel = _conv1(2 * WIDTH, WIDTH)
        self.encoder_level2 = nn.Sequential(*(TransformerBlock() for _ in range(4)))
        self.output = nn.Sequential(_conv3(WIDTH, 32), nn.LeakyReLU(0.01), _conv3(32, 1))

    def forward(self, image: Tensor, base: Tensor, detail: Tensor) -> Tensor:
        def reduce(base: Tensor, detail: Tensor) -> Tensor:
            return self.reduce_channel(torch.cat([base, detail], dim=1))

        reduced = in_bands(reduce, 0, base, detail)
        return torch.sigmoid(self.output(self.encoder_level2(reduced)) + image)


class CDDFuse(nn.Module):
    """N×1×H×W visible luma and infrared, 0..1, to the fused luma in (0, 1). H, W at least 2.

    Attention runs over the whole image: a tile of an image is fused differently.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()
        self.base_fuse, self.detail_fuse = BaseBlock(), DetailBranch(1)

    def fuse_features(
        self, of_visible: tuple[Tensor, Tensor], of_infrared: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """(base, detail) of the fused image from (base, detail) of both sources."""
        base = self.base_fuse(of_visible[0] + of_infrared[0])
        return base, self.detail_fuse(of_visible[1] + of_infrared[1])

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        fused = self.fuse_features(self.encoder(visible), self.encoder(infrared))
        return self.decoder(visible, *fused)
