"""DenseFuse: an auto-encoder with a dense block whose feature maps are fused by addition.

Li and Wu, IEEE Transactions on Image Processing 28(5), 2019, doi 10.1109/TIP.2018.2887342. This is
the authors' torch port: "addition" is the mean of the feature maps, and the last layer has a ReLU.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.methods.contract import AuthorsOutput, Card, Method, Protocol, Weights


class ConvLayer(nn.Module):
    """3×3 convolution with reflected border, then ReLU. C×H×W to D×H×W."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv2d(x))


class DenseLayer(nn.Module):
    """A convolution whose 16 new channels are appended to its input."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.dense_conv = ConvLayer(inputs, 16)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.dense_conv(x)], dim=1)


class DenseBlock(nn.Module):
    """Three dense layers, 16 to 64 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.denseblock = nn.Sequential(DenseLayer(16), DenseLayer(32), DenseLayer(48))

    def forward(self, x: Tensor) -> Tensor:
        return self.denseblock(x)


class DenseFuse(nn.Module):
    """N×1×H×W visible and infrared, 0..255, to the fused N×1×H×W. H, W at least 2.

    Attribute names are those of the authors' state_dict.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvLayer(1, 16)
        self.DB1 = DenseBlock()
        self.conv2 = ConvLayer(64, 64)
        self.conv3 = ConvLayer(64, 32)
        self.conv4 = ConvLayer(32, 16)
        self.conv5 = ConvLayer(16, 1)

    def encode(self, image: Tensor) -> Tensor:
        """N×1×H×W to the 64 feature maps, N×64×H×W."""
        return self.DB1(self.conv1(image))

    def decode(self, features: Tensor) -> Tensor:
        """N×64×H×W to N×1×H×W."""
        return self.conv5(self.conv4(self.conv3(self.conv2(features))))

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.decode((self.encode(infrared) + self.encode(visible)) / 2)


METHOD = Method(
    card=Card(
        name="densefuse",
        title="DenseFuse",
        year=2019,
        venue="IEEE TIP",
        kind="autoencoder",
        licence="none stated",
        url="https://github.com/hli1221/densefuse-pytorch",
        doi="10.1109/TIP.2018.2887342",
    ),
    protocol=Protocol(
        colour="luma8",
        range="byte",
        authors=AuthorsOutput(chroma="grey", stretch=False, rounding="truncate"),
    ),
    build=DenseFuse,
    weights=(
        Weights(
            name="official-gray",
            track="official",
            file="densefuse_gray.model",
            sha256="b34cf3650f04161b31ac2467decfeedf7eba39165b7618f846e0f298ecd2ac65",
            bytes=300413,
            origin="https://github.com/hli1221/densefuse-pytorch, models/densefuse_gray.model",
            licence="none stated",
            trained_on=("coco-2014",),
        ),
    ),
    needs_weights=True,
)
