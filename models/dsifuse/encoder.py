"""The two encoders of DSIFuse: ResNet stages n = 1..5 of basic blocks (He et al., CVPR 2016).

The stages are called one by one, because the calibration (CFC) acts between them.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.dsifuse.config import DSIFuseConfig


def _normalise(norm: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut: N×C×H×W to N×D×(H/stride)×(W/stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: str) -> None:
        super().__init__()
        bias = norm == "none"
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=bias),
            _normalise(norm, outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=bias),
            _normalise(norm, outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=bias), _normalise(norm, outputs)
            )
        self.activate = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        return self.activate(self.body(features) + self.shortcut(features))


def _stage(inputs: int, outputs: int, count: int, stride: int, norm: str) -> nn.Sequential:
    return nn.Sequential(
        *(
            BasicBlock(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1, norm)
            for i in range(count)
        )
    )


class Encoder(nn.Module):
    """`stages[n - 1]` maps the features of stage n - 1 (the image for n = 1) to those of n."""

    def __init__(self, config: DSIFuseConfig, channels: int) -> None:
        super().__init__()
        widths, blocks, norm = config.widths, config.blocks, config.norm
        if config.stem == "resnet":
            first = nn.Sequential(
                nn.Conv2d(channels, widths[0], 7, 2, 3, bias=norm == "none"),
                _normalise(norm, widths[0]),
                nn.ReLU(inplace=True),
            )
            second = nn.Sequential(
                nn.MaxPool2d(3, 2, 1), _stage(widths[0], widths[1], blocks[1], 1, norm)
            )
        else:
            first = _stage(channels, widths[0], blocks[0], 2, norm)
            second = _stage(widths[0], widths[1], blocks[1], 2, norm)
        deep = [_stage(widths[i - 1], widths[i], blocks[i], 2, norm) for i in (2, 3, 4)]
        self.stages = nn.ModuleList([first, second, *deep])
