"""Luma of 8-bit images: ITU-R BT.601 weights, full range, rounded to 8 bits.

The rules differ by at most one grey level; `integer` is exact and needs no library.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.metrics.conventions import LumaRule


def luma(image: Tensor, rule: LumaRule = "integer") -> Tensor:
    """uint8 N×3×H×W RGB, or N×1×H×W which is returned as it is, to uint8 N×1×H×W.

    integer: (299 R + 587 G + 114 B + 500) // 1000.
    float32: the same weights in single precision, ties to even (OpenCV on float images).
    """
    if image.shape[1] == 1:
        return image
    if rule == "integer":
        whole = image.to(torch.int32)
        weighted = whole[:, :1] * 299 + whole[:, 1:2] * 587 + whole[:, 2:] * 114
        return ((weighted + 500) // 1000).to(torch.uint8)
    single = image.to(torch.float32)
    weighted = single[:, :1] * 0.299 + single[:, 1:2] * 0.587 + single[:, 2:] * 0.114
    return weighted.round().to(torch.uint8)
