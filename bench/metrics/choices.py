"""The choices on which fusion evaluators disagree, as records: one class per metric.

The defaults are those of the convention `standard`; `bench.metrics.conventions` names the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Combination = Literal["sum", "mean"]
Border = Literal["valid", "replicate"]
Reading = Literal["integer", "float32", "pillow", "matlab", "channels"]


@dataclass(frozen=True)
class EntropyChoices:
    """offset: added to a probability inside the logarithm."""

    offset: float = 0.0


@dataclass(frozen=True)
class MutualInformationChoices:
    """unit: base of the logarithm. combination: of the two sources.

    merged: where the levels 254 and 255 are one bin, as in 8-bit arithmetic that adds 1 to the
    level: nowhere, in the joint histogram only, or in the marginal ones too.
    """

    unit: Literal["bits", "nats"] = "bits"
    combination: Combination = "sum"
    merged: Literal["none", "joint", "all"] = "none"


@dataclass(frozen=True)
class AverageGradientChoices:
    """divisor: "pixels" is H·W, "cells" is (H-1)(W-1), whatever the sum is over.

    differences: "central" at all H·W pixels, one-sided on the border, or "forward" at the
    (H-1)(W-1) pixels that have a right and a lower neighbour.
    """

    divisor: Literal["pixels", "cells"] = "pixels"
    differences: Literal["central", "forward"] = "central"


@dataclass(frozen=True)
class StandardDeviationChoices:
    """ddof: 0 divides by H·W, 1 by H·W - 1."""

    ddof: Literal[0, 1] = 0


@dataclass(frozen=True)
class SpatialFrequencyChoices:
    """divisor: "differences" is the number of differences of each direction, "pixels" is H·W."""

    divisor: Literal["differences", "pixels"] = "differences"


@dataclass(frozen=True)
class VisualInformationFidelityChoices:
    """noise: variance of the visual noise, in squared grey levels of 0..255.

    undefined: the value printed for a source without any information (a constant image).
    border: "valid" keeps only positions with the whole window inside, "zero" pads with zeros.
    window: "centred", or "stretched": n taps spread evenly from -(n+1)/2 to (n-1)/2.
    """

    noise: float = 2.0
    undefined: float = math.nan
    border: Literal["valid", "zero"] = "valid"
    window: Literal["centred", "stretched"] = "centred"
    combination: Combination = "sum"


@dataclass(frozen=True)
class StructuralSimilarityChoices:
    """sigma: of the Gaussian window, or None for a uniform window.

    border: "valid" keeps only positions with the whole window inside, "replicate" repeats edge
    pixels and keeps every position.
    data_range: the L of C1 = (0.01 L)² and C2 = (0.03 L)²; the images are 0..255 whatever it is.
    covariance: "population", or "sample" with the factor n²/(n² - 1) of an n×n window.
    precision: of the local moments and the map; the mean of the map is always float64.
    """

    window: int = 11
    sigma: float | None = 1.5
    border: Border = "valid"
    data_range: float = 255.0
    covariance: Literal["population", "sample"] = "population"
    precision: Literal["float64", "float32"] = "float64"
    combination: Combination = "sum"


@dataclass(frozen=True)
class MultiScaleSimilarityChoices:
    """data_range: as of SSIM.

    odd: before halving, an odd side gets its last row or column "repeated" once, or one row or
    column of "zeros" at both ends.
    smallest: the shortest image side with a value.
    """

    data_range: float = 255.0
    odd: Literal["repeated", "zeros"] = "repeated"
    smallest: int = 176


@dataclass(frozen=True)
class CorrelationChoices:
    """arithmetic of CC and SCD: "real", or "saturating" where a difference below 0 becomes 0."""

    arithmetic: Literal["real", "saturating"] = "real"


@dataclass(frozen=True)
class MeanSquaredErrorChoices:
    """full_scale: the value of white; 1 divides the error by 255²."""

    full_scale: float = 255.0


@dataclass(frozen=True)
class PeakChoices:
    """PSNR. peak: the value squared above the error, or None for the maximum of the fused image.

    error: the convention's MSE, or the quantity that VIFB calls RMSE, √(Σ squares) / (H·W).
    """

    peak: float | None = 255.0
    error: Literal["MSE", "RMSE"] = "MSE"


@dataclass(frozen=True)
class EdgePreservationChoices:
    """Qabf. white: value of white where equal gradients are taken for their own ratio."""

    white: float = 255.0


@dataclass(frozen=True)
class ArtefactChoices:
    """Nabf. faint: weight of gradients below the threshold.

    order: which image is taken for (fused, infrared, visible).
    """

    faint: float = 0.001
    order: tuple[str, str, str] = ("fused", "infrared", "visible")


@dataclass(frozen=True)
class Convention:
    """One evaluator's choices for every metric; the defaults are those of `standard`.

    origin: whose numbers it gives. metrics: the names that it defines.
    reading: rule of `bench.metrics.luma`, or "channels": every metric of R, G and B, averaged.
    side_by_side: with "channels", metrics that see the three planes as one image of width 3W.
    """

    name: str
    origin: str
    metrics: tuple[str, ...] = ()
    reading: Reading = "integer"
    side_by_side: tuple[str, ...] = ()
    entropy: EntropyChoices = field(default_factory=EntropyChoices)
    mutual_information: MutualInformationChoices = field(default_factory=MutualInformationChoices)
    average_gradient: AverageGradientChoices = field(default_factory=AverageGradientChoices)
    standard_deviation: StandardDeviationChoices = field(default_factory=StandardDeviationChoices)
    spatial_frequency: SpatialFrequencyChoices = field(default_factory=SpatialFrequencyChoices)
    vif: VisualInformationFidelityChoices = field(default_factory=VisualInformationFidelityChoices)
    ssim: StructuralSimilarityChoices = field(default_factory=StructuralSimilarityChoices)
    ms_ssim: MultiScaleSimilarityChoices = field(default_factory=MultiScaleSimilarityChoices)
    correlation: CorrelationChoices = field(default_factory=CorrelationChoices)
    mse: MeanSquaredErrorChoices = field(default_factory=MeanSquaredErrorChoices)
    psnr: PeakChoices = field(default_factory=PeakChoices)
    qabf: EdgePreservationChoices = field(default_factory=EdgePreservationChoices)
    nabf: ArtefactChoices = field(default_factory=ArtefactChoices)


def combine(infrared: Tensor, visible: Tensor, combination: Combination) -> Tensor:
    """The two sources' terms as one number."""
    total = infrared + visible
    return total if combination == "sum" else total / 2
