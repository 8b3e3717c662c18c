"""Normalisation by statistics of the image itself, in whatever memory layout the maps have.

torch's instance norm copies channels_last maps twice. Its group norm doesn't, but takes the
variance there as E[x²] − E[x]² in float32, which loses all digits where the mean is large.
"""

from __future__ import annotations

import torch
from torch import Tensor


def standardise(
    x: Tensor,
    dims: tuple[int, ...],
    eps: float,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """N×C×H×W with mean 0 and variance 1 over `dims`, then times weight plus bias (C each)."""
    centred = x - x.mean(dim=dims, keepdim=True)
    scale = (centred.square().mean(dim=dims, keepdim=True) + eps).rsqrt()
    if weight is None or bias is None:
        return centred * scale
    return torch.addcmul(bias.view(-1, 1, 1), centred, scale * weight.view(-1, 1, 1))
