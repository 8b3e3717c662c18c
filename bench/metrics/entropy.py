"""EN, the entropy of the fused image's grey-level histogram.

EN = -Σ p_k log2 p_k over the 256 levels, p the share of pixels at each level. A constant image
has 0. After J. W. Roberts, J. van Aardt, F. Ahmed, "Assessment of image fusion procedures using
entropy, image quality, and multispectral classification", J. Appl. Remote Sens. 2, 2008.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric

LEVELS = 256


def entropy(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """EN of N×1×H×W luma 0..255."""
    counts = histogram(fused.flatten(1).long(), LEVELS)
    return {"EN": entropy_of_counts(counts, convention.entropy.offset) / math.log(2)}


def histogram(values: Tensor, bins: int) -> Tensor:
    """Counts per row: int64 N×P values in 0..bins-1 to N×bins."""
    rows = values.shape[0]
    offset = torch.arange(rows, device=values.device)[:, None] * bins
    return torch.bincount((values + offset).flatten(), minlength=rows * bins).view(rows, bins)


def entropy_of_counts(counts: Tensor, offset: float = 0.0) -> Tensor:
    """Entropy in nats of each row of N×bins counts, N. offset: see `EntropyChoices`."""
    share = counts / counts.sum(1, keepdim=True, dtype=torch.float64)
    if offset:
        return -(share * (share + offset).log()).sum(1)
    terms: Tensor = torch.special.entr(share)
    return terms.sum(1)


ENTROPY = Metric(
    name="EN",
    title="entropy",
    columns=("EN",),
    direction="higher",
    unit="bits",
    range="0 to 8",
    smallest=1,
    reference="Roberts, van Aardt, Ahmed, J. Appl. Remote Sens. 2, 2008",
    function=entropy,
)
