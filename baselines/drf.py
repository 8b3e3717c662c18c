"""DRF: images taken apart into a scene map and a sensor vector, and put together by one decoder.

Xu, Wang and Ma, IEEE Transactions on Instrumentation and Measurement 70, 2021, doi
10.1109/TIM.2021.3056645. Layers and losses follow the authors' TensorFlow graph; "content" is the
scene, "attribute" the sensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import UserError
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
)
from bench.methods.shipped import shipped_weights
from bench.methods.standardise import standardise

LEAST_SIDE = 48
VISIBLE_SHARE = 0.3
INFRARED_OFFSET = 0.2


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.01)


class ReflectConv2d(nn.Conv2d):
    """A convolution with reflected border that keeps the size, or halves an even one.

    Stride 2 takes its border as the authors do: more rows on top and columns on the left.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride)
        before = kernel // 2
        after = kernel - stride - before
        self.border = (before, after, before, after)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, self.border, mode="reflect"))


class InstanceNorm(nn.InstanceNorm2d):
    """Statistics per image and channel."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-5, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return standardise(x, (2, 3), self.eps, self.weight, self.bias)


class ImageNorm(nn.GroupNorm):
    """Statistics of the whole image: one group over channels, height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        return standardise(x, (1, 2, 3), self.eps, self.weight, self.bias)


class ResidualBlock(nn.Module):
    """C×H×W to D×H×W, with C = D, or C = 1: then the image is added to every channel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = ReflectConv2d(inputs, outputs, 3)
        self.norm1 = InstanceNorm(outputs)
        self.conv2 = ReflectConv2d(outputs, outputs, 3)
        self.norm2 = InstanceNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return self.norm2(self.conv2(y)) + x


class Down(nn.Module):
    """C×H×W to D×H/2×W/2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ReflectConv2d(inputs, outputs, 3, stride=2)
        self.norm = InstanceNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return _leaky(self.norm(self.conv(x)))


class Up(nn.Module):
    """C×H×W to D×2H×2W."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2)
        self.norm = ImageNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        # TensorFlow's SAME cuts the last row and column; torch's padding would cut the first.
        return _leaky(self.norm(self.deconv(x)[..., :-1, :-1]))


class ContentEncoder(nn.Module):
    """N×1×H×W to the shallow map N×48×H×W and the deep one N×192×H/4×W/4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ResidualBlock(1, 48)
        self.down = nn.Sequential(Down(48, 96), Down(96, 192))
        self.blocks = nn.Sequential(*(ResidualBlock(192, 192) for _ in range(3)))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        shallow = _leaky(self.stem(image))
        return shallow, self.blocks(self.down(shallow))


