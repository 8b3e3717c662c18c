"""FusionGAN: a generator that keeps the infrared intensity and, against a discriminator that has
seen visible images, their detail.

Ma, Yu, Liang, Li and Jiang, Information Fusion 48, 2019, doi 10.1016/j.inffus.2018.09.004. Layers
and losses follow the authors' TensorFlow graph, spectral normalisation and its gradient included.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

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
    Weights,
    poly,
)
from bench.methods.shipped import shipped_weights
from bench.methods.standardise import standardise
from bench.methods.terms import LAPLACIAN_4, filtered

Mode = Literal["train_graph", "authors_test", "eval_running"]

BORDER = 6
CROP = 132
CONTENT = 100.0
GRADIENT = 5.0
REAL = (0.7, 1.2)
FAKE = (0.0, 0.3)


def spectral_norm(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The weight over its largest singular value, after one power iteration from u, and u'.

    weight: outputs×..., u: 1×outputs. Unlike torch's utility nothing is cut out of the gradient:
    it flows through u', v and the value.
    """
    matrix = weight.reshape(len(weight), -1)
    v = _unit(u @ matrix)
    following = _unit(v @ matrix.T)
    sigma = v @ matrix.T @ following.T
    return weight / sigma.reshape(()), following


def _unit(vector: Tensor) -> Tensor:
    return vector / (torch.linalg.vector_norm(vector) + 1e-12)


class Layer(nn.Module):
    """A convolution without border whose weight is spectrally normalised, and its batch norm.

    sn_u, 1×outputs, is where the next power iteration starts; it is stored with the weights.
    """

    sn_u: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, norm: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-5, momentum=0.1) if norm else None
        self.register_buffer("sn_u", _start(self.conv, outputs))

    def convolve(self, x: Tensor, *, advance: bool) -> Tensor:
        """Convolution with the normalised weight. advance: store u' where the layer trains."""
        # A copy: the backward pass needs u as it was.
        weight, following = spectral_norm(self.conv.weight, self.sn_u.clone())
        if advance and self.training:
            self.sn_u.copy_(following.detach())
        return functional.conv2d(x, weight, self.conv.bias, self.conv.stride)


def _start(layer: nn.Conv2d | nn.Linear, outputs: int) -> Tensor:
    """Draw the authors' start values, and return the vector u that goes with the layer."""
    nn.init.trunc_normal_(layer.weight, std=1e-3, a=-2e-3, b=2e-3)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return nn.init.trunc_normal_(torch.empty(1, outputs))


class Generator(nn.Module):
    """N×1×H×W visible and infrared, -1..1, to N×1×(H-12)×(W-12) in (-1, 1)."""

    def __init__(self, mode: Mode) -> None:
        super().__init__()
        self.mode = mode
        self.layer1 = Layer(2, 256, 5)
        self.layer2 = Layer(256, 128, 5)
        self.layer3 = Layer(128, 64, 3)
        self.layer4 = Layer(64, 32, 3)
        self.layer5 = Layer(32, 1, 1, norm=False)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        x = torch.cat([infrared, visible], dim=1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = functional.leaky_relu(self._normalise(layer, self._convolve(layer, x)), 0.2)
        return torch.tanh(self._convolve(self.layer5, x))

    def _convolve(self, layer: Layer, x: Tensor) -> Tensor:
        if self.mode == "authors_test" and not self.training:
            return layer.conv(x)
        return layer.convolve(x, advance=True)

    def _normalise(self, layer: Layer, x: Tensor) -> Tensor:
        bn = layer.bn
        if self.training or self.mode == "eval_running":
            return bn(x)
        # Per image, so that an image's result does not depend on its company in the batch.
        if self.mode == "authors_test":
            return standardise(x, (2, 3), bn.eps)
        return standardise(x, (2, 3), bn.eps, bn.weight, bn.bias)


class FusionGAN(nn.Module):
    """N×1×H×W visible luma and infrared, -1..1, to the fused luma in (-1, 1).

    mode decides what evaluation means; training is always the authors' training graph.
    train_graph: that graph, with the statistics of the image itself. authors_test: their test
    script, which leaves out spectral normalisation and the norms' scale and offset, with the
    statistics of the image. eval_running: the training graph with moving averages.
    """

    def __init__(self, mode: Mode = "train_graph") -> None:
        super().__init__()
        self.generator = Generator(mode)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        border = (BORDER,) * 4
        return self.generator(
            functional.pad(visible, border, mode="replicate"),
            functional.pad(infrared, border, mode="replicate"),
        )


class Line(nn.Linear):
    """A linear layer to one score whose weight is spectrally normalised."""

    sn_u: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs, 1)
        self.register_buffer("sn_u", _start(self, 1))

    def score(self, x: Tensor, *, advance: bool) -> Tensor:
        """N×inputs to N×1. advance: store u' where the layer trains."""
        weight, following = spectral_norm(self.weight, self.sn_u.clone())
        if advance and self.training:
            self.sn_u.copy_(following.detach())
        return functional.linear(x, weight, self.bias)


