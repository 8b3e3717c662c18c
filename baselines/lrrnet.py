"""LRRNet: unrolled low-rank and sparse coding of both images, and a small convolutional decoder.

Li, Xu, Wu, Lu, Kittler, IEEE TPAMI 45(9), 2023, doi 10.1109/TPAMI.2023.3268209.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

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

CODES = 256
BLOCKS = 4


def stretched(image: Tensor) -> Tensor:
    """Min-max normalisation of each sample, N×C×H×W to 0..1 (just below 1 at the maximum)."""
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    return (image - low) / (high - low + 1e-5)


def soft_threshold(codes: Tensor, threshold: Tensor) -> Tensor:
    """sign(r) · max(|r| - λ, 0), also for the negative λ that training may reach.

    codes: N×C×H×W; threshold: 1×C.
    """
    # In place: 256 channels at full size are what this network spends its memory and time on.
    magnitude = codes.abs().sub_(threshold[:, :, None, None]).relu_()
    return codes.sign() * magnitude


class Conv(nn.Module):
    """A 3×3 convolution with reflected border, under the attribute `conv2d` of the authors."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2d(x)


class LearnedStep(nn.Module):
    """One iteration of the coding: z ← T(λ_z z + W'(x - W z)) (LLRR block)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_Wdz = Conv(CODES, 1)
        self.conv_Wdtz = Conv(1, CODES)

    def forward(self, image: Tensor, codes: Tensor, threshold: Tensor, inertia: Tensor) -> Tensor:
        residual = image - self.conv_Wdz(codes)
        updated = torch.addcmul(self.conv_Wdtz(residual), codes, inertia)
        return soft_threshold(updated, threshold)


class Decomposition(nn.Module):
    """N×1×H×W to the low-rank and the sparse codes, N×128×H×W each."""

    def __init__(self) -> None:
        super().__init__()
        self.lamj = nn.Parameter(torch.rand(1, CODES))
        self.lamz = nn.Parameter(torch.rand(1, 1))
        self.conv_W00 = Conv(1, CODES)
        for block in range(BLOCKS):
            self.add_module(f"lrrblock{block}", LearnedStep())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        codes = soft_threshold(self.conv_W00(image), self.lamj)
        for block in range(BLOCKS):
            codes = self.get_submodule(f"lrrblock{block}")(image, codes, self.lamj, self.lamz)
        low_rank, sparse = codes.chunk(2, dim=1)
        return low_rank, sparse


class Decoder(nn.Module):
    """The sum of a low-rank and a sparse image, each mixed from both modalities."""

    def __init__(self) -> None:
        super().__init__()
        half = CODES // 2
        self.conv_ReZx, self.conv_ReUx = Conv(half, 1), Conv(half, 1)
        self.conv_ReZy, self.conv_ReUy = Conv(half, 1), Conv(half, 1)
        self.conv_ReL, self.conv_ReH = Conv(2, 1), Conv(2, 1)

    def forward(self, warm: tuple[Tensor, Tensor], bright: tuple[Tensor, Tensor]) -> Tensor:
        """warm, bright: the codes of the infrared and of the visible image."""
        low = torch.cat([self.conv_ReZx(warm[0]), self.conv_ReZy(bright[0])], dim=1)
        high = torch.cat([self.conv_ReUx(warm[1]), self.conv_ReUy(bright[1])], dim=1)
        return self.conv_ReL(low) + self.conv_ReH(high)


class LRRNet(nn.Module):
    """N×1×H×W visible and infrared, 0..255, to the fused N×1×H×W, 0..255. H, W at least 2.

    Attribute names are those of the authors' state_dict.
    """

    def __init__(self) -> None:
        super().__init__()
        self.get_ls1, self.get_ls2 = Decomposition(), Decomposition()
        self.decoder = Decoder()

    def raw(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """The decoder's output before the stretch; it fills a small part of 0..1."""
        warm, bright = self.get_ls1(stretched(infrared)), self.get_ls2(stretched(visible))
        return self.decoder(warm, bright)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        # The stretch is part of the network: the training loss sees nothing but its result.
        return stretched(self.raw(visible, infrared)) * 255


# Output channels of VGG-16's convolutions up to relu4_3, a tuple per resolution.
VGG_CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))


