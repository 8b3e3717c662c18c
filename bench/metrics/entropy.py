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
    counts = histogram(fused.flatten(1), LEVELS)
    return {"EN": entropy_of_counts(counts, convention.entropy.offset) / math.log(2)}


def histogram(values: Tensor, bins: int) -> Tensor:
    """Counts per row: N×P whole values in 0..bins-1, of any type, to int64 N×bins."""
    whole = values.int() if values.is_floating_point() else values
    return torch.stack([torch.bincount(row, minlength=bins) for row in whole])


def entropy_of_counts(counts: Tensor, offset: float = 0.0) -> Tensor:
    """Entropy in nats of each row of N×bins counts, N; bins is a multiple of 256.

    offset: see `EntropyChoices`. The sum is taken in rows of 256, which torch never divides among
    threads: the last digits do not depend on their number.
    """
    share = counts / counts.sum(1, keepdim=True, dtype=torch.float64)
    terms = -(share * (share + offset).log()) if offset else torch.special.entr(share)
    rows: Tensor = terms.view(len(terms), -1, LEVELS).sum(2)
    return rows.sum(1)


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
    dtype=torch.uint8,
)