class Discriminator(nn.Module):
    """N×1×120×120, -1..1, to N×1 scores: near 1 for visible images, near 0 for fused ones."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = Layer(1, 32, 3, stride=2, norm=False)
        self.layer2 = Layer(32, 64, 3, stride=2)
        self.layer3 = Layer(64, 128, 3, stride=2)
        self.layer4 = Layer(128, 256, 3, stride=2)
        self.line5 = Line(6 * 6 * 256)

    def features(self, image: Tensor, *, advance: bool = False) -> Tensor:
        """N×256×6×6, after the last leaky ReLU."""
        x = functional.leaky_relu(self.layer1.convolve(image, advance=advance), 0.2)
        for layer in (self.layer2, self.layer3, self.layer4):
            x = functional.leaky_relu(layer.bn(layer.convolve(x, advance=advance)), 0.2)
        return x

    def forward(self, image: Tensor, *, advance: bool = False) -> Tensor:
        """advance: the power iterations move on, as in the authors' pass over visible patches."""
        features = self.features(image, advance=advance)
        return self.line5.score(features.flatten(start_dim=1), advance=advance)


class Adversaries(nn.Module):
    """The fusion network and its discriminator: what the training needs."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion
        self.discriminator = Discriminator()


def centre(image: Tensor) -> Tensor:
    """The part of a training crop that the generator's output covers, 6 pixels less per side."""
    return image[..., BORDER:-BORDER, BORDER:-BORDER]


