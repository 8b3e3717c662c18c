"""PSNR, the peak signal-to-noise ratio of the fused image.

PSNR = 10 log10(255² / MSE), MSE the mean of both sources'. +inf where all three images are equal.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from bench.metrics.choices import Convention
from bench.metrics.contract import Metric
from bench.metrics.mean_squared_error import mean_squared_error
from bench.metrics.root_error import root_error


def peak_signal_to_noise(
    fused: Tensor, visible: Tensor, infrared: Tensor, convention: Convention
) -> Mapping[str, Tensor]:
    """PSNR of N×1×H×W luma 0..255."""
    choices = convention.psnr
    measure = root_error if choices.error == "RMSE" else mean_squared_error
    error = measure(fused, visible, infrared, convention)[choices.error]
    peak = fused.flatten(1).amax(1) if choices.peak is None else choices.peak
    return {"PSNR": 10 * (peak**2 / error).log10()}


PEAK_SIGNAL_TO_NOISE = Metric(
    name="PSNR",
    title="peak signal-to-noise ratio",
    columns=("PSNR",),
    direction="higher",
    unit="dB",
    range="0 to infinity",
    smallest=1,
    reference="Wang, Bovik, IEEE Signal Process. Mag. 26(1), 2009",
    function=peak_signal_to_noise,
)
