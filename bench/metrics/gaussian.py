"""Separable windows and "valid" filtering, shared by VIF and SSIM.

The windows of both metrics are outer products, so two 1-D passes replace one 2-D correlation.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Pixels of a plane in one band of rows: the few dozen planes that a metric makes of a band then
# stay in the processor's caches, where whole images would be written to memory and read back.
BAND = 40_960


def gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    """The 1-D Gaussian window of odd `size`, centred, with sum 1."""
    offset = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    taps = torch.exp(-(offset**2) / (2 * sigma**2))
    return tuple((taps / taps.sum()).tolist())


def uniform_taps(size: int) -> tuple[float, ...]:
    """The 1-D uniform window with sum 1."""
    return (1 / size,) * size


def row_bands(height: int, width: int, size: int) -> Iterator[slice]:
    """Bands of input rows whose "valid" outputs for an n×n window follow each other."""
    step = max(1, BAND // width)
    for first in range(0, height - size + 1, step):
        yield slice(first, min(first + step + size - 1, height))


def filter_valid(
    images: Tensor,
    taps: tuple[float, ...],
    *,
    stride: int = 1,
    round_to: torch.dtype = torch.float64,
) -> Tensor:
    """Correlate each H×W plane with the window `taps` × `taps` where it lies inside.

    images: ...×H×W float64 with H, W >= n; returned: ...×h×w, h = (H - n) // stride + 1.
    stride: only every stride-th row and column is computed, starting with the first.
    round_to: what a sum in float64 is stored as after each of the two passes.
    Sums of shifted slices: in float64 on a CPU this is faster than `conv2d` by an order of
    magnitude, and a plane has the same bits whatever it is batched with.
    """
    size = len(taps)
    height, width = images.shape[-2:]
    rows = (height - size) // stride + 1
    columns = (width - size) // stride + 1
    planes = images.reshape(-1, height, width)
    filtered = images.new_empty((planes.shape[0], rows, columns), dtype=round_to)
    for plane, target in zip(planes, filtered, strict=True):
        down = _weighted_sum([plane[k : height - size + 1 + k : stride] for k in range(size)], taps)
        down = down.to(round_to).to(images.dtype)
        target.copy_(
            _weighted_sum([down[:, k : width - size + 1 + k : stride] for k in range(size)], taps)
        )
    return filtered.reshape(*images.shape[:-2], rows, columns)


def _weighted_sum(slices: list[Tensor], taps: tuple[float, ...]) -> Tensor:
    """Sum of equally shaped slices, each times its tap."""
    total = slices[0] * taps[0]
    for part, tap in zip(slices[1:], taps[1:], strict=True):
        total.add_(part, alpha=tap)
    return total
