"""CrossFuse's training: the auto-encoders' loss of stage 1, the fusion loss of stage 2, and the
module that holds the reconstruction decoders around the fusion network.

Li and Wu, Information Fusion 103, 102147, 2024, doi 10.1016/j.inffus.2023.102147, sections 3.1
and 3.3, with the numbers of the authors' scripts. All images are N×1×H×W, 0..255.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.crossfuse.network import CrossFuse, ReconstructionDecoder
from bench.methods.contract import TrainingBatch
from bench.methods.terms import LAPLACIAN_4, MS_SSIM_WEIGHTS, filtered, ssim_maps

SIMILARITY_WEIGHT = 10_000.0
GRADIENT_WEIGHT = 10.0
SALIENCY_WINDOW = 11
# Deep features are weighed by their channel sum over both images' sums. Short trainings from the
# usual start left totals that cross zero inside of some images: single weights beyond 1000 then
# fill the range of the stretched output.
START_OF_DEEP_BIAS = 0.1


class TwoStages(nn.Module):
    """The fusion network, its start made ready, with the two decoders that only stage 1 trains."""

    def __init__(self, fusion: CrossFuse) -> None:
        super().__init__()
        self.fusion = fusion
        self.decoder_ir = ReconstructionDecoder()
        self.decoder_vi = ReconstructionDecoder()
        for encoder in (fusion.ae_ir["fea_encoder1"], fusion.ae_vi["fea_encoder1"]):
            nn.init.constant_(
                encoder.dense_blocks[2].adjust_conv.conv2d[0].bias, START_OF_DEEP_BIAS
            )


def _value_range(image: Tensor) -> Tensor:
    # The authors' MS-SSIM guesses the range of the values from its first argument.
    high, low = image.detach().amax(), image.detach().amin()
    return 1 + 254 * (high > 128).to(image.dtype) + (low < -0.5).to(image.dtype)


def multi_scale_similarity(reconstruction: Tensor, image: Tensor) -> Tensor:
    """MS-SSIM as the authors' code has it: every scale mapped by (v + 1) / 2, and the SSIM of the
    coarsest scale multiplied to each of the four contrast terms, so that it counts four times.
    """
    scales: list[Tensor] = []
    for scale in range(len(MS_SSIM_WEIGHTS)):
        if scale:
            reconstruction = functional.avg_pool2d(reconstruction, 2)
            image = functional.avg_pool2d(image, 2)
        span = _value_range(reconstruction)
        maps = ssim_maps(
            reconstruction,
            image,
            c1=(0.01 * span) ** 2,
            c2=(0.03 * span) ** 2,
            window=min(11, *image.shape[-2:]),
        )
        scales.append((torch.stack([part.mean() for part in maps]) + 1) / 2)
    similarity, structure = torch.stack(scales).unbind(dim=1)
    weights = similarity.new_tensor(MS_SSIM_WEIGHTS)
    factors = structure[:-1] ** weights[:-1] * similarity[-1] ** weights[-1]
    return factors.prod()


def reconstruction_terms(reconstruction: Tensor, image: Tensor) -> dict[str, Tensor]:
    """Stage 1, equation 1: squared error and structure of an auto-encoder's output."""
    pixel = functional.mse_loss(reconstruction, image)
    structure = SIMILARITY_WEIGHT * (1 - multi_scale_similarity(reconstruction, image))
    return {"pixel": pixel, "structure": structure, "total": pixel + structure}


def infrared_reconstruction(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """Stage 1 of the infrared auto-encoder; network: `TwoStages`."""
    features = network.fusion.ae_ir["fea_encoder1"](batch.infrared)
    return reconstruction_terms(network.decoder_ir(*features), batch.infrared)


def visible_reconstruction(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """Stage 1 of the visible auto-encoder; network: `TwoStages`."""
    features = network.fusion.ae_vi["fea_encoder1"](batch.visible)
    return reconstruction_terms(network.decoder_vi(*features), batch.visible)


def local_mean(image: Tensor) -> Tensor:
    """Mean over 11×11 pixels, zero outside of the image."""
    return functional.avg_pool2d(image, SALIENCY_WINDOW, stride=1, padding=SALIENCY_WINDOW // 2)


def pixel_target(visible: Tensor, infrared: Tensor) -> Tensor:
    """Per pixel the image that is brighter around it; visible where both are equal."""
    return torch.where(local_mean(infrared) > local_mean(visible), infrared, visible)


def rises(image: Tensor) -> Tensor:
    """The positive part of the Laplacian, zero border."""
    return functional.relu(filtered(image, LAPLACIAN_4, "zero"))


def fusion_terms(fused: Tensor, visible: Tensor, infrared: Tensor) -> dict[str, Tensor]:
    """Stage 2: intensity of the locally brighter image, the stronger Laplacian of both."""
    pixel = functional.mse_loss(fused, pixel_target(visible, infrared))
    gradient = functional.mse_loss(rises(fused), torch.maximum(rises(visible), rises(infrared)))
    return {"pixel": pixel, "gradient": gradient, "total": pixel + GRADIENT_WEIGHT * gradient}


def fusion_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """Stage 2; network: `TwoStages`."""
    fused = network.fusion(batch.visible, batch.infrared)
    return fusion_terms(fused, batch.visible, batch.infrared)