class Vgg(nn.Module):
    """VGG-16 (Simonyan and Zisserman, 2015) up to relu4_3, frozen, weights drawn from `seed`.

    Normal weights of variance 2 / fan-in keep the magnitude from layer to layer. The very first
    filters sum to 0, as trained ones nearly do, so that the features see contrast and not
    brightness. gains: factors of the first convolution per resolution; they bring the pixel and
    the deep term to one order of magnitude on street scenes and the Gram term below them.
    """

    def __init__(
        self, seed: int = 0, gains: tuple[float, float, float, float] = (5.0, 1.0, 1.0, 0.5)
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        inputs = 3
        for stage, (widths, gain) in enumerate(zip(VGG_CHANNELS, gains, strict=True), start=1):
            for index, outputs in enumerate(widths, start=1):
                layer = nn.Conv2d(inputs, outputs, 3, padding=1)
                deviation = (2 / (9 * inputs)) ** 0.5 * (gain if index == 1 else 1.0)
                nn.init.normal_(layer.weight, std=deviation, generator=generator)
                nn.init.zeros_(layer.bias)
                self.add_module(f"conv{stage}_{index}", layer)
                inputs = outputs
        self.requires_grad_(False)
        first = self.get_parameter("conv1_1.weight")
        first.sub_(first.mean((1, 2, 3), keepdim=True))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Grey N×1×H×W, 0..255, to relu1_2, relu2_2, relu3_3, relu4_3."""
        x = image.expand(-1, 3, -1, -1)
        taps: list[Tensor] = []
        for stage, widths in enumerate(VGG_CHANNELS, start=1):
            if taps:
                x = functional.max_pool2d(x, 2)
            for index in range(1, len(widths) + 1):
                x = functional.relu(self.get_submodule(f"conv{stage}_{index}")(x))
            taps.append(x)
        return taps


def gram(features: Tensor) -> Tensor:
    """Gram matrix over C·H·W, N×C×H×W to N×C×C."""
    flat = features.flatten(2)
    return flat @ flat.mT / flat[0].numel()


@dataclass(frozen=True)
class LossOptions:
    """Weights of the terms and of the infrared and visible features in the mixed targets."""

    pixel: float = 10.0
    shallow: float = 1.5
    middle: float = 0.01
    deep: float = 0.5
    gram: float = 2000.0
    infrared: float = 3.0
    visible: float = 0.5


def fusion_loss(
    fused: Tensor, visible: Tensor, infrared: Tensor, vgg: nn.Module, options: LossOptions
) -> dict[str, Tensor]:
    """The weighted terms and their sum "total". Images N×1×H×W, 0..255."""
    with torch.no_grad():
        of_visible, of_infrared = vgg(visible), vgg(infrared)
    of_fused = vgg(fused)
    mixed = [
        options.infrared * warm + options.visible * bright
        for warm, bright in zip(of_infrared, of_visible, strict=True)
    ]
    mse = functional.mse_loss
    terms = {
        "pixel": options.pixel * mse(fused, visible),
        "shallow": options.shallow * mse(of_fused[0], of_visible[0]),
        "middle": options.middle * mse(of_fused[1], mixed[1]),
        "deep": options.deep * mse(of_fused[2], mixed[2]),
        "gram": options.gram * mse(gram(of_fused[3]), gram(of_infrared[3])),
    }
    return {"total": torch.stack(list(terms.values())).sum(), **terms}


class WithPerception(nn.Module):
    """The fusion network beside the frozen network that its loss looks through."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion
        self.vgg = Vgg()

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        return self.fusion(visible, infrared)


def training_loss(
    options: LossOptions, network: nn.Module, batch: TrainingBatch
) -> dict[str, Tensor]:
    """The loss of one batch; `network` is a WithPerception."""
    fused = network(batch.visible, batch.infrared)
    vgg = network.get_submodule("vgg")
    return fusion_loss(fused, batch.visible, batch.infrared, vgg, options)


PAPER = LossOptions()

METHOD = Method(
    card=Card(
        name="lrrnet",
        title="LRRNet",
        year=2023,
        venue="IEEE TPAMI",
        kind="cnn",
        licence="none stated",
        url="https://github.com/hli1221/imagefusion-LRRNet",
        doi="10.1109/TPAMI.2023.3268209",
        stated=(
            "trained on 20,000 KAIST pairs resized to 128×128, batch 8, 4 epochs, Adam 1e-5 "
            "constant with weight decay 0.9",
            "inputs and output are min-max stretched per image, before the loss and when fusing",
            "the loss compares features of a pretrained VGG-16",
        ),
        settled=(
            "trained without a VGG-16 file: the loss looks through a VGG-16 with fixed random "
            "weights of seed 0, whose first filters sum to 0 and whose gains balance the terms; "
            "the terms keep their weights",
            "suite-trained weights therefore lean to the visible image and stand for the recipe, "
            "not for the authors' result; the official weights do that",
            "rate 3e-4 falling to 0, chosen by eye on two RoadScene pairs in trials of about a "
            "hundred iterations: at 1e-5 the output stayed inverted, at 1e-3 it lost its contrast",
            "crops of 64×64 by four instead of 128×128 by eight, for training on a CPU",
        ),
    ),
    protocol=Protocol(
        colour="luma8",
        range="byte",
        authors=AuthorsOutput(chroma="grey", stretch=False, rounding="truncate"),
    ),
    build=LRRNet,
    weights=(
        Weights(
            name="official",
            track="official",
            file="final_lrr_net_lam2_1.5_wir_3.0_lam3_gram_2000_epoch_4_block_4.model",
            sha256="1de9dd8dee9b650ce69c74ea53e3b9a6b749222f1059a689aabf28f68ee63e29",
            bytes=218515,
            origin="https://github.com/hli1221/imagefusion-LRRNet, model/",
            licence="none stated",
            trained_on=("kaist",),
        ),
        *shipped_weights(__file__, "lrrnet"),
    ),
    needs_weights=True,
    recipe=Recipe(
        phases=(
            Phase(
                updates=(
                    Update(
                        loss=partial(training_loss, PAPER),
                        parts=(Part("fusion.", rate=poly(3e-4), weight_decay=0.9),),
                    ),
                )
            ),
        ),
        crop=64,
        batch=4,
        wrap=WithPerception,
        options=asdict(PAPER),
    ),
)
