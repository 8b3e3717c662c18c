"""MEF-SSIM and FMI: hand-checked numbers, direct re-implementations, edges and batching.

Each of the two is compared with a loop over windows that follows its paper word for word.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.fft
import torch

from bench.errors import UserError
from bench.metrics.evaluate import evaluate
from bench.metrics.feature_mutual_information import cosine_transform, edges, shared_in_windows
from bench.metrics.multi_exposure_similarity import SMALLEST, similarity_map
from bench.metrics.registry import METRICS
from tests.metrics import direct

NAMES = ("MEF_SSIM", "FMI_dct", "FMI_pixel")
Array = npt.NDArray[np.float64]


def scalars(*images: npt.NDArray[np.uint8]) -> dict[str, float]:
    columns = evaluate(*images, metrics=NAMES, convention="tang-matlab")
    return {name: value.item() for name, value in columns.items()}


def flat(level: int, height: int = 50, width: int = 60) -> npt.NDArray[np.uint8]:
    return np.full((height, width), level, dtype=np.uint8)


def desired_similarity(first: Array, second: Array, fused: Array) -> float:
    """MEF-SSIM of one 11×11 window, built pixel by pixel."""
    offset = np.arange(11) - 5
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()
    centred = [source - source.mean() for source in (first, second)]
    lengths = [np.linalg.norm(source) for source in centred]
    agreement = np.linalg.norm(centred[0] + centred[1]) / sum(lengths)
    power = min(math.tan(math.pi / 2 * min(agreement, 1)), 10)
    contrasts = [length + 0.001 for length in lengths]
    weights = [(contrast / 11) ** power for contrast in contrasts]
    structure = sum(
        weight / sum(weights) * source / contrast
        for weight, source, contrast in zip(weights, centred, contrasts, strict=True)
    )
    desired = structure / np.linalg.norm(structure) * max(contrasts)
    deviations = [image - (window * image).sum() for image in (desired, fused)]
    variances = [(window * deviation**2).sum() for deviation in deviations]
    covariance = (window * deviations[0] * deviations[1]).sum()
    constant = (0.03 * 255) ** 2
    return float((2 * covariance + constant) / (sum(variances) + constant))


def entropy(distribution: Array) -> float:
    there = distribution[distribution != 0]
    return float(-(there * np.log2(np.abs(there))).sum())


def information(first: Array, second: Array) -> float:
    """Normalised information of two 3×3 windows that are neither flat nor equal."""
    values = [window.T.ravel() - window.min() for window in (first, second)]
    one, two = (value / value.sum() for value in values)
    places = np.arange(1, 10)
    deviations = [math.sqrt(places**2 @ p - (places @ p) ** 2) for p in (one, two)]
    correlation = np.corrcoef(one, two)[0, 1]
    sums = one.cumsum()[:, None], two.cumsum()[None]
    bound = np.minimum(*sums) if correlation >= 0 else np.maximum(sums[0] + sums[1] - 1, 0)
    weight = correlation * math.prod(deviations) / (bound - sums[0] * sums[1]).sum()
    table = np.diff(np.diff(np.pad(bound, ((1, 0), (1, 0))), axis=0), axis=1)
    joint = weight * table + (1 - weight) * np.outer(one, two)
    marginal = entropy(one) + entropy(two)
    return 2 * (marginal - entropy(joint)) / marginal


def test_equal_images_have_the_highest_value() -> None:
    image = direct.images(57, 83)[0]
    assert scalars(image, image, image) == pytest.approx(
        dict.fromkeys(scalars(image, image, image), 1.0), abs=1e-6
    )


def test_a_window_of_each_is_as_by_the_paper() -> None:
    fused, visible, infrared = (image.astype(float) for image in direct.images(57, 83))
    stack = torch.tensor(np.stack((infrared, visible, fused)))[None]
    similarity = similarity_map(stack)[0]
    shared = shared_in_windows(cosine_transform(stack))[:, 0]
    features = scipy.fft.dctn(np.stack((infrared, visible, fused)), axes=(1, 2), norm="ortho")
    for row, column in ((0, 0), (13, 40), (46, 72)):
        large = (slice(row, row + 11), slice(column, column + 11))
        assert similarity[row, column].item() == pytest.approx(
            desired_similarity(infrared[large], visible[large], fused[large]), rel=1e-9
        )
        small = (slice(row, row + 3), slice(column, column + 3))
        for source in (0, 1):
            assert shared[source, row, column].item() == pytest.approx(
                information(features[2][small], features[source][small]), rel=1e-6, abs=1e-9
            )


def test_transform_is_the_orthonormal_one() -> None:
    image = direct.images(21, 34)[0].astype(float)
    ours = cosine_transform(torch.tensor(image)[None, None])[0, 0].numpy()
    assert np.allclose(ours, scipy.fft.dctn(image, norm="ortho"), rtol=0, atol=1e-9)
    constant = cosine_transform(torch.full((1, 1, 21, 34), 37.0, dtype=torch.float64))
    assert constant.count_nonzero() == 1  # no rounding noise for windows to be scaled to


def test_edges_of_one_pixel_and_of_a_step() -> None:
    image = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    image[..., 2, 2] = 255
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[[1, 2, 2, 3], [2, 1, 3, 2]] = 1
    assert torch.equal(edges(image)[0, 0], expected)
    # Both columns beside a step are equally strong, and neither is above its neighbour.
    step = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    step[..., 6:] = 255
    assert edges(step).count_nonzero() == 0


def test_a_fused_image_that_is_the_clearer_source_is_the_desired_one() -> None:
    clear = direct.images(57, 83)[0]
    row = scalars(clear, clear, flat(90, 57, 83))
    assert row["MEF_SSIM"] == pytest.approx(1, abs=1e-4)
    assert scalars(flat(90, 57, 83), clear, clear)["MEF_SSIM"] < 0.5


def test_mef_ssim_ignores_luminance_and_the_order_of_the_sources() -> None:
    fused, visible, infrared = (image // 2 for image in direct.images(57, 83))
    expected = scalars(fused, visible, infrared)["MEF_SSIM"]
    assert 0 < expected < 1
    brighter = scalars(fused + 100, visible + 20, infrared)["MEF_SSIM"]
    assert brighter == pytest.approx(expected, rel=1e-9)
    assert scalars(fused, infrared, visible)["MEF_SSIM"] == pytest.approx(expected, rel=1e-12)


def test_an_inverted_image_has_no_mef_ssim() -> None:
    image = direct.images(57, 83)[0]
    assert math.isnan(scalars(255 - image, image, image)["MEF_SSIM"])


def test_sources_that_cancel_desire_nothing() -> None:
    image = direct.images(57, 83)[0]
    row = scalars(flat(90, 57, 83), image, 255 - image)
    assert row["MEF_SSIM"] == pytest.approx(1)


@pytest.mark.parametrize("level", [0, 7, 255])
def test_constant_images_are_equal_to_themselves(level: int) -> None:
    row = scalars(flat(level), flat(level), flat(level))
    assert row == pytest.approx(dict.fromkeys(row, 1.0))


def test_constant_images_of_different_levels() -> None:
    row = scalars(flat(128), flat(200), flat(50))
    assert row["MEF_SSIM"] == pytest.approx(1)  # there is no structure to be lost
    assert row["FMI_pixel"] == 1  # and there are no edges
    # All windows but the first are equal; in that, the one coefficient has no information.
    assert row["FMI_dct_vi"] == pytest.approx(1 - 1 / (48 * 58))
    assert 0 <= row["FMI_dct_ir"] <= 1


def test_images_too_small_are_nan() -> None:
    assert METRICS["MEF_SSIM"].smallest == SMALLEST
    below, at = (scalars(*direct.images(side, 60)) for side in (SMALLEST - 1, SMALLEST))
    assert math.isnan(below["MEF_SSIM"]) and math.isfinite(at["MEF_SSIM"])
    assert math.isfinite(below["FMI_dct"]) and math.isfinite(below["FMI_pixel"])
    for shape in ((1, 1), (2, 40), (40, 2)):
        assert all(map(math.isnan, scalars(*direct.images(*shape)).values()))
    assert math.isfinite(scalars(*direct.images(3, 3))["FMI_dct"])


def test_values_are_in_range_and_the_mean_of_their_terms() -> None:
    for height, width in ((57, 83), (60, 44)):
        row = scalars(*direct.images(height, width))
        for name, value in row.items():
            assert 0 <= value <= 1, name
        for name in ("FMI_dct", "FMI_pixel"):
            assert row[name] == pytest.approx((row[f"{name}_ir"] + row[f"{name}_vi"]) / 2)


def test_bands_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = direct.images(57, 83)
    whole = scalars(*images)
    monkeypatch.setattr("bench.metrics.gaussian.BAND", 1_000)
    assert scalars(*images) == pytest.approx(whole, rel=1e-12)


def test_a_batch_gives_the_bits_of_single_images() -> None:
    single = [direct.images(57, 83), direct.images(57, 83)[::-1]]
    rows = [scalars(*images) for images in single]
    batch = [torch.tensor(np.stack([images[k] for images in single]))[:, None] for k in range(3)]
    columns = evaluate(*batch, metrics=NAMES, convention="tang-matlab")
    for name, values in columns.items():
        assert values.tolist() == [row[name] for row in rows], name


@pytest.mark.parametrize("name", NAMES)
def test_the_standard_convention_does_not_define_them(name: str) -> None:
    image = flat(1)
    with pytest.raises(UserError, match=f"does not define {name}"):
        evaluate(image, image, image, metrics=[name])
