"""CDDFuse's losses: reconstruction with decomposition (phase I), fusion (phase II).

Zhao et al., CVPR 2023, section 3.4, with the terms and weights of the authors' training code.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.cddfuse.network import CDDFuse
from bench.methods.contract import TrainingBatch
from bench.methods.terms import derivative_distance, sobel_magnitude, ssim_loss


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Mean over items and channels of the correlation over the pixels; N×C×H×W."""
    a, b = a.flatten(2), b.flatten(2)
    a, b = a - a.mean(dim=-1, keepdim=True), b - b.mean(dim=-1, keepdim=True)
    scale = a.square().sum(dim=-1).sqrt() * b.square().sum(dim=-1).sqrt()
    return ((a * b).sum(dim=-1) / (2**-23 + scale)).clamp(-1, 1).mean()


def decomposition(of_visible: tuple[Tensor, Tensor], of_infrared: tuple[Tensor, Tensor]) -> Tensor:
    """L_decomp: details uncorrelated, bases correlated. Both arguments are (base, detail)."""
    base = correlation(of_visible[0], of_infrared[0])
    detail = correlation(of_visible[1], of_infrared[1])
    return detail**2 / (1.01 + base)


def reconstruction_terms(image: Tensor, reconstructed: Tensor) -> Tensor:
    """One image's reconstruction: 5 (1 − SSIM) / 2 + mean squared error."""
    return 5 * ssim_loss(image, reconstructed) + functional.mse_loss(image, reconstructed)


def reconstruction_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """Phase I: each image is decoded from its own features."""
    model = cast(CDDFuse, network)
    of_visible, of_infrared = model.encoder(batch.visible), model.encoder(batch.infrared)
    visible = model.decoder(batch.visible, *of_visible)
    infrared = model.decoder(batch.infrared, *of_infrared)
    terms = {
        "visible": reconstruction_terms(batch.visible, visible),
        "infrared": reconstruction_terms(batch.infrared, infrared),
        "decomposition": decomposition(of_visible, of_infrared),
        "gradient": derivative_distance(batch.visible, visible),
    }
    total = terms["visible"] + terms["infrared"]
    return {"total": total + 2 * terms["decomposition"] + 5 * terms["gradient"], **terms}


def fusion_terms(fused: Tensor, visible: Tensor, infrared: Tensor) -> dict[str, Tensor]:
    """L_int and L_grad against the brighter pixel and the larger gradient magnitude."""
    gradient = torch.maximum(sobel_magnitude(visible, "zero"), sobel_magnitude(infrared, "zero"))
    return {
        "intensity": (torch.maximum(visible, infrared) - fused).abs().mean(),
        "gradient": (gradient - sobel_magnitude(fused, "zero")).abs().mean(),
    }


def fusion_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    """Phase II: the fused image against both sources."""
    model = cast(CDDFuse, network)
    of_visible, of_infrared = model.encoder(batch.visible), model.encoder(batch.infrared)
    fused = model.decoder(batch.visible, *model.fuse_features(of_visible, of_infrared))
    terms = fusion_terms(fused, batch.visible, batch.infrared)
    terms["decomposition"] = decomposition(of_visible, of_infrared)
    total = terms["intensity"] + 10 * terms["gradient"] + 2 * terms["decomposition"]
    return {"total": total, **terms}
