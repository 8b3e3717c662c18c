"""All metrics, in the order of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bench.errors import UserError, did_you_mean
from bench.metrics.average_gradient import AVERAGE_GRADIENT
from bench.metrics.contract import Metric
from bench.metrics.entropy import ENTROPY
from bench.metrics.mutual_information import MUTUAL_INFORMATION
from bench.metrics.standard_deviation import STANDARD_DEVIATION
from bench.metrics.structural_similarity import STRUCTURAL_SIMILARITY
from bench.metrics.visual_information_fidelity import VISUAL_INFORMATION_FIDELITY

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            ENTROPY,
            MUTUAL_INFORMATION,
            AVERAGE_GRADIENT,
            STANDARD_DEVIATION,
            VISUAL_INFORMATION_FIDELITY,
            STRUCTURAL_SIMILARITY,
        )
    }
)


def find_metrics(names: Sequence[str] | None = None) -> tuple[Metric, ...]:
    """The metrics of these names in the order asked for, or all of them."""
    if names is None:
        return tuple(METRICS.values())
    for name in names:
        if name not in METRICS:
            raise UserError(
                f"unknown metric '{name}'{did_you_mean(name, METRICS)}; "
                f"known are {', '.join(METRICS)}."
            )
    return tuple(METRICS[name] for name in dict.fromkeys(names))
