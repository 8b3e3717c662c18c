"""NMI, the mutual information with both sources over the sources' entropies.

NMI = 2 (MI(F, I) + MI(F, V)) / (H(I) + H(V)). NaN where both sources are constant. Defined by
IVIF_ZOO only; `standard` does not define it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric
from bench.metrics.entropy import LEVELS, entropy_of_counts, histogram
from bench.metrics.mutual_information import shared_information


def normalised_information(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """NMI of N×1×H×W luma 0..255."""
    levels = fused.flatten(1).int()
    shared, there = torch.zeros((2, fused.shape[0]), dtype=torch.float64, device=fused.device)
    for source in (infrared.flatten(1).int(), visible.flatten(1).int()):
        shared += shared_information(levels, source)
        there += entropy_of_counts(histogram(source, LEVELS))
    return {"NMI": 2 * shared / there}


NORMALISED_INFORMATION = Metric(
    name="NMI",
    title="normalised mutual information",
    columns=("NMI",),
    direction="higher",
    unit="1",
    range="0 to 4",
    smallest=1,
    reference="IVIF_ZOO, Metric/metric.py",
    function=normalised_information,
    dtype=torch.uint8,
)
