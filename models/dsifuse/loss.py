"""DSIFuse's training loss, L = μ L_int + ζ L_gra + η L_sem, with every settled point as an option.

Images are N×C×H×W in 0..1; the gradient and contrast terms act on each channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import UserError
from bench.methods.contract import TrainingBatch
from bench.methods.terms import SOBEL_X, SOBEL_Y, filtered, ssim
from models.dsifuse.network import DSIFuse, FusedWithSemantics


@dataclass(frozen=True)
class LossOptions:
    """The stated weights and the readings of the terms; the defaults are the paper's text.

    decide: how L_int divides the pixels between the sources. "delta": δ(M + M_label) of both, with
    the threshold tau (0 is literal). "contrast": where M_R > M_V or M_label = 1 the infrared
    image is the target, elsewhere the visible one. "max": the brighter source everywhere.
    "salient": the brighter source where M_label = 1, elsewhere the one of higher contrast.
    contrast_window: side of the mean of the local variance that decides ("contrast", "salient").
    gradient: "magnitude" compares |∇D_f| with the larger |∇X| as stated; "signed" compares the
    gradient vector with that of the source of larger magnitude.
    ssim: weight of 1 - (SSIM(D_f, X_V) + SSIM(D_f, X_R)) / 2, which the paper doesn't have.
    saliency: M_label of unlabelled pairs is X_R > mean + saliency · standard deviation.
    """

    mu: float = 155.0
    zeta: float = 10.0
    eta: float = 7.0
    decide: Literal["delta", "contrast", "max", "salient"] = "delta"
    tau: float = 0.0
    contrast_window: int = 3
    gradient: Literal["magnitude", "signed"] = "magnitude"
    ssim: float = 0.0
    saliency: float = 1.0


def local_variance(image: Tensor, window: int = 3) -> Tensor:
    """Variance in a window×window neighbourhood, reflect borders; N×C×H×W."""
    edge = window // 2
    padded = functional.pad(image, (edge,) * 4, mode="reflect")
    mean = functional.avg_pool2d(padded, window, 1)
    square = functional.avg_pool2d(padded * padded, window, 1)
    return (square - mean * mean).clamp_min(0.0)


def normalised_variance(image: Tensor, window: int = 3) -> Tensor:
    """M_X: the local variance, min-max normalised per image; zeros for a flat image."""
    variance = local_variance(image, window)
    low, high = variance.amin((1, 2, 3), keepdim=True), variance.amax((1, 2, 3), keepdim=True)
    return (variance - low) / (high - low).clamp_min(1e-12)


def saliency_mask(infrared: Tensor, threshold: float) -> Tensor:
    """M_label without annotation: warmer than mean + threshold · deviation of the image."""
    mean = infrared.mean((1, 2, 3), keepdim=True)
    deviation = infrared.std((1, 2, 3), keepdim=True, correction=0)
    return (infrared > mean + threshold * deviation).to(infrared.dtype)


def foreground(batch: TrainingBatch, threshold: float) -> Tensor:
    """M_label, N×1×H×W in {0, 1}: the annotation where there is one, else the saliency rule."""
    rule = saliency_mask(batch.infrared, threshold)
    if batch.foreground is None or batch.labelled is None:
        return rule
    annotated = batch.labelled.view(-1, 1, 1, 1)
    return torch.where(annotated, batch.foreground.to(rule.dtype), rule)


def intensity_loss(
    fused: Tensor, visible: Tensor, infrared: Tensor, label: Tensor, options: LossOptions
) -> Tensor:
    """L_int. fused, visible: N×C×H×W; infrared, label: N×1×H×W."""
    if options.decide == "max":
        return (fused - torch.maximum(visible, infrared)).abs().mean()
    grey = visible.mean(1, keepdim=True)
    if options.decide == "delta":
        of_visible = normalised_variance(grey) + 1 - label > options.tau
        of_infrared = normalised_variance(infrared) + label > options.tau
        to_infrared = (of_infrared * (fused - infrared).abs()).mean()
        return to_infrared + (of_visible * (fused - visible).abs()).mean()
    window = options.contrast_window
    warmer = local_variance(infrared, window) > local_variance(grey, window)
    if options.decide == "contrast":
        target = torch.where(warmer | (label > 0), infrared, visible)
    else:
        structured = torch.where(warmer, infrared, visible)
        target = torch.where(label > 0, torch.maximum(visible, infrared), structured)
    return (fused - target).abs().mean()


def sobel(image: Tensor) -> Tensor:
    """Sobel derivatives along x and y, N×C×H×W to N×C×2×H×W, replicate borders."""
    derivatives = [filtered(image, kernel, "replicate") for kernel in (SOBEL_X, SOBEL_Y)]
    return torch.stack(derivatives, dim=2)


def gradient_loss(
    fused: Tensor, visible: Tensor, infrared: Tensor, kind: Literal["magnitude", "signed"]
) -> Tensor:
    """L_gra, with |∇X| = |∂x X| + |∂y X|."""
    of_fused, of_visible, of_infrared = sobel(fused), sobel(visible), sobel(infrared)
    strength_v = of_visible.abs().sum(2, keepdim=True)
    strength_r = of_infrared.abs().sum(2, keepdim=True)
    if kind == "magnitude":
        target = torch.maximum(strength_v, strength_r)
        return (of_fused.abs().sum(2, keepdim=True) - target).abs().mean()
    target = torch.where(strength_r > strength_v, of_infrared, of_visible)
    return (of_fused - target).abs().sum(2).mean()


def semantic_loss(fused: FusedWithSemantics, labels: Tensor, labelled: Tensor) -> Tensor:
    """L_sem over the labelled items: squared error of S_V, S_R against the one-hot annotation.

    Summed over the classes and the levels t = 1..3 (strides 8, 16, 32), mean over pixels and
    items. labels: N×H×W int64; labelled: N bool.
    """
    total = fused.fused.new_zeros(())
    if fused.prior_visible is None or fused.prior_infrared is None or not bool(labelled.any()):
        return total
    classes = fused.prior_visible.shape[1]
    if int(labels.max()) >= classes:
        raise UserError(
            f"The segmentation maps have class {int(labels.max())}, the priors of this network "
            f"only {classes} classes: give --option classes={int(labels.max()) + 1}."
        )
    maps = labels[labelled][:, None].float()
    for prior in (fused.prior_visible[labelled], fused.prior_infrared[labelled]):
        height, width = prior.shape[-2:]
        for t in range(3):
            size = (height >> t, width >> t)
            map_t = functional.interpolate(maps, size=size, mode="nearest")[:, 0].long()
            target = functional.one_hot(map_t, prior.shape[1]).movedim(-1, 1)
            resized = functional.interpolate(prior, size=size, mode="bilinear")
            total = total + (resized - target).square().sum(1).mean()
    return total


def structural_similarity(fused: Tensor, *sources: Tensor) -> Tensor:
    """Mean SSIM (Wang et al., 2004: Gaussian 11×11, σ = 1.5, valid, range 1) over all sources."""
    return torch.stack([ssim(fused, source.expand_as(fused)) for source in sources]).mean()


def dsifuse_loss(options: LossOptions) -> Callable[[nn.Module, TrainingBatch], dict[str, Tensor]]:
    """The loss of the recipe's only update: terms by name, "total" is minimised."""

    def loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
        result = cast(DSIFuse, network).forward_with_semantics(batch.visible, batch.infrared)
        visible, infrared = batch.visible, batch.infrared
        label = foreground(batch, options.saliency)
        terms = {
            "intensity": intensity_loss(result.fused, visible, infrared, label, options),
            "gradient": gradient_loss(result.fused, visible, infrared, options.gradient),
        }
        total = options.mu * terms["intensity"] + options.zeta * terms["gradient"]
        if batch.labels is not None and batch.labelled is not None:
            terms["semantic"] = semantic_loss(result, batch.labels, batch.labelled)
        else:
            terms["semantic"] = total.new_zeros(())
        total = total + options.eta * terms["semantic"]
        if options.ssim:
            terms["ssim"] = 1 - structural_similarity(result.fused, visible, infrared)
            total = total + options.ssim * terms["ssim"]
        return {**terms, "total": total}

    return loss
