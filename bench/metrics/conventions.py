"""The choices on which fusion evaluators disagree, as data: a convention is a record, not a branch.

`standard` is the convention of this benchmark. The others reproduce public evaluators, so that
their printed numbers can be compared with ours. How they differ is measured in docs/metrics.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from torch import Tensor

from bench.errors import UserError, did_you_mean

Combination = Literal["sum", "mean"]
LumaRule = Literal["integer", "float32"]


@dataclass(frozen=True)
class MutualInformationChoices:
    """unit: base of the logarithm. combination: of the two sources."""

    unit: Literal["bits", "nats"] = "bits"
    combination: Combination = "sum"


@dataclass(frozen=True)
class AverageGradientChoices:
    """divisor: "pixels" is H·W, "cells" is (H-1)(W-1); the sum is over all H·W pixels."""

    divisor: Literal["pixels", "cells"] = "pixels"


@dataclass(frozen=True)
class StandardDeviationChoices:
    """ddof: 0 divides by H·W, 1 by H·W - 1."""

    ddof: Literal[0, 1] = 0


@dataclass(frozen=True)
class VisualInformationFidelityChoices:
    """noise: variance of the visual noise, in squared grey levels of 0..255.

    undefined: the value printed for a source without any information (a constant image).
    """

    noise: float = 2.0
    undefined: float = math.nan
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
    border: Literal["valid", "replicate"] = "valid"
    data_range: float = 255.0
    covariance: Literal["population", "sample"] = "population"
    precision: Literal["float64", "float32"] = "float64"
    combination: Combination = "sum"


@dataclass(frozen=True)
class Convention:
    """One evaluator's choices for every metric; the defaults are those of `standard`.

    origin: whose numbers it gives. luma: rule of `bench.metrics.luma`.
    """

    name: str
    origin: str
    luma: LumaRule = "integer"
    mutual_information: MutualInformationChoices = field(default_factory=MutualInformationChoices)
    average_gradient: AverageGradientChoices = field(default_factory=AverageGradientChoices)
    standard_deviation: StandardDeviationChoices = field(default_factory=StandardDeviationChoices)
    vif: VisualInformationFidelityChoices = field(default_factory=VisualInformationFidelityChoices)
    ssim: StructuralSimilarityChoices = field(default_factory=StructuralSimilarityChoices)


STANDARD = Convention(name="standard", origin="this benchmark")

# The evaluator calls scikit-image 0.19 on float32 images without a data range, which is then
# that of the type, -1..1; and its luma is a float32 weighted sum, rounded with ties to even.
CDDFUSE_PYTHON = Convention(
    name="cddfuse-python",
    origin="MMIF-CDDFuse, utils/Evaluator.py, with its pinned libraries",
    luma="float32",
    mutual_information=MutualInformationChoices(unit="nats"),
    vif=VisualInformationFidelityChoices(undefined=1.0),
    ssim=StructuralSimilarityChoices(
        window=7, sigma=None, data_range=2.0, covariance="sample", precision="float32"
    ),
)

CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {convention.name: convention for convention in (STANDARD, CDDFUSE_PYTHON)}
)


def find_convention(name: str) -> Convention:
    """The convention of that name."""
    if name not in CONVENTIONS:
        raise UserError(
            f"unknown metric convention '{name}'{did_you_mean(name, CONVENTIONS)}; "
            f"known are {', '.join(CONVENTIONS)}."
        )
    return CONVENTIONS[name]


def combine(infrared: Tensor, visible: Tensor, combination: Combination) -> Tensor:
    """The two sources' terms as one number."""
    total = infrared + visible
    return total if combination == "sum" else total / 2
