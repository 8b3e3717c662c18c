"""Differentiable terms that several papers' training losses share: derivatives, SSIM, MS-SSIM.

Images are floats N×C×H×W; every channel is treated by itself. A loss names its borders and ranges
explicitly, since the published codes differ in exactly these.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Border = Literal["valid", "zero", "reflect", "replicate"]

LAPLACIAN_4 = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))
LAPLACIAN_8 = ((1.0, 1.0, 1.0), (1.0, -8.0, 1.0), (1.0, 1.0, 1.0))
SOBEL_X = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
SOBEL_Y = ((-1.0, -2.0, -1.0), (0.0, 0.0, 0.0), (1.0, 2.0, 1.0))
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

Kernel = tuple[tuple[float, ...], ...]


def extend(image: Tensor, by: int, border: Border) -> Tensor:
    """Add `by` pixels on all sides; "valid" adds none."""
    if border == "valid" or by == 0:
        return image
    mode = "constant" if border == "zero" else border
    return functional.pad(image, (by,) * 4, mode=mode)


def _correlated(image: Tensor, bank: Tensor) -> Tensor:
    # A variance is a difference of near values: with the eight bits of bfloat16 nothing is left.
    if not torch.is_autocast_enabled(image.device.type):
        return functional.conv2d(image, bank, groups=image.shape[1])
    with torch.autocast(image.device.type, enabled=False):
        return functional.conv2d(image.float(), bank.float(), groups=image.shape[1])


def filtered(image: Tensor, kernel: Kernel, border: Border) -> Tensor:
    """Correlation of every channel with an odd square kernel (not flipped); never in less than
    single precision, also in a training of mixed precision."""
    channels, weights = image.shape[1], image.new_tensor(kernel)
    bank = weights.expand(channels, 1, *weights.shape)
    return _correlated(extend(image, len(kernel) // 2, border), bank)


def sobel_magnitude(image: Tensor, border: Border) -> Tensor:
    """|Sobel x| + |Sobel y|, kernels not normalised."""
    return filtered(image, SOBEL_X, border).abs() + filtered(image, SOBEL_Y, border).abs()


def blur(image: Tensor, window: int, sigma: float, border: Border) -> Tensor:
    """Gaussian mean with `window` taps a side, normalised to sum 1, separably; in at least single
    precision, as `filtered`."""
    taps = torch.arange(window, device=image.device, dtype=image.dtype) - (window - 1) / 2
    weights = torch.exp(-(taps**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    channels = image.shape[1]
    padded = extend(image, window // 2, border)
    rows = _correlated(padded, weights.view(1, 1, 1, -1).expand(channels, 1, 1, window))
    return _correlated(rows, weights.view(1, 1, -1, 1).expand(channels, 1, window, 1))


def ssim_maps(
    x: Tensor,
    y: Tensor,
    *,
    c1: float | Tensor,
    c2: float | Tensor,
    window: int = 11,
    sigma: float = 1.5,
    border: Border = "valid",
) -> tuple[Tensor, Tensor]:
    """The maps of SSIM and of its contrast-structure factor, (2 σ_xy + c2) / (σ_x² + σ_y² + c2).

    Wang et al., IEEE TIP 13(4), 2004. c1 and c2 are (0.01 L)² and (0.03 L)² for the range L.
    """
    moments = blur(torch.cat([x, y, x * x, y * y, x * y]), window, sigma, border)
    mean_x, mean_y, xx, yy, xy = moments.chunk(5)
    variances = xx - mean_x**2 + yy - mean_y**2
    structure = (2 * (xy - mean_x * mean_y) + c2) / (variances + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * structure, structure


def ssim(x: Tensor, y: Tensor, *, data_range: float = 1.0, border: Border = "valid") -> Tensor:
    """Mean SSIM over all pixels, 11×11 window of σ = 1.5."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return ssim_maps(x, y, c1=c1, c2=c2, border=border)[0].mean()


def ssim_loss(x: Tensor, y: Tensor) -> Tensor:
    """(1 − SSIM) / 2 of images in 0..1, per pixel in 0..0.5, then the mean; reflect borders."""
    maps, _ = ssim_maps(x, y, c1=0.01**2, c2=0.03**2, border="reflect")
    return ((1 - maps) / 2).clamp(0, 0.5).mean()


def derivative_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference of the Sobel derivatives along both axes, kernels / 8, replicate
    borders."""
    difference = x - y
    along_x = filtered(difference, SOBEL_X, "replicate").abs().mean()
    along_y = filtered(difference, SOBEL_Y, "replicate").abs().mean()
    return (along_x + along_y) / 16
