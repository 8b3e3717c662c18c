"""SeAFusion: two encoders of gradient residual dense blocks, trained with a segmentation network.

Tang, Yuan, Ma, Information Fusion 82, 2022, doi 10.1016/j.inffus.2021.12.004.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.methods.contract import AuthorsOutput, Card, Method, Protocol, Weights


class Conv(nn.Module):
    """A convolution under the attribute `conv`, as in the authors' state_dict."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class DenseBranch(nn.Module):
    """C to 3C channels by two dense convolutions, old channels first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv(channels, channels, 3)
        self.conv2 = Conv(2 * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, functional.leaky_relu(self.conv1(x), 0.2)], dim=1)
        return torch.cat([x, functional.leaky_relu(self.conv2(x), 0.2)], dim=1)


class GradientMagnitude(nn.Module):
    """|x-gradient| + |y-gradient| per channel. The Sobel kernels are parameters: the authors
    trained them, and fixed kernels do not reproduce their images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convx = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.convy = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        sobel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        with torch.no_grad():
            self.convx.weight.copy_(sobel.expand(channels, 1, 3, 3))
            self.convy.weight.copy_(sobel.T.expand(channels, 1, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.convx(x).abs() + self.convy(x).abs()


class GradientResidualDenseBlock(nn.Module):
    """C to D channels: dense branch plus gradient branch (GRDB, section 3.2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dense = DenseBranch(inputs)
        self.convdown = Conv(3 * inputs, outputs, 1)
        self.sobelconv = GradientMagnitude(inputs)
        self.convup = Conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        detail = self.convup(self.sobelconv(x))
        return functional.leaky_relu(self.convdown(self.dense(x)) + detail, 0.1)


class SeAFusion(nn.Module):
    """N×1×H×W visible luma and infrared, 0..1, to the fused luma in (0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.vis_conv = Conv(1, 16, 3)
        self.vis_rgbd1 = GradientResidualDenseBlock(16, 32)
        self.vis_rgbd2 = GradientResidualDenseBlock(32, 48)
        self.inf_conv = Conv(1, 16, 3)
        self.inf_rgbd1 = GradientResidualDenseBlock(16, 32)
        self.inf_rgbd2 = GradientResidualDenseBlock(32, 48)
        self.decode4 = Conv(96, 64, 3)
        self.decode3 = Conv(64, 32, 3)
        self.decode2 = Conv(32, 16, 3)
        self.decode1 = Conv(16, 1, 3)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        v = functional.leaky_relu(self.vis_conv(visible), 0.2)
        i = functional.leaky_relu(self.inf_conv(infrared), 0.2)
        v = self.vis_rgbd2(self.vis_rgbd1(v))
        i = self.inf_rgbd2(self.inf_rgbd1(i))
        x = torch.cat([v, i], dim=1)
        for layer in (self.decode4, self.decode3, self.decode2):
            x = functional.leaky_relu(layer(x), 0.2)
        return torch.tanh(self.decode1(x)) / 2 + 0.5


def _without_unused_norms(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    # The authors' decoder layers own batch norms that their forward never calls.
    return {key: value for key, value in state.items() if ".bn." not in key}


METHOD = Method(
    card=Card(
        name="seafusion",
        title="SeAFusion",
        year=2022,
        venue="Information Fusion",
        kind="cnn",
        licence="none stated (weights' copy: MIT)",
        url="https://github.com/Linfeng-Tang/SeAFusion",
        doi="10.1016/j.inffus.2021.12.004",
    ),
    protocol=Protocol(
        colour="luma",
        range="unit",
        authors=AuthorsOutput(chroma="tang", stretch=True, rounding="truncate"),
    ),
    build=SeAFusion,
    weights=(
        Weights(
            name="official",
            track="official",
            file="SeAFusion.pth",
            sha256="8d65a7f9a50f36349803368cf9920f40420776995e7e8cc8a56d8d30e499431d",
            bytes=682043,
            origin="https://github.com/Linfeng-Tang/VIF-Benchmark, Checkpoint/SeAFusion/",
            licence="MIT (2023 Linfeng Tang)",
            trained_on=("msrs/train",),
            convert=_without_unused_norms,
        ),
    ),
    needs_weights=True,
)
