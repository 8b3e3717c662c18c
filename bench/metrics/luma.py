"""Luma of 8-bit images: ITU-R BT.601 weights, full range, rounded to 8 bits.

The rules differ by at most one grey level; `integer` is exact and needs no library.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.metrics.choices import Reading

# First row of the inverse of the NTSC matrix, as MATLAB's rgb2gray takes it.
MATLAB = (0.298936021293775, 0.587043074451121, 0.114020904255103)


def luma(image: Tensor, rule: Reading = "integer") -> Tensor:
    """uint8 N×3×H×W RGB, or N×1×H×W which is returned as it is, to uint8 N×1×H×W.

    integer: (299 R + 587 G + 114 B + 500) // 1000.
    float32: the same weights in single precision, ties to even (OpenCV on float images).
    pillow: 16-bit fixed point. matlab: `rgb2gray` of uint8 images.
    """
    if image.shape[1] == 1:
        return image
    if rule == "channels":
        raise ValueError("the rule 'channels' makes no luma: read the planes one by one.")
    if rule == "integer":
        # Whole numbers below 2^24 are exact in float32, and (whole + 1/2) / 1000 is never nearer
        # to a whole number than 1/2000: the same levels as by integers, in half the time.
        single = image.to(torch.float32)
        weighted = single[:, :1] * 299
        weighted.add_(single[:, 1:2], alpha=587).add_(single[:, 2:], alpha=114)
        return weighted.add_(500.5).mul_(0.001).to(torch.uint8)
    if rule == "pillow":
        whole = image.to(torch.int32)
        weighted = whole[:, :1] * 19595 + whole[:, 1:2] * 38470 + whole[:, 2:] * 7471
        return ((weighted + 32768) >> 16).to(torch.uint8)
    if rule == "matlab":
        red, green, blue = MATLAB
        double = image.to(torch.float64)
        weighted = double[:, :1] * red + double[:, 1:2] * green + double[:, 2:] * blue
        return (weighted + 0.5).floor().to(torch.uint8)
    single = image.to(torch.float32)
    weighted = single[:, :1] * 0.299 + single[:, 1:2] * 0.587 + single[:, 2:] * 0.114
    return weighted.round().to(torch.uint8)
