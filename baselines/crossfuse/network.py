"""CrossFuse's network: an encoder per image, the cross attention module and the fusion decoder.

Li and Wu, Information Fusion 103, 102147, 2024, doi 10.1016/j.inffus.2023.102147. Convolutions
have no activation: max pooling, attention, weight maps and the last stretch are all there is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.crossfuse.attention import CrossAttentionModule

SHALLOW, DEEP = 32, 128
INFRARED_SHALLOW_SHARE = 0.5
CONSTANT_KERNELS = tuple(f"fuse.decoder_fusion.weight.conv_{name}.weight" for name in ("sh", "de"))


class Conv(nn.Module):
    """Convolution with reflected border, batch norm on request, under the authors' `conv2d`."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, norm: bool = False) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="reflect")
        self.conv2d = nn.Sequential(conv, nn.BatchNorm2d(outputs)) if norm else nn.Sequential(conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2d(x)


class DenseBlock(nn.Module):
    """C to 128 channels: three times 64 new channels after the old ones, then all to 128."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dense_conv0 = Conv(inputs, 64)
        self.dense_conv1 = Conv(inputs + 64, 64)
        self.dense_conv2 = Conv(inputs + 128, 64)
        self.adjust_conv = Conv(inputs + 192, DEEP)

    def forward(self, x: Tensor) -> Tensor:
        for dense in (self.dense_conv0, self.dense_conv1, self.dense_conv2):
            x = torch.cat([x, dense(x)], dim=1)
        return self.adjust_conv(x)


class Encoder(nn.Module):
    """N×1×H×W, 0..255, to shallow N×32×H×W and deep N×128×⌊H/8⌋×⌊W/8⌋ features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv(1, SHALLOW)
        self.dense_blocks = nn.Sequential(DenseBlock(SHALLOW), nn.MaxPool2d(2), DenseBlock(DEEP))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        shallow = self.conv1(image / 255)
        deep = self.dense_blocks(functional.max_pool2d(shallow, 2))
        return shallow, functional.max_pool2d(deep, 2)


def fitted(x: Tensor, like: Tensor) -> Tensor:
    """Reflect the rows and columns that the encoder's poolings lost, on all sides alike."""
    rows, columns = (a - b for a, b in zip(like.shape[-2:], x.shape[-2:], strict=True))
    if not (rows or columns):
        return x
    sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return functional.pad(x, sides, mode="reflect")


class ReconstructionDecoder(nn.Module):
    """Stage 1 only: an encoder's two features back to its image, N×1×H×W, 0..255."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv(DEEP, 64)
        self.conv_block = nn.Sequential(
            Conv(64, 64),
            nn.Upsample(scale_factor=2),
            Conv(64, SHALLOW),
            nn.Upsample(scale_factor=2),
        )
        self.conv_last = Conv(SHALLOW, 1, 1)

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        x = self.conv_block(functional.interpolate(self.conv1(deep), scale_factor=2))
        return self.conv_last(fitted(x, shallow) + shallow) * 255


def box_of_sum(x: Tensor) -> Tensor:
    """Sum over channels, then the 3×3 mean with zero border: N×C×H×W to N×1×H×W.

    The authors convolve with a C×C×3×3 kernel that is 1/9 everywhere; all its C outputs are this.
    """
    return functional.avg_pool2d(x.sum(dim=1, keepdim=True), 3, stride=1, padding=1)


@torch.no_grad()
def shares(infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Each one's part of the sum; below 0 or above 1 where the two have different signs."""
    total = infrared + visible + 1e-6
    return infrared / total, visible / total


def detail(x: Tensor) -> Tensor:
    """How far each channel is from the local mean of the channels' sum, N×C×H×W."""
    return (x - box_of_sum(x)).abs()


class FusionDecoder(nn.Module):
    """Features of both images and the CAM's output to the fused image, N×1×H×W, any range."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv(DEEP, 64, norm=True)
        self.conv_block = nn.Sequential(
            Conv(64, 64, norm=True),
            nn.Upsample(scale_factor=2),
            Conv(64, SHALLOW, norm=True),
            nn.Upsample(scale_factor=2),
            Conv(SHALLOW, SHALLOW, norm=True),
        )
        self.conv_last = Conv(SHALLOW, 1, 1, norm=True)

    def forward(
        self, shallow: tuple[Tensor, Tensor], deep: tuple[Tensor, Tensor], common: Tensor
    ) -> Tensor:
        """shallow, deep: features of infrared and visible."""
        infrared, visible = shares(box_of_sum(deep[0]), box_of_sum(deep[1]))
        x = common + infrared * deep[0] + visible * deep[1]
        x = self.conv_block(functional.interpolate(self.conv1(x), scale_factor=2))
        x = fitted(x, shallow[0])
        infrared, visible = shares(detail(shallow[0]), detail(shallow[1]))
        x = x + INFRARED_SHALLOW_SHARE * infrared * shallow[0] + visible * shallow[1]
        return self.conv_last(x)


class Fusion(nn.Module):
    """The cross attention module and the fusion decoder.

    attended: channels that the CAM works on; fewer than 128 are reached by 1×1 convolutions.
    """

    def __init__(self, attended: int = DEEP) -> None:
        super().__init__()
        self.cross_atten_block = CrossAttentionModule(attended)
        self.decoder_fusion = FusionDecoder()
        narrow = attended != DEEP
        self.reduce_ir = Conv(DEEP, attended, 1) if narrow else nn.Identity()
        self.reduce_vi = Conv(DEEP, attended, 1) if narrow else nn.Identity()
        self.expand = Conv(attended, DEEP, 1) if narrow else nn.Identity()

    def forward(self, shallow: tuple[Tensor, Tensor], deep: tuple[Tensor, Tensor]) -> Tensor:
        common = self.cross_atten_block(self.reduce_ir(deep[0]), self.reduce_vi(deep[1]))
        return self.decoder_fusion(shallow, deep, self.expand(common))


def stretched(image: Tensor) -> Tensor:
    """Per image to 0..255 by its least and greatest value; gradients pass through both."""
    low, high = image.amin(dim=(1, 2, 3), keepdim=True), image.amax(dim=(1, 2, 3), keepdim=True)
    return (image - low) / (high - low + 1e-6) * 255


class CrossFuse(nn.Module):
    """N×1×H×W visible luma and infrared, 0..255, to the fused N×1×H×W, 0..255. H, W at least 16.

    The stretch to the whole range is part of the authors' training graph, so it is part of the
    network. Attribute names are those of the authors' state_dicts: encoders `ae_ir`, `ae_vi`,
    fusion net `fuse`.
    """

    def __init__(self, attended: int = DEEP) -> None:
        super().__init__()
        self.ae_ir = nn.ModuleDict({"fea_encoder1": Encoder()})
        self.ae_vi = nn.ModuleDict({"fea_encoder1": Encoder()})
        self.fuse = Fusion(attended)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        shallow_ir, deep_ir = self.ae_ir["fea_encoder1"](infrared)
        shallow_vi, deep_vi = self.ae_vi["fea_encoder1"](visible)
        return stretched(self.fuse((shallow_ir, shallow_vi), (deep_ir, deep_vi)))


def from_authors(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors that fusing uses, from the authors' three files joined under the prefixes
    `ae_ir.`, `ae_vi.` and `fuse.`.

    Raises ValueError where an averaging kernel is not 1/9 everywhere: it would be another network.
    """
    for key in CONSTANT_KERNELS:
        if key in state and not torch.allclose(state[key], torch.full_like(state[key], 1 / 9)):
            raise ValueError(f"{key} must be 1/9 everywhere; this checkpoint has other values")
    return {key: value for key, value in state.items() if not _unused(key)}


def _unused(key: str) -> bool:
    # Layers that the authors' modules own and their forward never calls, the constants, and the
    # decoders of stage 1.
    return (
        key in CONSTANT_KERNELS
        or key == "fuse.conv_gra.weight"
        or ".recon_decoder1." in key
        or (".self_atten_block" in key and ".norm." in key)
        or (".cross_atten_block.cross_atten_block." in key and ".qkv." in key)
    )
