"""Sobel responses and the angle of a gradient, shared by Qabf and Nabf."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional


def sobel(
    images: Tensor, border: Literal["constant", "reflect", "replicate"]
) -> tuple[Tensor, Tensor]:
    """(right minus left, lower minus upper) at every pixel of N×S×H×W.

    border: zeros outside, the image mirrored without repeating its edge pixels, or these repeated.
    """
    padded = functional.pad(images, (1, 1, 1, 1), mode=border)
    columns = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    rows = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return columns[..., 2:] - columns[..., :-2], rows[..., 2:, :] - rows[..., :-2, :]


def logistic(values: Tensor, top: float, slope: float, middle: float) -> Tensor:
    """top / (1 + exp(-slope (values - middle)))."""
    return ((values - middle) * slope).sigmoid_().mul_(top)
