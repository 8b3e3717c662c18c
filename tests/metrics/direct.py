"""The `standard` metrics once more, slow and direct: 2-D windows, loops, numpy and scipy only.

Written from the definitions, shares nothing with `bench.metrics`; and the images it is used on,
made by integer arithmetic so that no library's random numbers are part of the golden values.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import correlate2d


def images(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(fused, visible, infrared), uint8 H×W: ramps, a disc, and a little hash noise."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    noise = (x * 7919 + y * 104729 + x * y * 31) % 23
    disc = ((x - width // 3) ** 2 + (y - height // 2) ** 2 < (height // 4) ** 2).astype(np.int64)
    visible = (40 + x * 130 // width + noise + 20 * ((x // 5 + y // 7) % 2)) % 256
    infrared = (20 + y * 60 // height + 150 * disc + noise // 4) % 256
    fused = (visible * 3 + infrared * 2) // 5
    return tuple(image.astype(np.uint8) for image in (fused, visible, infrared))


def gaussian(size: int, sigma: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    window = np.exp(-(x * x + y * y) / (2 * sigma * sigma))
    return window / window.sum()


def entropy(image: np.ndarray) -> float:
    shares = [np.mean(image == level) for level in np.unique(image)]
    return float(-sum(p * np.log2(p) for p in shares))


def mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    total = 0.0
    for a in np.unique(first):
        for b in np.unique(second[first == a]):
            both = np.mean((first == a) & (second == b))
            total += both * np.log2(both / (np.mean(first == a) * np.mean(second == b)))
    return float(total)


def average_gradient(image: np.ndarray) -> float:
    down, right = np.gradient(image.astype(np.float64))
    return float(np.mean(np.sqrt((down**2 + right**2) / 2)))


def standard_deviation(image: np.ndarray) -> float:
    return float(image.astype(np.float64).std())


def vif(reference: np.ndarray, distorted: np.ndarray) -> float:
    if min(reference.shape) < 41:
        return float("nan")
    r, d = reference.astype(np.float64), distorted.astype(np.float64)
    numerator = denominator = 0.0
    for scale in (1, 2, 3, 4):
        size = 2 ** (5 - scale) + 1
        window = gaussian(size, size / 5)
        if scale > 1:
            r = correlate2d(r, window, "valid")[::2, ::2]
            d = correlate2d(d, window, "valid")[::2, ::2]
        m1, m2 = correlate2d(r, window, "valid"), correlate2d(d, window, "valid")
        v1 = np.maximum(correlate2d(r * r, window, "valid") - m1 * m1, 0)
        v2 = np.maximum(correlate2d(d * d, window, "valid") - m2 * m2, 0)
        covariance = correlate2d(r * d, window, "valid") - m1 * m2
        g = covariance / (v1 + 1e-10)
        sv = v2 - g * covariance
        low = v1 < 1e-10
        g[low], sv[low], v1[low] = 0, v2[low], 0
        low = v2 < 1e-10
        g[low], sv[low] = 0, 0
        low = g < 0
        sv[low], g[low] = v2[low], 0
        sv[sv <= 1e-10] = 1e-10
        numerator += np.log(1 + g * g * v1 / (sv + 2)).sum()
        denominator += np.log(1 + v1 / 2).sum()
    return float(numerator / denominator) if denominator else float("nan")


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    if min(first.shape) < 11:
        return float("nan")
    x, y = first.astype(np.float64), second.astype(np.float64)
    window = gaussian(11, 1.5)
    m1, m2 = correlate2d(x, window, "valid"), correlate2d(y, window, "valid")
    v1 = correlate2d(x * x, window, "valid") - m1 * m1
    v2 = correlate2d(y * y, window, "valid") - m2 * m2
    c = correlate2d(x * y, window, "valid") - m1 * m2
    top = (2 * m1 * m2 + 6.5025) * (2 * c + 58.5225)
    return float(np.mean(top / ((m1 * m1 + m2 * m2 + 6.5025) * (v1 + v2 + 58.5225))))


def evaluate(fused: np.ndarray, visible: np.ndarray, infrared: np.ndarray) -> dict[str, float]:
    """All columns of the six metrics, from grey uint8 H×W images."""
    row = {"EN": entropy(fused)}
    row["MI_ir"] = mutual_information(fused, infrared)
    row["MI_vi"] = mutual_information(fused, visible)
    row["MI"] = row["MI_ir"] + row["MI_vi"]
    row["AG"] = average_gradient(fused)
    row["SD"] = standard_deviation(fused)
    row["VIF_ir"] = vif(infrared, fused)
    row["VIF_vi"] = vif(visible, fused)
    row["VIF"] = row["VIF_ir"] + row["VIF_vi"]
    row["SSIM_ir"] = ssim(fused, infrared)
    row["SSIM_vi"] = ssim(fused, visible)
    row["SSIM"] = row["SSIM_ir"] + row["SSIM_vi"]
    return row
