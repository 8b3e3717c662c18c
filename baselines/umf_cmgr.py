"""UMF-CMGR: two residual dense paths and an element-wise attention that both modalities share.

Wang, Liu, Fan, Liu, IJCAI 2022, doi 10.24963/ijcai.2022/487. This is its fusion network (DIFN),
which alone runs on registered pairs; style transfer and registration are not part of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal

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
)
from bench.methods.shipped import shipped_weights
from bench.methods.terms import LAPLACIAN_8, MS_SSIM_WEIGHTS, filtered, ssim_maps

FEATURES = 64


class DenseLayer(nn.Module):
    """A 3×3 convolution without bias whose 64 rectified channels are appended to its input."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, FEATURES, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, functional.relu(self.conv(x))], dim=1)


class ResidualDenseBlock(nn.Module):
    """Three dense layers, 64 to 256 channels, mixed back to 64 and added to the input."""

    def __init__(self) -> None:
        super().__init__()
        self.dense_layers = nn.Sequential(*(DenseLayer(FEATURES * k) for k in (1, 2, 3)))
        self.conv_1x1 = nn.Conv2d(FEATURES * 4, FEATURES, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_1x1(self.dense_layers(x))


class DualAttention(nn.Module):
    """One attention map t = sigmoid(query(ir) · key(vi)), element-wise, for both modalities.

    Each modality x becomes g₀ x + g₁ (x t), where its two one-channel gates g are convolutions of
    (x, x t).
    """

    def __init__(self) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(FEATURES, FEATURES, 3, padding=1)
        self.key_conv = nn.Conv2d(FEATURES, FEATURES, 3, padding=1)
        self.gamma1 = nn.Conv2d(2 * FEATURES, 2, 3, padding=1)
        self.gamma2 = nn.Conv2d(2 * FEATURES, 2, 3, padding=1)

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Both N×64×H×W, infrared first, to the pair of gated features."""
        shared = torch.sigmoid(self.query_conv(infrared) * self.key_conv(visible))
        return (
            self._gated(infrared, shared, self.gamma1),
            self._gated(visible, shared, self.gamma2),
        )

    def _gated(self, features: Tensor, attention: Tensor, gates: nn.Module) -> Tensor:
        attended = features * attention
        plain, weighted = gates(torch.cat([features, attended], dim=1)).split(1, dim=1)
        return features * plain + attended * weighted


class UMFCMGR(nn.Module):
    """N×1×H×W visible and infrared luma, 0..1, to the fused luma in (-1, 1).

    Attribute names are those of the authors' state_dict.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1_1 = nn.Sequential(nn.Conv2d(1, FEATURES, 3, padding=1))
        self.conv2_1 = nn.Sequential(nn.Conv2d(1, FEATURES, 3, padding=1))
        self.ir_path = nn.Sequential(ResidualDenseBlock())
        self.vi_path = nn.Sequential(ResidualDenseBlock())
        self.fuse = DualAttention()
        self.fuse_res = nn.Conv2d(2 * FEATURES, FEATURES, 3, padding=1)
        self.out_conv = nn.Conv2d(FEATURES, 1, 3, padding=1)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        warm = self.ir_path(functional.leaky_relu(self.conv1_1(infrared), 0.2))
        bright = self.vi_path(functional.leaky_relu(self.conv2_1(visible), 0.2))
        fused = self.fuse_res(torch.cat(self.fuse(warm, bright), dim=1))
        return torch.tanh(self.out_conv(fused))


@dataclass(frozen=True)
class LossOptions:
    """Weights and readings of the loss; the defaults are the authors' code.

    The paper's weights are saliency = 5, gradient = 20, and its MS-SSIM term is the sum against
    both sources, structure_of = "sources"; the code compares with the saliency target.
    data_range: L in the constants of SSIM. The code keeps 255 for images in 0..1, which makes
    that term nearly constant; 1 is the proper range.
    map_bits: "8" stores the weight maps as the code does, truncated to 8 bits; "float" keeps them.
    """

    ms_ssim: float = 1.0
    saliency: float = 20.0
    gradient: float = 5.0
    structure_of: Literal["target", "sources"] = "target"
    data_range: float = 255.0
    map_bits: Literal["8", "float"] = "8"


def saliency_map(image: Tensor) -> Tensor:
    """S(v) = Σ_j hist(j) |v - j| of an image's 256 levels at each pixel, over its maximum.

    image: N×1×H×W, 0..1 in steps of 1/255; a flat image gives zeros.
    """
    levels = (image * 255).round().long().flatten(1)
    histogram = image.new_zeros(len(image), 256, dtype=torch.float64)
    histogram.scatter_add_(1, levels, torch.ones_like(levels, dtype=torch.float64))
    values = torch.arange(256, device=image.device, dtype=torch.float64)
    distance = (values[:, None] - values[None, :]).abs()
    salient = (histogram @ distance).gather(1, levels)
    largest = salient.amax(dim=1, keepdim=True).clamp_min(1)
    return (salient / largest).to(image.dtype).view_as(image)


def infrared_weight(visible: Tensor, infrared: Tensor, bits: Literal["8", "float"]) -> Tensor:
    """M_ir = 0.5 + 0.5 (S_ir - S_vi), N×1×H×W in 0..1; the visible weight is 1 - M_ir."""
    weight = 0.5 + 0.5 * (saliency_map(infrared) - saliency_map(visible))
    return (weight * 255).floor() / 255 if bits == "8" else weight


def multi_scale_ssim(x: Tensor, y: Tensor, data_range: float) -> Tensor:
    """MS-SSIM over 5 levels as in the authors' code: zero borders, SSIM at the coarsest level."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    score = x.new_ones(())
    for level, weight in enumerate(MS_SSIM_WEIGHTS):
        full, structure = ssim_maps(x, y, c1=c1, c2=c2, border="zero")
        coarsest = level == len(MS_SSIM_WEIGHTS) - 1
        # Negative structure has no real power; it only occurs far from any useful solution.
        score = score * (full if coarsest else structure).mean().clamp_min(1e-6) ** weight
        x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
    return score


def joint_gradient(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Mean distance of |∇²F| from the larger |∇²| of both sources; the Laplacian over 16."""
    of_fused, of_visible, of_infrared = (
        filtered(image, LAPLACIAN_8, "reflect").abs() / 16 for image in (fused, visible, infrared)
    )
    return (torch.maximum(of_visible, of_infrared) - of_fused).abs().mean()


def fusion_loss(
    fused: Tensor, visible: Tensor, infrared: Tensor, weight: Tensor, options: LossOptions
) -> dict[str, Tensor]:
    """The terms, unweighted, and their weighted sum "total".

    All N×1×H×W in 0..1; weight: M_ir, the infrared image's share of the target.
    """
    target = weight * infrared + (1 - weight) * visible
    compared = (target,) if options.structure_of == "target" else (infrared, visible)
    unlike = [1 - multi_scale_ssim(fused, image, options.data_range) for image in compared]
    ms_ssim = torch.stack(unlike).sum()
    saliency = (fused - target).abs().mean()
    gradient = joint_gradient(fused, visible, infrared)
    total = options.ms_ssim * ms_ssim + options.saliency * saliency + options.gradient * gradient
    return {"total": total, "ms_ssim": ms_ssim, "saliency": saliency, "gradient": gradient}


def training_loss(
    options: LossOptions, network: nn.Module, batch: TrainingBatch
) -> dict[str, Tensor]:
    """The loss of one batch; the saliency weights are those of the crops."""
    visible, infrared = batch.visible, batch.infrared
    weight = infrared_weight(visible, infrared, options.map_bits)
    return fusion_loss(network(visible, infrared), visible, infrared, weight, options)


def warmed_up(rate: float, warmup: float, share: float) -> float:
    """Constant `rate` after a linear rise over the first `warmup` of the training."""
    return rate * min(1.0, share / warmup)


CODE = LossOptions()

METHOD = Method(
    card=Card(
        name="umf-cmgr",
        title="UMF-CMGR",
        year=2022,
        venue="IJCAI",
        kind="cnn",
        licence="MIT (2022 Di Wang)",
        url="https://github.com/wdhudiekou/UMF-CMGR",
        doi="10.24963/ijcai.2022/487",
        stated=(
            "trained on RoadScene's 221 pairs of 256×256, batch 8, Adam 1e-3 constant, 300 epochs "
            "(paper) or 200 (code)",
            "code: 1 - MS-SSIM, 20 × saliency L1, 5 × gradient; paper: 5 × saliency, 20 × gradient",
            "code: MS-SSIM against the saliency target with the constants of the range 255; paper: "
            "against both sources",
        ),
        settled=(
            "the fusion network alone, since the pairs are registered",
            "trained with the code's loss: its weights, its target and its constants of SSIM, "
            "which make the MS-SSIM term nearly constant",
            "saliency maps of the training crops, truncated to 8 bits as the code stores them",
            "the rate rises to 1e-3 over the first tenth: at 1e-3 from the first step, in a trial "
            "with single crops, the tanh saturated and the network stayed white",
            "crops of 128×128 by two instead of 256×256 by eight, for training on a CPU",
        ),
    ),
    protocol=Protocol(
        colour="luma8",
        range="unit",
        authors=AuthorsOutput(chroma="grey", stretch=False, rounding="nearest"),
    ),
    build=UMFCMGR,
    weights=shipped_weights(__file__, "umf-cmgr"),
    needs_weights=True,
    recipe=Recipe(
        phases=(
            Phase(
                updates=(
                    Update(
                        loss=partial(training_loss, CODE),
                        parts=(Part(rate=partial(warmed_up, 1e-3, 0.1)),),
                    ),
                )
            ),
        ),
        crop=128,
        batch=2,
        options=asdict(CODE),
    ),
)