def squared_distance(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean squared distance of scores and labels, N×1 each."""
    return (scores - labels).square().mean()


def content_terms(fused: Tensor, visible: Tensor, infrared: Tensor) -> dict[str, Tensor]:
    """Intensity (to infrared) and gradient (Laplacian, to visible), N×1×H×W each, unweighted."""
    edges = filtered(fused, LAPLACIAN_4, "zero") - filtered(visible, LAPLACIAN_4, "zero")
    return {"intensity": (fused - infrared).square().mean(), "gradient": edges.square().mean()}


def _soft_labels(scores: Tensor, span: tuple[float, float]) -> Tensor:
    return torch.empty_like(scores).uniform_(*span)


def discriminator_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """mean (D(V) - a)² + mean (D(F) - b)² with a in 0.7..1.2 and b in 0..0.3, drawn per sample."""
    with torch.no_grad():
        fused = network.fusion.generator(batch.visible, batch.infrared)
    real = network.discriminator(centre(batch.visible), advance=True)
    fake = network.discriminator(fused)
    terms = {
        "real": squared_distance(real, _soft_labels(real, REAL)),
        "fake": squared_distance(fake, _soft_labels(fake, FAKE)),
    }
    return {"total": terms["real"] + terms["fake"], **terms}


def generator_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """mean (D(F) - c)² + 100 (intensity + 5 gradient) with c in 0.7..1.2, drawn per sample."""
    fused = network.fusion.generator(batch.visible, batch.infrared)
    scores = network.discriminator(fused)
    labels = _soft_labels(scores, REAL)
    adversarial = squared_distance(scores, labels)
    terms = content_terms(fused, centre(batch.visible), centre(batch.infrared))
    content = terms["intensity"] + GRADIENT * terms["gradient"]
    return {"total": adversarial + CONTENT * content, "adversarial": adversarial, **terms}


def from_tensorflow(variables: Mapping[str, Tensor | npt.NDArray]) -> dict[str, Tensor]:
    """The state_dict of `FusionGAN` from the authors' checkpoint, by its variables' names.

    The discriminator's variables are not needed for fusion and left out.
    """
    names: dict[str, str] = {}
    for n in range(1, 6):
        scope, layer = f"fusion_model/layer{n}", f"generator.layer{n}"
        names[f"{layer}.conv.weight"] = f"{scope}/w{n}"
        names[f"{layer}.conv.bias"] = f"{scope}/b{n}"
        names[f"{layer}.sn_u"] = f"{scope}/weights_SN/u"
        if n < 5:
            names[f"{layer}.bn.weight"] = f"{scope}/BatchNorm/gamma"
            names[f"{layer}.bn.bias"] = f"{scope}/BatchNorm/beta"
            names[f"{layer}.bn.running_mean"] = f"{scope}/BatchNorm/moving_mean"
            names[f"{layer}.bn.running_var"] = f"{scope}/BatchNorm/moving_variance"
    missing = [name for name in names.values() if name not in variables]
    if missing:
        raise UserError(f"this is no checkpoint of FusionGAN: it has no variable {missing[0]}.")
    state = {key: torch.as_tensor(variables[name]) for key, name in names.items()}
    # Kernels: height, width, inputs, outputs in TensorFlow.
    state = {k: v.permute(3, 2, 0, 1) if v.ndim == 4 else v for k, v in state.items()}
    # TensorFlow counts no batches; torch wants the counter though a fixed momentum ignores it.
    counters = {f"generator.layer{n}.bn.num_batches_tracked": torch.tensor(0) for n in range(1, 5)}
    return {key: value.contiguous() for key, value in {**state, **counters}.items()}


# power=0 is a constant rate.
_RATE = poly(1e-4, power=0.0)

METHOD = Method(
    card=Card(
        name="fusiongan",
        title="FusionGAN",
        year=2019,
        venue="Information Fusion",
        kind="gan",
        licence="MIT (2018 yuwei998)",
        url="https://github.com/jiayi-ma/FusionGAN",
        doi="10.1016/j.inffus.2018.09.004",
        stated=(
            "132×132 patches whose central 120×120 is the target, -1..1, batch 32, 10 epochs",
            "Adam, learning rate 1e-4 for both networks; two discriminator steps, then one of the "
            "generator, on the same batch",
            "soft labels: 0.7..1.2 for visible, 0..0.3 for fused; content weight 100, gradient 5",
            "spectral normalisation and batch norm with the batch's statistics, also at test",
        ),
        settled=(
            "evaluated as the training graph with the statistics of each image; the authors' test "
            "script drops spectral normalisation and the norms' scale and offset: variant "
            "authors-test; moving averages: variant running",
            "the luma is computed directly, without the script's way through 8-bit YCbCr",
            "suite training: batch 2 instead of 32 and random crops instead of patches in order, "
            "so that a small budget gives some hundred iterations",
            "validation: the discriminator uses its moving averages",
        ),
    ),
    protocol=Protocol(
        colour="luma",
        range="signed",
        authors=AuthorsOutput(chroma="grey", stretch=True, rounding="nearest"),
    ),
    build=FusionGAN,
    weights=(
        Weights(
            name="official",
            track="official",
            file="CGAN.model-3.index",
            sha256="",
            bytes=0,
            origin=(
                "https://github.com/jiayi-ma/FusionGAN, checkpoint/CGAN_120 (both files, "
                ".index and .data)"
            ),
            licence="MIT (2018 yuwei998)",
            trained_on=("tno/all",),
            convert=from_tensorflow,
        ),
        *shipped_weights(__file__, "fusiongan"),
    ),
    needs_weights=True,
    recipe=Recipe(
        phases=(
            Phase(
                (
                    Update(discriminator_loss, (Part("discriminator.", rate=_RATE),), repeat=2),
                    Update(generator_loss, (Part("fusion.", rate=_RATE),)),
                )
            ),
        ),
        # Not 128: the discriminator takes 120×120, and the generator's border is 6.
        crop=CROP,
        batch=2,
        wrap=Adversaries,
    ),
    variants={
        "authors-test": partial(FusionGAN, "authors_test"),
        "running": partial(FusionGAN, "eval_running"),
    },
)
