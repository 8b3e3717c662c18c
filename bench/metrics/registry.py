"""All metrics, in the order of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bench.errors import UserError, did_you_mean
from bench.metrics.average_gradient import AVERAGE_GRADIENT
from bench.metrics.choices import Convention
from bench.metrics.contract import Metric
from bench.metrics.correlation import CORRELATION
from bench.metrics.cross_entropy import CROSS_ENTROPY
from bench.metrics.edge_intensity import EDGE_INTENSITY
from bench.metrics.edge_preservation import EDGE_PRESERVATION
from bench.metrics.entropy import ENTROPY
from bench.metrics.feature_mutual_information import (
    FEATURE_INFORMATION_DCT,
    FEATURE_INFORMATION_EDGES,
)
from bench.metrics.fusion_artefacts import FUSION_ARTEFACTS
from bench.metrics.fusion_fidelity import FUSION_FIDELITY
from bench.metrics.mean_squared_error import MEAN_SQUARED_ERROR
from bench.metrics.multi_exposure_similarity import MULTI_EXPOSURE_SIMILARITY
from bench.metrics.multi_scale_similarity import MULTI_SCALE_SIMILARITY
from bench.metrics.mutual_information import MUTUAL_INFORMATION
from bench.metrics.normalised_information import NORMALISED_INFORMATION
from bench.metrics.peak_signal_to_noise import PEAK_SIGNAL_TO_NOISE
from bench.metrics.root_error import ROOT_ERROR
from bench.metrics.spatial_frequency import SPATIAL_FREQUENCY
from bench.metrics.standard_deviation import STANDARD_DEVIATION
from bench.metrics.structural_similarity import STRUCTURAL_SIMILARITY
from bench.metrics.sum_of_correlations import SUM_OF_CORRELATIONS
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
            SPATIAL_FREQUENCY,
            CORRELATION,
            SUM_OF_CORRELATIONS,
            MEAN_SQUARED_ERROR,
            PEAK_SIGNAL_TO_NOISE,
            EDGE_PRESERVATION,
            FUSION_ARTEFACTS,
            MULTI_SCALE_SIMILARITY,
            FUSION_FIDELITY,
            NORMALISED_INFORMATION,
            ROOT_ERROR,
            CROSS_ENTROPY,
            EDGE_INTENSITY,
            MULTI_EXPOSURE_SIMILARITY,
            FEATURE_INFORMATION_DCT,
            FEATURE_INFORMATION_EDGES,
        )
    }
)

# What is scored where nothing else is asked for: the columns of the paper's tables.
DEFAULT = ("EN", "MI", "AG", "SD", "VIF", "SSIM")


def find_metrics(
    names: Sequence[str] | None = None, convention: Convention | None = None
) -> tuple[Metric, ...]:
    """The metrics of these names in the order asked for, or those of the six that are defined.

    UserError for unknown names and for metrics that the convention does not define.
    """
    if names is None:
        known = DEFAULT if convention is None else convention.metrics
        return tuple(METRICS[name] for name in DEFAULT if name in known)
    for name in names:
        if name not in METRICS:
            raise UserError(
                f"unknown metric '{name}'{did_you_mean(name, METRICS)}; "
                f"known are {', '.join(METRICS)}."
            )
        if convention is not None and name not in convention.metrics:
            raise UserError(
                f"the convention '{convention.name}' does not define {name}; "
                f"it has {', '.join(convention.metrics)}."
            )
    return tuple(METRICS[name] for name in dict.fromkeys(names))
