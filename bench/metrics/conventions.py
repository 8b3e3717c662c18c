"""The named conventions: `standard`, and the public evaluators whose numbers papers print.

A convention is a record of choices, not a branch. How the numbers differ is measured in
docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bench.errors import UserError, did_you_mean
from bench.metrics.choices import (
    ArtefactChoices,
    AverageGradientChoices,
    Convention,
    CorrelationChoices,
    EdgePreservationChoices,
    EntropyChoices,
    MeanSquaredErrorChoices,
    MultiScaleSimilarityChoices,
    MutualInformationChoices,
    PeakChoices,
    SpatialFrequencyChoices,
    StandardDeviationChoices,
    StructuralSimilarityChoices,
    VisualInformationFidelityChoices,
)

STANDARD = Convention(
    name="standard",
    origin="this benchmark",
    metrics=(
        *("EN", "MI", "AG", "SD", "VIF", "SSIM", "SF", "CC", "SCD"),
        *("MSE", "PSNR", "Qabf", "Nabf", "MS_SSIM", "VIFF"),
    ),
)

# The evaluator calls scikit-image 0.19 on float32 images without a data range, which is then
# that of the type, -1..1; and its luma is a float32 weighted sum, rounded with ties to even.
CDDFUSE_PYTHON = Convention(
    name="cddfuse-python",
    origin="MMIF-CDDFuse, utils/Evaluator.py, with its pinned libraries",
    metrics=("EN", "MI", "AG", "SD", "VIF", "SSIM", "SF", "CC", "SCD", "MSE", "PSNR", "Qabf"),
    reading="float32",
    mutual_information=MutualInformationChoices(unit="nats"),
    vif=VisualInformationFidelityChoices(undefined=1.0),
    ssim=StructuralSimilarityChoices(
        window=7, sigma=None, data_range=2.0, covariance="sample", precision="float32"
    ),
    psnr=PeakChoices(peak=None),
)

# The driver hands (infrared, visible, fused) to an Nabf that expects (fused, infrared, visible).
TANG_MATLAB = Convention(
    name="tang-matlab",
    origin="Linfeng-Tang/Evaluation-for-Image-Fusion, MATLAB",
    metrics=(
        *("EN", "MI", "AG", "SD", "VIF", "SSIM", "SF", "CC", "SCD"),
        *("MSE", "PSNR", "Qabf", "Nabf", "MEF_SSIM", "FMI_dct", "FMI_pixel"),
    ),
    reading="matlab",
    mutual_information=MutualInformationChoices(merged="joint"),
    average_gradient=AverageGradientChoices(divisor="cells"),
    ssim=StructuralSimilarityChoices(border="replicate", data_range=1.0, combination="mean"),
    mse=MeanSquaredErrorChoices(full_scale=1.0),
    nabf=ArtefactChoices(order=("infrared", "visible", "fused")),
)

# Its images run to 65025 where the constants of SSIM assume 255, which is a data range of 1.
IVIF_ZOO = Convention(
    name="ivif-zoo",
    origin="RollingPlain/IVIF_ZOO, PyTorch; the original computes in float32",
    metrics=(
        *("EN", "MI", "AG", "SD", "VIF", "SSIM", "SF", "CC", "SCD"),
        *("MSE", "PSNR", "Qabf", "Nabf", "MS_SSIM", "NMI"),
    ),
    reading="pillow",
    entropy=EntropyChoices(offset=1e-7),
    vif=VisualInformationFidelityChoices(border="zero", window="stretched"),
    ssim=StructuralSimilarityChoices(data_range=1.0),
    ms_ssim=MultiScaleSimilarityChoices(data_range=1.0, odd="zeros", smallest=161),
    mse=MeanSquaredErrorChoices(full_scale=1.0),
    nabf=ArtefactChoices(faint=0.0),
)

VIFB = Convention(
    name="vifb",
    origin="xingchenzhang/VIFB, MATLAB, on lossless fused images",
    metrics=("EN", "MI", "AG", "SD", "SSIM", "SF", "RMSE", "PSNR", "Qabf", "CE", "EI"),
    reading="channels",
    side_by_side=("SF",),
    mutual_information=MutualInformationChoices(unit="nats"),
    average_gradient=AverageGradientChoices(divisor="cells"),
    spatial_frequency=SpatialFrequencyChoices(divisor="pixels"),
    psnr=PeakChoices(error="RMSE"),
    qabf=EdgePreservationChoices(white=65025.0),
)

THFYLSTY = Convention(
    name="thfylsty",
    origin="thfylsty/Objective-evaluation-for-image-fusion, MATLAB",
    metrics=("EN", "MI", "AG", "SD", "SSIM", "SF", "CC", "SCD", "VIFF"),
    reading="matlab",
    mutual_information=MutualInformationChoices(merged="all"),
    average_gradient=AverageGradientChoices(divisor="cells"),
    standard_deviation=StandardDeviationChoices(ddof=1),
    ssim=StructuralSimilarityChoices(border="replicate", combination="mean"),
    spatial_frequency=SpatialFrequencyChoices(divisor="pixels"),
    correlation=CorrelationChoices(arithmetic="saturating"),
)

CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        convention.name: convention
        for convention in (STANDARD, CDDFUSE_PYTHON, TANG_MATLAB, VIFB, IVIF_ZOO, THFYLSTY)
    }
)


def find_convention(name: str) -> Convention:
    """The convention of that name."""
    if name not in CONVENTIONS:
        raise UserError(
            f"unknown metric convention '{name}'{did_you_mean(name, CONVENTIONS)}; "
            f"known are {', '.join(CONVENTIONS)}."
        )
    return CONVENTIONS[name]
