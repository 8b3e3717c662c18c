"""SeAFusion: two encoders of gradient residual dense blocks, trained with a segmentation network.

Tang, Yuan, Ma, Information Fusion 82, 2022, doi 10.1016/j.inffus.2021.12.004.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.methods.contract import (
    AuthorsOutput,
    Card,
    Method,
    Part,
    Phase,
    Protocol,
    Recipe,
    TrainingBatch,
    Update,
    Weights,
    poly,
)
from bench.methods.shipped import shipped_weights
from bench.methods.terms import sobel_magnitude

EPOCHS = 10
CLASSES = 9
# Lengths of the phase with L_int alone, of the fusion phases of the four rounds, and of a
# segmentation phase between two.
INTENSITY = 1.0
ROUNDS = (3.0, 1.0, 1.0, 1.0)
SEGMENTATION = 0.25


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


class Segmentation(nn.Module):
    """A small stand-in for the paper's BiSeNet: N×1×H×W luma in 0..1 to class logits.

    The auxiliary logits come from stride 4, the main ones from stride 8 with a wider view.
    """

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.shallow = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.deep = nn.Sequential(
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=4, dilation=4),
            nn.ReLU(),
        )
        self.main = nn.Conv2d(64, classes, 1)
        self.auxiliary = nn.Conv2d(32, classes, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(main, auxiliary), both N×K×H×W."""
        shallow = self.shallow(image)
        logits = (self.main(self.deep(shallow)), self.auxiliary(shallow))
        main, auxiliary = (
            functional.interpolate(x, size=image.shape[-2:], mode="bilinear") for x in logits
        )
        return main, auxiliary


class WithSegmentation(nn.Module):
    """The fusion network and the segmentation network that takes part in its training."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion
        self.segmentation = Segmentation()


def hard_example_loss(logits: Tensor, labels: Tensor, least: float) -> Tensor:
    """Cross-entropy over the pixels whose true class has a probability below 0.7, but over at
    least this share of all pixels, the hardest. logits: N×K×H×W, labels: N×H×W int64."""
    losses = functional.cross_entropy(logits, labels, reduction="none").flatten()
    losses = losses.sort(descending=True).values
    count, threshold = int(least * losses.numel()), -math.log(0.7)
    hard = losses > threshold
    return losses[hard].mean() if hard[count] else losses[:count].mean()


def segmentation_term(
    segmentation: nn.Module, fused: Tensor, batch: TrainingBatch, auxiliary: float, least: float
) -> Tensor:
    """L_seg over the labelled items of the batch; 0 where there are none."""
    if batch.labels is None or batch.labelled is None:
        # Still a function of the parameters, so that an update without labels has a gradient.
        return segmentation(fused)[0].sum() * 0
    main, side = segmentation(fused[batch.labelled])
    labels = batch.labels[batch.labelled]
    of_main, of_side = (hard_example_loss(x, labels, least) for x in (main, side))
    return of_main + auxiliary * of_side


def content_terms(fused: Tensor, visible: Tensor, infrared: Tensor) -> dict[str, Tensor]:
    """L_int and L_grad of N×1×H×W images in 0..1; the Sobel filters see zeros outside."""
    edges = torch.maximum(sobel_magnitude(visible, "zero"), sobel_magnitude(infrared, "zero"))
    return {
        "intensity": (fused - torch.maximum(visible, infrared)).abs().mean(),
        "gradient": (sobel_magnitude(fused, "zero") - edges).abs().mean(),
    }


def intensity_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """L_int alone."""
    fused = cast(WithSegmentation, network).fusion(batch.visible, batch.infrared)
    return {"total": content_terms(fused, batch.visible, batch.infrared)["intensity"]}


def fusion_loss(network: nn.Module, batch: TrainingBatch, *, seg_weight: int) -> dict[str, Tensor]:
    """L_int + 10 L_grad + seg_weight L_seg, the latter with the segmentation network as it is."""
    both = cast(WithSegmentation, network)
    fused = both.fusion(batch.visible, batch.infrared)
    terms = content_terms(fused, batch.visible, batch.infrared)
    total = terms["intensity"] + 10 * terms["gradient"]
    if seg_weight:
        terms["segmentation"] = segmentation_term(both.segmentation, fused, batch, 0.1, 1 / 8)
        total = total + seg_weight * terms["segmentation"]
    return {**terms, "total": total}


def segmentation_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """The segmentation network on the images that the fusion network makes now."""
    both = cast(WithSegmentation, network)
    with torch.no_grad():
        fused = both.fusion(batch.visible, batch.infrared)
    return {"total": segmentation_term(both.segmentation, fused, batch, 0.75, 1 / 16)}


def ten_epochs(start: float, length: float, share: float) -> float:
    """1e-3 · 0.75^(e - 1) in the tenths e = 0..9 of a round that begins at the share `start`."""
    epoch = min(EPOCHS - 1, max(0, int(EPOCHS * (share - start) / length)))
    return 1e-3 * float(0.75 ** (epoch - 1))


def _phases() -> tuple[Phase, ...]:
    """L_int alone, then fusion and segmentation in turn; the segmentation after the last round
    would be lost.
    """
    whole = INTENSITY + sum(ROUNDS) + (len(ROUNDS) - 1) * SEGMENTATION
    segmentation = Part("segmentation.", poly(1e-3), weight_decay=5e-4)
    first = Update(intensity_loss, (Part("fusion.", poly(1e-3, power=0)),))
    phases, start = [Phase((first,), share=INTENSITY)], INTENSITY
    for number, length in enumerate(ROUNDS):
        fusion = Part("fusion.", partial(ten_epochs, start / whole, length / whole))
        loss = partial(fusion_loss, seg_weight=number)
        phases.append(Phase((Update(loss, (fusion,)),), share=length))
        phases.append(Phase((Update(segmentation_loss, (segmentation,)),), share=SEGMENTATION))
        start += length + SEGMENTATION
    return tuple(phases[:-1])


STATED = (
    "MSRS train, 1083 whole pairs of 480×640, batch 8, Adam 1e-3 · 0.75^(e - 1), 10 epochs a round",
    "4 rounds of: the fusion network anew with L_int + 10 L_grad + i L_seg (i = 0..3), then the "
    "segmentation network (BiSeNet, 9 classes) on the fused images for 20 000 iterations",
)

SETTLED = (
    "suite training: crops of 128, batch 4; the first round, without segmentation, is three times "
    "as long as each other one, since they go on from it; the learning rate falls in each as over "
    "10 epochs, and a segmentation phase is a quarter as long",
    "a phase with L_int alone comes before the first round: Sobel magnitudes do not tell an edge "
    "from its negative, and two trainings of 15 minutes without it ended with dark people",
    "the fusion network goes on from round to round instead of starting anew: a budget of minutes "
    "would be spent on four beginnings",
    "the segmentation network is a small one (7 convolutions) trained from nothing with Adam 1e-3; "
    "it sees the fused luma without the min-max stretch, and only labelled pairs count: synthetic "
    "scenes have labels, RoadScene has none",
)


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
        stated=STATED,
        settled=SETTLED,
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
            url="https://raw.githubusercontent.com/Linfeng-Tang/VIF-Benchmark/main/Checkpoint/SeAFusion/SeAFusion.pth",
            convert=_without_unused_norms,
        ),
        *shipped_weights(__file__, "seafusion"),
    ),
    needs_weights=True,
    recipe=Recipe(_phases(), crop=128, batch=4, wrap=WithSegmentation),
)
