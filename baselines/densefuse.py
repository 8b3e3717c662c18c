"""DenseFuse: an auto-encoder with a dense block whose feature maps are fused by addition.

Li and Wu, IEEE Transactions on Image Processing 28(5), 2019, doi 10.1109/TIP.2018.2887342. Two
methods with one network: `densefuse`, the authors' torch port, in which "addition" is the mean of
the feature maps and the last layer has a ReLU; `densefuse-tf`, the TensorFlow version of the paper,
whose images are the ones known as DenseFuse: the sum of the maps, and no last ReLU.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, cast

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
from bench.methods.terms import MS_SSIM_WEIGHTS, ssim_maps

Version = Literal["torch", "tensorflow"]


class ConvLayer(nn.Module):
    """3×3 convolution with reflected border, then ReLU unless `linear`. C×H×W to D×H×W."""

    def __init__(self, inputs: int, outputs: int, *, linear: bool = False) -> None:
        super().__init__()
        self.linear = linear
        self.conv2d = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2d(x)
        return x if self.linear else functional.relu(x)


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

    Attribute names are those of the authors' state_dict. The TensorFlow version's output is half
    of what its decoder makes of the sum: the sum alone has twice the sources' brightness.
    """

    def __init__(self, version: Version = "torch") -> None:
        super().__init__()
        self.version = version
        self.conv1 = ConvLayer(1, 16)
        self.DB1 = DenseBlock()
        self.conv2 = ConvLayer(64, 64)
        self.conv3 = ConvLayer(64, 32)
        self.conv4 = ConvLayer(32, 16)
        self.conv5 = ConvLayer(16, 1, linear=version == "tensorflow")

    def encode(self, image: Tensor) -> Tensor:
        """N×1×H×W to the 64 feature maps, N×64×H×W."""
        return self.DB1(self.conv1(image))

    def decode(self, features: Tensor) -> Tensor:
        """N×64×H×W to N×1×H×W."""
        return self.conv5(self.conv4(self.conv3(self.conv2(features))))

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        added = self.encode(infrared) + self.encode(visible)
        if self.version == "torch":
            return self.decode(added / 2)
        return self.decode(added) / 2


def multi_scale_similarity(output: Tensor, target: Tensor) -> Tensor:
    """The torch port's MS-SSIM of N×1×H×W in 0..255, each level's mean t as (t + 1) / 2.

    As in the port, the coarsest level stands inside the product over the four finer ones, so that
    it counts four times; Wang et al. have it once.
    """
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = output.new_ones(())
    for level, weight in enumerate(MS_SSIM_WEIGHTS):
        window = min(11, *output.shape[-2:])
        whole, structure = ssim_maps(output, target, c1=c1, c2=c2, window=window)
        if level < 4:
            value = value * ((structure.mean() + 1) / 2) ** weight
        else:
            value = value * ((whole.mean() + 1) / 2) ** (4 * weight)
        output, target = functional.avg_pool2d(output, 2), functional.avg_pool2d(target, 2)
    return value


def reconstruction_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """Auto-encoder training: every image of both modalities by itself, without fusion."""
    autoencoder = cast(DenseFuse, network)
    images = torch.cat([batch.visible, batch.infrared])
    output = autoencoder.decode(autoencoder.encode(images))
    pixel = functional.mse_loss(output, images)
    structure = 1 - multi_scale_similarity(output, images)
    return {"pixel": pixel, "structure": structure, "total": pixel + 100 * structure}


RECIPE = Recipe(
    phases=(Phase((Update(reconstruction_loss, (Part(rate=poly(1e-4, 0.0)),)),)),),
    crop=128,
    batch=2,
)

STATED = (
    "auto-encoder training without fusion on 40 000 grey images of MS-COCO 2014 at 256×256",
    "4 epochs, batch 4, Adam at a constant 1e-4, loss MSE + 100 (1 - MS-SSIM) on 0..255",
)

SETTLED = (
    "suite training: both images of a pair are training images of their own, 2 pairs (4 images) "
    "a batch; the visible one as luma",
    "crops of 128: the fifth level of MS-SSIM has 8 pixels a side, and its window shrinks to them",
    "the port's MS-SSIM counts the fifth level four times; kept",
    "the port guesses the range of MS-SSIM as 1 where the output stays below 128, which divides "
    "by almost nothing in flat dark areas; here it is always 255",
)

SETTLED_TENSORFLOW = (
    "the fused image is half of what the decoder makes of the summed features: clipping the whole "
    "would lose the upper half of the range, and the authors' min-max stretch undoes the half "
    "exactly, so that --output authors still is theirs; the mean of the features instead would "
    "differ by at most 1 grey level",
    "weights: the authors' checkpoint with kernels in torch's layout and the blocks of 16 input "
    "channels reversed, since it concatenates new features before old ones",
    "no recipe: the suite trains the torch port's form",
)


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
        stated=STATED,
        settled=SETTLED,
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
            url="https://raw.githubusercontent.com/hli1221/densefuse-pytorch/master/models/densefuse_gray.model",
        ),
        *shipped_weights(__file__, "densefuse"),
    ),
    needs_weights=True,
    recipe=RECIPE,
)

METHOD_TENSORFLOW = Method(
    card=Card(
        name="densefuse-tf",
        title="DenseFuse (TensorFlow)",
        year=2019,
        venue="IEEE TIP",
        kind="autoencoder",
        licence="none stated",
        url="https://github.com/hli1221/imagefusion_densefuse",
        doi="10.1109/TIP.2018.2887342",
        stated=(
            "80 000 grey images of MS-COCO 2014, 4 epochs, batch 2, Adam at a constant 1e-4",
            "loss lambda (1 - S) + P with lambda = 100 for these weights",
        ),
        settled=SETTLED_TENSORFLOW,
    ),
    protocol=Protocol(
        colour="luma8",
        range="byte",
        authors=AuthorsOutput(chroma="grey", stretch=True, rounding="nearest"),
    ),
    build=partial(DenseFuse, "tensorflow"),
    weights=(
        Weights(
            name="official-lambda100",
            track="official",
            file="densefuse_tf_lambda100.npz",
            sha256="dfa518c36750d8848f53802748ed772b19e53896a492061de5b5779b0282677b",
            bytes=301346,
            origin=(
                "https://github.com/hli1221/imagefusion_densefuse, models/densefuse_gray.zip, "
                "the checkpoint of weight 1e2, converted as the card says"
            ),
            licence="none stated",
            trained_on=("coco-2014",),
        ),
    ),
    needs_weights=True,
)
