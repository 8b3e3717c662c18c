"""`standard` against a direct 2-D implementation, hand-checked numbers and the identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.metrics.choices import (
    Convention,
    MutualInformationChoices,
    StandardDeviationChoices,
    VisualInformationFidelityChoices,
)
from bench.metrics.evaluate import evaluate
from bench.metrics.registry import find_metrics
from tests.metrics import direct

# Printed once by tests/metrics/direct.py.
GOLDEN = {
    (64, 80): {
        "EN": 6.812993206509579,
        "MI_ir": 1.5890692935935855,
        "MI_vi": 2.692231914033349,
        "MI": 4.281301207626934,
        "AG": 5.102797420274392,
        "SD": 29.03273505183147,
        "VIF_ir": 0.245281784091588,
        "VIF_vi": 0.3404850349754942,
        "VIF": 0.5857668190670822,
        "SSIM_ir": 0.5473377789413271,
        "SSIM_vi": 0.7875076153488879,
        "SSIM": 1.334845394290215,
    },
    (75, 53): {
        "EN": 6.858188738241698,
        "MI_ir": 1.9271997195119523,
        "MI_vi": 2.9544890787591664,
        "MI": 4.881688798271119,
        "AG": 5.343814629896354,
        "SD": 29.874836928556643,
        "VIF_ir": 0.21738507567331458,
        "VIF_vi": 0.2971698038721694,
        "VIF": 0.514554879545484,
        "SSIM_ir": 0.5466942568400704,
        "SSIM_vi": 0.7682882344932315,
        "SSIM": 1.314982491333302,
    },
}


def scalars(*images: np.ndarray, convention: str = "standard") -> dict[str, float]:
    return {name: v.item() for name, v in evaluate(*images, convention=convention).items()}


@pytest.mark.parametrize("size", GOLDEN)
def test_golden_numbers_of_our_own_images(size: tuple[int, int]) -> None:
    measured = scalars(*direct.images(*size))
    assert list(measured) == list(GOLDEN[size])
    assert measured == pytest.approx(GOLDEN[size], rel=1e-12)


@pytest.mark.parametrize("size", [(41, 41), (64, 80), (75, 53), (42, 160), (40, 60), (11, 12)])
def test_separable_and_direct_implementations_agree(size: tuple[int, int]) -> None:
    images = direct.images(*size)
    expected = direct.evaluate(*images)
    assert scalars(*images) == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


def test_wide_image_is_filtered_in_several_bands_of_rows() -> None:
    images = direct.images(48, 6000)  # more pixels than one band of `row_bands`
    fused, visible, infrared = images
    measured = scalars(*images)
    assert measured["SSIM_ir"] == pytest.approx(direct.ssim(fused, infrared), rel=1e-10)
    assert measured["VIF_vi"] == pytest.approx(direct.vif(visible, fused), abs=1e-9)


def test_two_level_image_by_hand() -> None:
    fused = np.full((8, 8), 10, dtype=np.uint8)
    fused[:, 6:] = 50  # a quarter of the pixels
    other = np.full((8, 8), 7, dtype=np.uint8)
    other[4:] = 9  # half of the pixels, independent of the fused image
    measured = scalars(fused, fused, other)
    assert measured["EN"] == pytest.approx(-(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)))
    assert measured["SD"] == pytest.approx(math.sqrt(0.75 * 0.25) * 40)
    assert measured["AG"] == pytest.approx(2 * 20 / math.sqrt(2) / 8)  # two of eight columns
    assert measured["MI_vi"] == pytest.approx(measured["EN"])
    assert measured["MI_ir"] == pytest.approx(0, abs=1e-12)


def test_fused_equal_to_a_source() -> None:
    _, visible, infrared = direct.images(64, 80)
    measured = scalars(visible, visible, infrared)
    assert measured["MI_vi"] == pytest.approx(measured["EN"], rel=1e-12)
    assert measured["SSIM_vi"] == pytest.approx(1, abs=1e-12)
    assert measured["VIF_vi"] == pytest.approx(1, abs=1e-9)
    assert measured["VIF_vi"] <= 1


def test_ssim_is_symmetric_and_vif_is_not() -> None:
    fused, visible, _ = direct.images(64, 80)
    forth, back = scalars(fused, visible, visible), scalars(visible, fused, fused)
    assert forth["SSIM_vi"] == pytest.approx(back["SSIM_vi"], rel=1e-12)
    assert forth["MI_vi"] == pytest.approx(back["MI_vi"], rel=1e-12)
    assert back["VIF_vi"] - forth["VIF_vi"] > 0.03


@pytest.mark.parametrize("level", [0, 1, 127, 128, 200, 254, 255])
def test_constant_images(level: int) -> None:
    _, visible, _ = direct.images(60, 70)
    flat = np.full_like(visible, level)
    as_source = scalars(visible, visible, flat)
    assert math.isnan(as_source["VIF_ir"])
    assert math.isnan(as_source["VIF"])
    assert as_source["VIF_vi"] == pytest.approx(1, abs=1e-9)
    assert as_source["MI_ir"] == pytest.approx(0, abs=1e-12)
    as_fused = scalars(flat, visible, flat)
    assert as_fused["EN"] == as_fused["AG"] == as_fused["SD"] == 0
    assert as_fused["VIF_vi"] == pytest.approx(0, abs=1e-9)
    assert as_fused["SSIM_ir"] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("side", "undefined"),
    [
        (1, {"AG", "VIF", "SSIM"}),
        (2, {"VIF", "SSIM"}),
        (10, {"VIF", "SSIM"}),
        (11, {"VIF"}),
        (40, {"VIF"}),
        (41, set()),
    ],
)
def test_images_too_small_for_a_metric_give_nan(side: int, undefined: set[str]) -> None:
    measured = scalars(*direct.images(side, 64))
    missing = {name.split("_")[0] for name, value in measured.items() if math.isnan(value)}
    assert missing == undefined


def test_units_and_constants_of_cddfuse_python() -> None:
    images = direct.images(64, 80)
    ours, theirs = scalars(*images), scalars(*images, convention="cddfuse-python")
    for column in ("MI_ir", "MI_vi", "MI"):
        assert theirs[column] == pytest.approx(ours[column] * math.log(2), rel=1e-12)
    for column in ("EN", "AG", "SD", "VIF"):
        assert theirs[column] == ours[column]
    assert theirs["SSIM"] < ours["SSIM"]
    flat = np.full((64, 80), 90, dtype=np.uint8)
    assert scalars(images[0], images[1], flat, convention="cddfuse-python")["VIF_ir"] == 1


def test_results_are_double_precision() -> None:
    assert {v.dtype for v in evaluate(*direct.images(64, 80)).values()} == {torch.float64}


def test_sample_deviation_and_mean_of_the_sources() -> None:
    images = direct.images(64, 80)
    batch = [torch.from_numpy(image).double()[None, None] for image in images]
    choices = Convention(
        name="test",
        origin="test",
        mutual_information=MutualInformationChoices(combination="mean"),
        standard_deviation=StandardDeviationChoices(ddof=1),
        vif=VisualInformationFidelityChoices(combination="mean"),
    )
    row = {
        column: values.item()
        for metric in find_metrics()
        for column, values in metric.function(*batch, choices).items()
    }
    golden = GOLDEN[64, 80]
    assert row["SD"] == pytest.approx(images[0].std(ddof=1), rel=1e-12)
    assert row["MI"] == pytest.approx(golden["MI"] / 2, rel=1e-12)
    assert row["VIF"] == pytest.approx(golden["VIF"] / 2, rel=1e-12)
    assert row["VIF_ir"] == pytest.approx(golden["VIF_ir"], rel=1e-12)
