"""MFIFusion, re-implemented after its abstract: two-scale auto-encoder with feature injection.

Dong et al., Pattern Recognition 152, 2024, doi 10.1016/j.patcog.2024.110445. No code, weights or
full text were at hand: this is not the authors' network; the card lists what is settled here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.methods.contract import (
    Card,
    Loss,
    Method,
    Part,
    Phase,
    Protocol,
    Recipe,
    TrainingBatch,
    Update,
)
from bench.methods.shipped import shipped_weights
from bench.methods.terms import derivative_distance, extend, sobel_magnitude, ssim_loss

WIDTH = 64


def _conv1(inputs: int, bias: bool = True) -> nn.Conv2d:
    # Of one pixel there is nothing to dilate; but torch hands dilated convolutions to oneDNN, and
    # others of this size to a matrix product that takes more than twice as long on one thread.
    return nn.Conv2d(inputs, WIDTH, 1, dilation=2, bias=bias)


class ConvNormAct(nn.Module):
    """3×3 convolution with reflected border, batch norm, activation."""

    def __init__(self, inputs: int, act: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, WIDTH, 3, padding=1, padding_mode="reflect")
        self.norm = nn.BatchNorm2d(WIDTH)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


def mean_and_max(x: Tensor) -> Tensor:
    """Mean and maximum over the channels, N×2×H×W."""
    return torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)


class Attention(nn.Module):
    """Channel attention from whole-image mean and maximum, then spatial attention; N×64×H×W."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(WIDTH, 8, 1, bias=False)
        self.fc2 = nn.Conv2d(8, WIDTH, 1, bias=False)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def _scores(self, statistic: Tensor) -> Tensor:
        return self.fc2(functional.relu(self.fc1(statistic)))

    def forward(self, x: Tensor) -> Tensor:
        mean, peak = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        x = x * torch.sigmoid(self._scores(mean) + self._scores(peak))
        return x * torch.sigmoid(self.spatial(mean_and_max(x)))


class Features(NamedTuple):
    """What the decoder needs of one image, or of the fused one: N×64×H×W each."""

    level1: Tensor
    level2: Tensor
    base: Tensor
    detail: Tensor


