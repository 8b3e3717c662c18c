"""Separable windows, "valid" filtering and local moments, shared by VIF, SSIM and their relatives.

The windows are outer products, so two 1-D passes replace one 2-D correlation. Images are taken in
bands of rows: what is made of a band stays in the processor's caches, where planes of the whole
image would be written to memory and read back.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Pixels of a plane in one band of rows.
BAND = 32_768


def gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    """The 1-D Gaussian window of odd `size`, centred, with sum 1."""
    offset = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    taps = torch.exp(-(offset**2) / (2 * sigma**2))
    return tuple((taps / taps.sum()).tolist())


def uniform_taps(size: int) -> tuple[float, ...]:
    """The 1-D uniform window with sum 1."""
    return (1 / size,) * size


def row_bands(height: int, width: int, size: int, stride: int = 1) -> Iterator[slice]:
    """Bands of input rows whose "valid" outputs for an n×n window follow each other."""
    step = max(1, BAND // width)
    rows = (height - size) // stride + 1
    for first in range(0, rows, step):
        last = min(first + step, rows) - 1
        yield slice(first * stride, last * stride + size)


def filter_valid(
    images: Tensor,
    taps: tuple[float, ...],
    *,
    stride: int = 1,
    round_to: torch.dtype = torch.float64,
) -> Tensor:
    """Correlate each H×W plane with the window `taps` × `taps` where it lies inside.

    images: ...×H×W of any type, H, W >= n; returned: ...×h×w, h = (H - n) // stride + 1.
    stride: only every stride-th row and column is computed, starting with the first.
    round_to: what a sum in float64 is stored as after each of the two passes.
    Sums of shifted slices: in float64 on a CPU this is faster than `conv2d` by an order of
    magnitude, and than products with banded matrices.
    """
    height, width = images.shape[-2:]
    bands = [
        _filter_band(images[..., rows, :].to(torch.float64), taps, stride, round_to)
        for rows in row_bands(height, width, len(taps), stride)
    ]
    return bands[0] if len(bands) == 1 else torch.cat(bands, -2)


def local_moments(
    images: Tensor,
    taps: tuple[float, ...],
    *,
    joined: bool = False,
    round_to: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor, Tensor]:
    """Windowed means of N×(S+1)×H×W images, of their squares, and of the last one's products with
    each other one: N×(S+1)×h×w twice and N×S×h×w, float64 unless rounded. One band at a time.

    joined: the squares are N×S, the sum of each image's and the last one's; one plane less.
    """
    count, size = images.shape[1], images.shape[-2:]
    parts = [count, count - 1 if joined else count, count - 1]
    planes = images.new_empty((len(images), sum(parts), *size), dtype=torch.float64)
    values, squares, products = torch.split(planes, parts, 1)
    values.copy_(images)
    if joined:
        torch.mul(values[:, :-1], values[:, :-1], out=squares)
        squares.addcmul_(values[:, -1:], values[:, -1:])
    else:
        torch.mul(values, values, out=squares)
    torch.mul(values[:, :-1], values[:, -1:], out=products)
    mean, square, product = torch.split(_filter_band(planes, taps, 1, round_to), parts, 1)
    return mean, square, product


def _filter_band(
    planes: Tensor, taps: tuple[float, ...], stride: int, round_to: torch.dtype
) -> Tensor:
    height, width = planes.shape[-2:]
    size = len(taps)
    rows = [planes[..., k : height - size + 1 + k : stride, :] for k in range(size)]
    down = _weighted_sum(rows, taps).to(round_to).to(planes.dtype)
    columns = [down[..., k : width - size + 1 + k : stride] for k in range(size)]
    return _weighted_sum(columns, taps).to(round_to)


def _weighted_sum(slices: list[Tensor], taps: tuple[float, ...]) -> Tensor:
    """Sum of equally shaped slices, each times its tap."""
    total = slices[0] * taps[0]
    for part, tap in zip(slices[1:], taps[1:], strict=True):
        total.add_(part, alpha=tap)
    return total