class AttributeEncoder(nn.Module):
    """N×1×H×W to N×96×1×1. H, W at least 48: the fifth reflected border needs 3 pixels."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 48, 96, 192, 192, 192)
        self.convs = nn.ModuleList(
            ReflectConv2d(inputs, outputs, 5, stride=2) for inputs, outputs in pairwise(widths)
        )
        self.logit = nn.Conv2d(192, 96, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for conv in self.convs:
            x = _leaky(conv(x))
        return self.logit(x.mean(dim=(2, 3), keepdim=True))


class Decoder(nn.Module):
    """Shallow map, content and attribute to an image N×1×H×W in (-1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = ResidualBlock(192, 192)
        self.blocks = nn.Sequential(*(ResidualBlock(288, 288) for _ in range(3)))
        self.up = nn.Sequential(Up(288, 144), Up(144, 72))
        widths = (120, 192, 96, 48, 1)
        self.out = nn.ModuleList(
            ReflectConv2d(inputs, outputs, 3) for inputs, outputs in pairwise(widths)
        )

    def forward(self, shallow: Tensor, content: Tensor, attribute: Tensor) -> Tensor:
        spread = attribute.expand(-1, -1, *content.shape[2:])
        x = self.up(self.blocks(torch.cat([self.shared(content), spread], dim=1)))
        x = torch.cat([x, shallow], dim=1)
        for conv in self.out[:-1]:
            x = _leaky(conv(x))
        return torch.tanh(self.out[-1](x))


class DRF(nn.Module):
    """N×1×H×W visible luma and infrared, -1..1, to the fused luma in (-1, 1).

    H and W are multiples of 4; images with a side below 48 are extended to it and cut after.
    """

    def __init__(self) -> None:
        super().__init__()
        self.content_vi = ContentEncoder()
        self.content_ir = ContentEncoder()
        self.content_shared = ResidualBlock(192, 192)
        self.attr_vi = AttributeEncoder()
        self.attr_ir = AttributeEncoder()
        self.decoder = Decoder()
        self.apply(_start)

    def visible_content(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """N×1×H×W to the shallow map N×48×H×W and the content N×192×H/4×W/4."""
        shallow, deep = self.content_vi(image)
        return shallow, self.content_shared(deep)

    def infrared_content(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The same of an infrared image."""
        shallow, deep = self.content_ir(image)
        return shallow, self.content_shared(deep)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        height, width = visible.shape[-2:]
        visible, infrared = _extended(visible), _extended(infrared)
        shallow_vi, content_vi = self.visible_content(visible)
        shallow_ir, content_ir = self.infrared_content(infrared)
        attribute = torch.lerp(self.attr_ir(infrared), self.attr_vi(visible), VISIBLE_SHARE)
        fused = self.decoder(
            (shallow_vi + shallow_ir) / 2, (content_vi + content_ir) / 2, attribute
        )
        return fused[..., :height, :width]


def _extended(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    down, right = max(0, LEAST_SIDE - height), max(0, LEAST_SIDE - width)
    if not (down or right):
        return image
    # Reflection needs more pixels than it adds.
    mode = "reflect" if down < height and right < width else "replicate"
    return functional.pad(image, (0, right, 0, down), mode=mode)


def _start(module: nn.Module) -> None:
    """The authors' start values."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, std=0.001)
        nn.init.zeros_(module.bias)
    elif isinstance(module, InstanceNorm):
        nn.init.normal_(module.weight, mean=1.0, std=0.02)


def drf_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """Both reconstructions (10), both attributes' squares (0.001), distance of contents (2).

    The infrared attribute is shifted by 0.2 in training only, as in the authors' graph.
    """
    visible, infrared = batch.visible, batch.infrared
    shallow_vi, content_vi = network.visible_content(visible)
    shallow_ir, content_ir = network.infrared_content(infrared)
    attribute_vi = network.attr_vi(visible)
    attribute_ir = network.attr_ir(infrared) + INFRARED_OFFSET
    again_vi = network.decoder(shallow_vi, content_vi, attribute_vi)
    again_ir = network.decoder(shallow_ir, content_ir, attribute_ir)
    terms = {
        "visible": (again_vi - visible).abs().mean(),
        "infrared": (again_ir - infrared).abs().mean(),
        "attributes": attribute_vi.square().mean() + attribute_ir.square().mean(),
        "contents": (content_vi - content_ir).abs().mean(),
    }
    total = (
        10 * (terms["visible"] + terms["infrared"])
        + 0.001 * terms["attributes"]
        + 2 * terms["contents"]
    )
    return {"total": total, **terms}


def _residual_names(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    for n in (1, 2):
        yield from _conv_names(f"{ours}.conv{n}", f"{theirs}/res{n}/conv")
        yield from _instance_norm_names(f"{ours}.norm{n}", f"{theirs}/res{n}/instance_norm")


def _conv_names(ours: str, theirs: str, kind: str = "conv2d") -> Iterator[tuple[str, str]]:
    yield f"{ours}.weight", f"{theirs}/{kind}/kernel"
    yield f"{ours}.bias", f"{theirs}/{kind}/bias"


def _instance_norm_names(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.weight", f"{theirs}/scale"
    yield f"{ours}.bias", f"{theirs}/offset"


def _tensorflow_names() -> Iterator[tuple[str, str]]:
    """Our keys and the names of the authors' variables; visible is their A, infrared their B."""
    for modality, letter in (("vi", "A"), ("ir", "B")):
        ours, theirs = f"content_{modality}", f"content_encoder_{letter}"
        yield from _residual_names(f"{ours}.stem", f"{theirs}/resblock0")
        for n in range(2):
            yield from _conv_names(f"{ours}.down.{n}.conv", f"{theirs}/conv_{n}")
            yield from _instance_norm_names(f"{ours}.down.{n}.norm", f"{theirs}/ins_norm_{n}")
        for n in range(3):
            yield from _residual_names(f"{ours}.blocks.{n}", f"{theirs}/resblock_{n + 1}")
        ours, theirs = f"attr_{modality}", f"attribute_encoder_{letter}"
        for n, scope in enumerate(("conv", "conv_0", "conv_1", "conv_2", "conv_3")):
            yield from _conv_names(f"{ours}.convs.{n}", f"{theirs}/{scope}")
        yield from _conv_names(f"{ours}.logit", f"{theirs}/attribute_logit")
    yield from _residual_names("content_shared", "content_encoder_share/resblock_share")
    yield from _residual_names("decoder.shared", "generator_concat_share/resblock")
    scope = "generator_concat_A"
    for n in range(3):
        yield from _residual_names(f"decoder.blocks.{n}", f"{scope}/resblock_{n + 1}")
    for n in range(2):
        yield from _conv_names(f"decoder.up.{n}.deconv", f"{scope}/deconv_{n}", "conv2d_transpose")
        yield f"decoder.up.{n}.norm.weight", f"{scope}/layer_norm_{n}/gamma"
        yield f"decoder.up.{n}.norm.bias", f"{scope}/layer_norm_{n}/beta"
    for n in range(4):
        yield from _conv_names(f"decoder.out.{n}", f"{scope}/G_logit{n + 1}")


def from_tensorflow(variables: Mapping[str, Tensor | npt.NDArray]) -> dict[str, Tensor]:
    """The state_dict of `DRF` from a checkpoint of the authors' code, by its variables' names."""
    state = {}
    for key, name in _tensorflow_names():
        if name not in variables:
            raise UserError(f"this is no checkpoint of DRF: it has no variable {name}.")
        value = torch.as_tensor(variables[name])
        # Kernels: height, width, inputs, outputs (transposed ones: outputs, inputs).
        state[key] = (value.permute(3, 2, 0, 1) if value.ndim == 4 else value).contiguous()
    return state


def _rate(steps: int, share: float) -> float:
    """The authors' decay, 0.998 per 20 steps, for a training of so many steps."""
    return 0.001 * float(0.998 ** (share * steps / 20))


METHOD = Method(
    card=Card(
        name="drf",
        title="DRF",
        year=2021,
        venue="IEEE TIM",
        kind="autoencoder",
        licence="none stated",
        url="https://github.com/hanna-xu/DRF",
        doi="10.1109/TIM.2021.3056645",
        stated=(
            "fusion averages contents and takes 0.3 of the visible, 0.7 of the infrared attribute",
            "losses: reconstruction 10, attributes 0.001, contents 1 in each direction; the "
            "infrared attribute is shifted by 0.2 in training only",
            "Adam, beta1 0.5, learning rate 1e-3 falling by 0.998 per 20 steps, batch 4, 5 epochs "
            "of 192×192 patches",
        ),
        settled=(
            "no part of it is adversarial, though the code's names come from an adversarial one",
            "the block that learns the attributes' shares is left out: the released program "
            "neither trains nor uses it (23,282 parameters)",
            "sides are extended by reflection to a multiple of 4 and to at least 48, and cut "
            "after; the authors cut the image instead and lose up to 3 rows and columns",
            "suite training: crops of 128 and batch 1 instead of 192 and 4, so that a small "
            "budget gives some hundred iterations; the decay is that of 400 steps, so the "
            "learning rate stays near 1e-3",
        ),
    ),
    protocol=Protocol(
        colour="luma8",
        range="signed",
        multiple=4,
        pad="reflect",
        authors=AuthorsOutput(chroma="grey", stretch=True, rounding="nearest"),
    ),
    build=DRF,
    weights=shipped_weights(__file__, "drf"),
    needs_weights=True,
    recipe=Recipe(
        phases=(Phase((Update(drf_loss, (Part(rate=partial(_rate, 400), betas=(0.5, 0.999)),)),)),),
        crop=128,
        batch=1,
    ),
)