class Encoder(nn.Module):
    """One image, N×1×H×W, to its shallow levels and its base and detail scale.

    inject: whether the shallow levels are injected into what is decomposed.
    """

    def __init__(self, inject: bool) -> None:
        super().__init__()
        self.level1 = ConvNormAct(1, nn.PReLU())
        self.level2 = ConvNormAct(WIDTH, nn.PReLU())
        self.level3 = ConvNormAct(WIDTH, nn.PReLU())
        self.inject = inject
        if inject:
            self.attention1, self.attention2 = Attention(), Attention()
            self.inject1 = _conv1(WIDTH, bias=False)
            self.inject2 = _conv1(WIDTH, bias=False)
        self.base = ConvNormAct(WIDTH, nn.Tanh())
        self.detail = ConvNormAct(WIDTH, nn.Tanh())

    def levels(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Level 1, level 2, and the deep features with both injected."""
        first = self.level1(image)
        second = self.level2(first)
        deep = self.level3(second)
        if self.inject:
            deep = deep + self.inject1(self.attention1(first))
            deep = deep + self.inject2(self.attention2(second))
        return first, second, deep

    def forward(self, image: Tensor) -> Features:
        first, second, deep = self.levels(image)
        return Features(first, second, self.base(deep), self.detail(deep))


class Fusion(nn.Module):
    """Both sources' features to the fused ones; every rule is a convex combination.

    Shallow levels: a gate per pixel and channel. Base: a weight of the infrared from statistics
    per channel and per pixel. Detail: by local activity, without parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate1 = _conv1(2 * WIDTH)
        self.gate2 = _conv1(2 * WIDTH)
        self.base_fc1 = nn.Conv2d(2 * WIDTH, 16, 1)
        self.base_fc2 = nn.Conv2d(16, WIDTH, 1)
        self.base_spatial = nn.Conv2d(4, 1, 7, padding=3)

    def shallow(self, gate: nn.Conv2d, visible: Tensor, infrared: Tensor) -> Tensor:
        """A shallow level, g v + (1 − g) i."""
        weight = torch.sigmoid(gate(torch.cat([visible, infrared], dim=1)))
        return torch.lerp(infrared, visible, weight)

    def base_weight(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """The infrared base's weight in (0, 1), N×64×H×W."""
        means = torch.cat([x.mean(dim=(2, 3), keepdim=True) for x in (visible, infrared)], dim=1)
        per_channel = self.base_fc2(functional.relu(self.base_fc1(means)))
        statistics = torch.cat([mean_and_max(visible), mean_and_max(infrared)], dim=1)
        return torch.sigmoid(per_channel + self.base_spatial(statistics))

    def forward(self, visible: Features, infrared: Features) -> Features:
        v, i = activity(visible.detail), activity(infrared.detail)
        return Features(
            self.shallow(self.gate1, visible.level1, infrared.level1),
            self.shallow(self.gate2, visible.level2, infrared.level2),
            torch.lerp(visible.base, infrared.base, self.base_weight(visible.base, infrared.base)),
            torch.lerp(infrared.detail, visible.detail, v / (v + i + 1e-8)),
        )


def activity(detail: Tensor) -> Tensor:
    """3×3 mean, replicate border, of the sum of magnitudes over the channels; N×1×H×W."""
    return local_mean(detail.abs().sum(dim=1, keepdim=True), 3)


def local_mean(x: Tensor, window: int) -> Tensor:
    """Mean over window×window, replicate border."""
    return functional.avg_pool2d(extend(x, window // 2, "replicate"), window, stride=1)


class Decoder(nn.Module):
    """Features to an image in (0, 1); the shallow levels join after the scales are merged."""

    def __init__(self) -> None:
        super().__init__()
        self.merge = ConvNormAct(2 * WIDTH, nn.PReLU())
        self.refine = ConvNormAct(2 * WIDTH, nn.PReLU())
        self.out = nn.Conv2d(2 * WIDTH, 1, 3, padding=1, padding_mode="reflect")

    def forward(self, features: Features) -> Tensor:
        x = self.merge(torch.cat([features.base, features.detail], dim=1))
        x = self.refine(torch.cat([x, features.level2], dim=1))
        return torch.sigmoid(self.out(torch.cat([x, features.level1], dim=1)))


class MFIFusion(nn.Module):
    """N×1×H×W visible luma and infrared, 0..1, to the fused luma in (0, 1). H, W at least 2.

    Attention uses statistics of the whole image: a tile of an image is fused differently.
    """

    def __init__(self, inject: bool = True) -> None:
        super().__init__()
        self.encoder, self.fusion, self.decoder = Encoder(inject), Fusion(), Decoder()

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.decoder(self.fusion(self.encoder(visible), self.encoder(infrared)))


@dataclass(frozen=True)
class LossOptions:
    """intensity: target of L_int. "saliency": the brighter source where the infrared image is
    salient, the mean of both elsewhere; "max": the brighter source everywhere."""

    intensity: Literal["saliency", "max"] = "saliency"


def encoded(model: MFIFusion, batch: TrainingBatch) -> tuple[Features, Features]:
    """Features of both sources; one pass, so that batch norm sees both modalities at once."""
    both = model.encoder(torch.cat([batch.visible, batch.infrared]))
    visible, infrared = zip(*(feature.chunk(2) for feature in both), strict=True)
    return Features(*visible), Features(*infrared)


def decomposition(visible: Features, infrared: Features) -> Tensor:
    """Base features become alike, detail features unlike (DIDFuse's form)."""
    base = (visible.base - infrared.base).abs().mean()
    detail = (visible.detail - infrared.detail).abs().mean()
    return torch.tanh(base) - 0.5 * torch.tanh(detail)


def reconstruction_terms(image: Tensor, reconstructed: Tensor) -> Tensor:
    """One image's reconstruction: 5 (1 − SSIM) / 2 + mean squared error."""
    return 5 * ssim_loss(image, reconstructed) + functional.mse_loss(image, reconstructed)


def reconstruction_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """Stage 1: each image is decoded from its own features."""
    model = cast(MFIFusion, network)
    of_visible, of_infrared = encoded(model, batch)
    pairs = zip(of_visible, of_infrared, strict=True)
    visible, infrared = model.decoder(Features(*(torch.cat(pair) for pair in pairs))).chunk(2)
    terms = {
        "visible": reconstruction_terms(batch.visible, visible),
        "infrared": reconstruction_terms(batch.infrared, infrared),
        "decomposition": decomposition(of_visible, of_infrared),
        "gradient": derivative_distance(batch.visible, visible),
    }
    total = 2 * (terms["visible"] + terms["infrared"])
    return {"total": total + terms["decomposition"] + 10 * terms["gradient"], **terms}


def intensity_target(visible: Tensor, infrared: Tensor, options: LossOptions) -> Tensor:
    """What L_int compares with; saliency is the infrared above its 31×31 local mean."""
    brighter = torch.maximum(visible, infrared)
    if options.intensity == "max":
        return brighter
    salient = torch.sigmoid(8 * (infrared - local_mean(infrared, 31)))
    return torch.lerp((visible + infrared) / 2, brighter, salient)


def fusion_terms(
    fused: Tensor, visible: Tensor, infrared: Tensor, options: LossOptions
) -> dict[str, Tensor]:
    """The terms of stage 2 on the fused image alone."""
    of_visible, of_infrared = (sobel_magnitude(x, "replicate") for x in (visible, infrared))
    gradient = sobel_magnitude(fused, "replicate") - torch.maximum(of_visible, of_infrared)
    return {
        "intensity": (fused - intensity_target(visible, infrared, options)).abs().mean(),
        "gradient": gradient.abs().mean(),
        "structure": ssim_loss(fused, visible) + ssim_loss(fused, infrared),
    }


def _fusion_loss(
    options: LossOptions, network: nn.Module, batch: TrainingBatch
) -> dict[str, Tensor]:
    model = cast(MFIFusion, network)
    of_visible, of_infrared = encoded(model, batch)
    fused = model.decoder(model.fusion(of_visible, of_infrared))
    terms = fusion_terms(fused, batch.visible, batch.infrared, options)
    terms["decomposition"] = decomposition(of_visible, of_infrared)
    total = terms["intensity"] + 10 * terms["gradient"] + 2 * terms["structure"]
    return {"total": total + 0.2 * terms["decomposition"], **terms}


def fusion_loss(options: LossOptions) -> Loss:
    """Stage 2: the fused image against both sources."""
    return partial(_fusion_loss, options)


def _auto_encoder_rate(share: float) -> float:
    # Stage 1 is the first half, with a tenth after each of its thirds; stage 2 is constant.
    return 1e-3 * 0.1 ** int(share * 6 + 1e-9) if share < 0.5 else 1e-4


def _fusion_rate(share: float) -> float:
    return 1e-3


_AUTO_ENCODER = tuple(
    Part(prefix, _auto_encoder_rate, clip_norm=1.0) for prefix in ("encoder.", "decoder.")
)
_FUSION = Part("fusion.", _fusion_rate, clip_norm=1.0)
_OPTIONS = LossOptions()
_BUILD_WITHOUT_INJECTION: Callable[[], nn.Module] = partial(MFIFusion, inject=False)

METHOD = Method(
    card=Card(
        name="mfifusion",
        title="MFIFusion (re-implementation after the abstract)",
        year=2024,
        venue="Pattern Recognition 152",
        kind="autoencoder",
        licence="AGPL-3.0-or-later (this implementation)",
        url="https://doi.org/10.1016/j.patcog.2024.110445",
        doi="10.1016/j.patcog.2024.110445",
        stated=(
            "an auto-encoder that decomposes an image into scales",
            "an attention-guided injection of several levels, by fusion branches inside the "
            "encoder, against loss of information in the feature extraction",
            "different fusion strategies in the shallow and the deep phase, which control the "
            "intensity of salient targets and keep the texture of the background",
        ),
        settled=(
            "re-implementation after the abstract, not the authors' network: no code, weights or "
            "full text were at hand, and the numbers in tables can't be expected of it",
            "DIDFuse-like: one encoder for both modalities, 64 channels, base and detail by tanh, "
            "levels 1 and 2 injected through channel and spatial attention; variant no-injection",
            "shallow levels are fused by learned gates, the base by a learned weight from "
            "statistics, the detail by local activity; all are convex combinations",
            "stage 1 reconstructs (DIDFuse's loss), stage 2 fuses against a target that follows "
            "infrared saliency; equal lengths, batch norm frozen in stage 2",
            "Adam 1e-3 in stage 1, a tenth after each third; in stage 2 1e-4, and 1e-3 for the "
            "fusion, as a few hundred iterations at a tenth of that left the loss higher; "
            "gradient norm of encoder, decoder and fusion each clipped at 1",
            "batch norm sees visible and infrared crops as one batch; batch 4, so that a quarter "
            "of an hour on a CPU core gives a few hundred iterations",
            "the output is not stretched; chroma from the visible image",
        ),
    ),
    protocol=Protocol(colour="luma", range="unit"),
    build=MFIFusion,
    weights=shipped_weights(__file__, "mfifusion"),
    needs_weights=True,
    recipe=Recipe(
        phases=(
            Phase((Update(reconstruction_loss, _AUTO_ENCODER),)),
            Phase(
                (Update(fusion_loss(_OPTIONS), (*_AUTO_ENCODER, _FUSION)),),
                evaluated=("encoder.", "decoder."),
            ),
        ),
        crop=128,
        batch=4,
        options=asdict(_OPTIONS),
    ),
    variants={"no-injection": _BUILD_WITHOUT_INJECTION},
)
