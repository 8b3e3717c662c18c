"""VIF, the visual information fidelity of the fused image to each source, in the pixel domain.

VIFp of H. R. Sheikh and A. C. Bovik, "Image information and visual quality", IEEE Trans. Image
Process. 15(2), 2006: at four scales, the information that a noisy observer draws from the fused
image about the source, over what he draws from the source itself. The source is the reference,
the fused image the distorted one; exchanged, the number is another one. May exceed 1 where
the fused image has more contrast. NaN for a constant source, and below 41 pixels, where the
fourth scale has no position with its window inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from bench.metrics.choices import Convention, combine
from bench.metrics.choices import VisualInformationFidelityChoices as Choices
from bench.metrics.contract import Metric
from bench.metrics.gaussian import filter_valid, gaussian_taps, local_moments, row_bands
from bench.metrics.summation import plane_sum_log1p

SMALLEST = 41
WINDOWS = (17, 9, 5, 3)
FLOOR = 1e-10


def visual_information_fidelity(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """VIF_ir, VIF_vi and VIF of N×1×H×W luma 0..255."""
    choices = convention.vif
    if choices.border == "valid" and min(fused.shape[-2:]) < SMALLEST:
        undefined = fused.new_full((fused.shape[0],), math.nan, dtype=torch.float64)
        return {"VIF_ir": undefined, "VIF_vi": undefined, "VIF": undefined}
    fidelity = pixel_domain_fidelity(fused, torch.cat((infrared, visible), 1), choices)
    from_infrared, from_visible = fidelity.nan_to_num(nan=choices.undefined).unbind(1)
    return {
        "VIF_ir": from_infrared,
        "VIF_vi": from_visible,
        "VIF": combine(from_infrared, from_visible, choices.combination),
    }


def pixel_domain_fidelity(distorted: Tensor, references: Tensor, choices: Choices) -> Tensor:
    """VIFp of N×1×H×W against each of the S references in N×S×H×W; N×S.

    The distorted image is halved and its moments are taken once for all its references.
    """
    images = torch.cat((references, distorted), 1)
    heard = references.new_zeros(references.shape[:2], dtype=torch.float64)
    there = heard.clone()
    for size in WINDOWS:
        taps = _taps(size, choices.window)
        if size != WINDOWS[0]:
            images = filter_valid(_bordered(images, size, choices), taps, stride=2)
        bordered = _bordered(images, size, choices)
        height, width = bordered.shape[-2:]
        for band in row_bands(height, width, size):
            signal, information = _information(bordered[:, :, band], taps, choices.noise)
            heard += signal
            there += information
    return heard / there


def _information(images: Tensor, taps: tuple[float, ...], noise: float) -> tuple[Tensor, Tensor]:
    """Nats drawn at one scale from the distorted image about each reference, and from that; N×S.

    images: N×(S+1)×H×W, the distorted one last.
    """
    gain, reference, residual = gains(images, taps)
    ratio = gain.mul_(gain).mul_(reference).div_(residual.add_(noise))
    signal = plane_sum_log1p(ratio)
    information = plane_sum_log1p(reference.div_(noise))
    return signal, information


def gains(images: Tensor, taps: tuple[float, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """(gain, variance of the reference, residual variance), each N×S×h×w, at one scale.

    images: N×(S+1)×H×W, the distorted one last. Where a side is flat, or the gain would be
    negative, the gain is 0 and the residual all of the distorted image's variance, as the authors'
    code has it.
    """
    mean, square, product = local_moments(images, taps)
    covariance = product.addcmul_(mean[:, :-1], mean[:, -1:], value=-1)
    variance = square.addcmul_(mean, mean, value=-1).clamp_min_(0)
    reference, other = variance[:, :-1], variance[:, -1:]
    flat = reference < FLOOR
    gain = (covariance / (reference + FLOOR)).clamp_min_(0)
    gain.masked_fill_(flat.logical_or(other < FLOOR), 0)
    residual = torch.addcmul(other, gain, covariance, value=-1)
    return gain, reference.masked_fill(flat, 0), residual.clamp_min_(FLOOR)


def _taps(size: int, window: Literal["centred", "stretched"]) -> tuple[float, ...]:
    """The 1-D Gaussian window of one scale, sigma a fifth of its size."""
    if window == "centred":
        return gaussian_taps(size, size / 5)
    offset = torch.linspace(-(size + 1) / 2, (size - 1) / 2, size, dtype=torch.float64)
    taps = torch.exp(-(offset**2) / (2 * (size / 5) ** 2))
    return tuple((taps / taps.sum()).tolist())


def _bordered(images: Tensor, size: int, choices: Choices) -> Tensor:
    """The images with what the convention puts around them."""
    if choices.border == "valid":
        return images
    return functional.pad(images, (size // 2,) * 4)


VISUAL_INFORMATION_FIDELITY = Metric(
    name="VIF",
    title="visual information fidelity",
    columns=("VIF_ir", "VIF_vi", "VIF"),
    direction="higher",
    unit="1",
    range="0 to about 2 (sum of both sources)",
    smallest=SMALLEST,
    reference="Sheikh, Bovik, IEEE Trans. Image Process. 15(2), 2006",
    function=visual_information_fidelity,
    dtype=torch.uint8,
)
