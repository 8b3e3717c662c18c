"""Hand-checked numbers, edges and invariances of the metrics beyond the six."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.errors import UserError
from bench.metrics.choices import Convention
from bench.metrics.conventions import CONVENTIONS, STANDARD
from bench.metrics.evaluate import evaluate
from bench.metrics.luma import luma
from bench.metrics.registry import DEFAULT, METRICS, find_metrics
from tests.metrics import direct

MORE = tuple(name for name in STANDARD.metrics if name not in DEFAULT)
LIMITS = settings(max_examples=40, deadline=None)
LARGE = direct.images(180, 190)


def scalars(
    *images: np.ndarray, metrics: Sequence[str] = MORE, convention: str = "standard"
) -> dict[str, float]:
    columns = evaluate(*images, metrics=metrics, convention=convention)
    return {name: value.item() for name, value in columns.items()}


@st.composite
def triples(draw: st.DrawFn, low: int = 2, high: int = 255) -> list[np.ndarray]:
    shape = draw(st.integers(low, 14)), draw(st.integers(low, 14))
    levels = st.integers(0, high)
    return [draw(arrays(np.uint8, shape, elements=levels)) for _ in range(3)]


def same(first: dict[str, float], second: dict[str, float]) -> bool:
    return second == pytest.approx(first, rel=1e-9, abs=1e-9, nan_ok=True)


def test_fused_equal_to_both_sources() -> None:
    image = LARGE[1]
    row = scalars(image, image, image)
    assert row["CC"] == pytest.approx(1) and row["MS_SSIM"] == pytest.approx(2)
    assert row["MSE"] == 0 and row["PSNR"] == math.inf
    assert math.isnan(row["SCD"])  # differences are constant
    assert row["Nabf"] == 0
    assert row["VIFF"] == pytest.approx(1, abs=1e-6)
    # Equal gradients are taken for their own ratio, which is at least 1 wherever there is one.
    assert row["Qabf"] == pytest.approx(0.9994 * 0.9879 / (1 + math.exp(-4.4)), abs=1e-3)


def test_two_columns_by_hand() -> None:
    fused = np.array([[10, 20], [10, 20]], dtype=np.uint8)
    visible = np.array([[10, 30], [10, 30]], dtype=np.uint8)
    infrared = np.array([[20, 10], [20, 10]], dtype=np.uint8)
    row = scalars(fused, visible, infrared, metrics=["SF", "CC", "SCD", "MSE", "PSNR"])
    assert row["SF"] == 10
    assert (row["CC_vi"], row["CC_ir"], row["CC"]) == pytest.approx((1, -1, 0))
    assert (row["MSE_vi"], row["MSE_ir"], row["MSE"]) == (50, 100, 75)
    assert row["PSNR"] == pytest.approx(10 * math.log10(65025 / 75))
    assert row["SCD_ir"] == pytest.approx(1)  # F - V falls from 0 to -10, as I does
    assert row["SCD_vi"] == pytest.approx(1)


def test_relations_between_conventions() -> None:
    images = LARGE
    ours = scalars(*images, metrics=("AG", "MI", "MSE", "PSNR", "SSIM", "Qabf"))
    tang = scalars(*images, metrics=("AG", "MSE", "PSNR", "Qabf"), convention="tang-matlab")
    height, width = images[0].shape
    assert tang["AG"] == pytest.approx(ours["AG"] * height * width / ((height - 1) * (width - 1)))
    assert tang["MSE"] == pytest.approx(ours["MSE"] / 255**2)
    assert tang["PSNR"] == pytest.approx(ours["PSNR"] + 20 * math.log10(255))
    assert tang["Qabf"] == ours["Qabf"]
    # Grey images: no channel to average over.
    vifb = scalars(*images, metrics=("MI", "SSIM"), convention="vifb")
    assert vifb["SSIM"] == ours["SSIM"]
    assert vifb["MI"] == pytest.approx(ours["MI"] * math.log(2), rel=1e-12)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("level", [0, 7, 255])
def test_constant_images_have_defined_values_or_nan(convention: str, level: int) -> None:
    metrics = CONVENTIONS[convention].metrics
    flat = np.full((180, 190), level, dtype=np.uint8)
    row = scalars(flat, flat, flat, metrics=metrics, convention=convention)
    undefined = {name.split("_")[0] for name, value in row.items() if math.isnan(value)}
    # 0/0: no variance, no gradient, no information.
    assert undefined <= {"CC", "SCD", "Qabf", "VIF", "NMI", "Nabf", "PSNR"}
    assert undefined >= {"CC", "SCD"} & set(metrics)
    assert abs(row["EN"]) < 1e-6
    if convention == "standard":
        # Zeros around the image are an edge, unless it is black itself.
        assert undefined == {"CC", "SCD", "VIF"} | ({"Qabf"} if level == 0 else set())
        assert row["Nabf"] == row["MSE"] == row["SF"] == 0
        assert row["VIFF"] == pytest.approx(1)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2), (3, 40)])
def test_the_smallest_images_raise_nothing(convention: str, shape: tuple[int, int]) -> None:
    images = [image[: shape[0], : shape[1]] for image in LARGE]
    metrics = CONVENTIONS[convention].metrics
    row = scalars(*images, metrics=metrics, convention=convention)
    for name in metrics:
        if convention == "standard" and min(shape) < METRICS[name].smallest:
            assert math.isnan(row[name]), name
    assert math.isfinite(row["EN"]) and math.isfinite(row["MI"])


def test_one_side_below_and_at_the_smallest() -> None:
    for name in ("MS_SSIM", "VIFF"):
        side = METRICS[name].smallest
        below = scalars(*direct.images(side - 1, side + 9), metrics=[name])
        at = scalars(*direct.images(side, side + 9), metrics=[name])
        assert math.isnan(below[name]) and math.isfinite(at[name])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_16_bit_input_is_refused(convention: str) -> None:
    deep = LARGE[0].astype(np.uint16) * 257
    with pytest.raises(TypeError, match="uint8"):
        evaluate(deep, LARGE[1], LARGE[2], convention=convention)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_memory_layout_changes_no_bit(convention: str) -> None:
    metrics = CONVENTIONS[convention].metrics
    random = np.random.default_rng(1)
    colour = random.integers(0, 256, (50, 60, 3), dtype=np.uint8)
    grey = random.integers(0, 256, (50, 60), dtype=np.uint8)
    expected = evaluate(colour, colour, grey, metrics=metrics, convention=convention)
    planes = np.ascontiguousarray(colour.transpose(2, 0, 1)).transpose(1, 2, 0)
    wide = np.zeros((100, 120), dtype=np.uint8)
    wide[::2, 1::2] = grey
    got = evaluate(
        np.asfortranarray(colour), planes, wide[::2, 1::2], metrics=metrics, convention=convention
    )
    for name, value in expected.items():
        assert torch.equal(value.nan_to_num(), got[name].nan_to_num()), name


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_no_convention_lends_a_metric(convention: str) -> None:
    images = direct.images(48, 50)
    defined = CONVENTIONS[convention].metrics
    for name in METRICS:
        if name in defined:
            assert name in evaluate(*images, metrics=[name], convention=convention)
        else:
            with pytest.raises(
                UserError, match=f"'{convention}' does not define {name}; it has EN"
            ):
                evaluate(*images, metrics=[name], convention=convention)
    default = [metric.name for metric in find_metrics(None, CONVENTIONS[convention])]
    assert default == [name for name in DEFAULT if name in defined]


def test_without_a_choice_a_record_is_standard() -> None:
    bare = Convention(name="bare", origin="test")
    batch = [torch.from_numpy(image).double()[None, None] for image in LARGE]
    for name in STANDARD.metrics:
        ours, theirs = (METRICS[name].function(*batch, record) for record in (STANDARD, bare))
        assert all(torch.equal(ours[column], theirs[column]) for column in ours)


def test_vifb_averages_the_channels_and_joins_them_for_sf() -> None:
    random = np.random.default_rng(2)
    fused, visible = random.integers(0, 256, (2, 30, 40, 3), dtype=np.uint8)
    infrared = random.integers(0, 256, (30, 40), dtype=np.uint8)
    metrics = CONVENTIONS["vifb"].metrics
    row = scalars(fused, visible, infrared, metrics=metrics, convention="vifb")
    single = [
        scalars(fused[..., k], visible[..., k], infrared, metrics=metrics, convention="vifb")
        for k in range(3)
    ]
    for name in row:
        if name != "SF":
            assert row[name] == pytest.approx(np.mean([s[name] for s in single]), rel=1e-12), name
    wide = np.concatenate([fused[..., k] for k in range(3)], axis=1)
    assert row["SF"] == scalars(wide, wide, wide, metrics=["SF"], convention="vifb")["SF"]
    # A grey fused image meets each channel of a colour source.
    grey = scalars(infrared, visible, infrared, metrics=metrics, convention="vifb")
    pairs = [
        scalars(infrared, visible[..., k], infrared, metrics=metrics, convention="vifb")
        for k in range(3)
    ]
    assert grey["MI_vi"] == pytest.approx(np.mean([p["MI_vi"] for p in pairs]), rel=1e-12)


def test_luma_rules_differ_by_one_level_at_most() -> None:
    grid = torch.cartesian_prod(*[torch.arange(0, 256, 5)] * 3).to(torch.uint8)
    image = grid.t().reshape(1, 3, 1, -1)
    for rule in ("pillow", "matlab"):
        distance = (luma(image, rule).int() - luma(image).int()).abs()
        assert distance.max() == 1 and distance.double().mean() < 0.02
    with pytest.raises(ValueError, match="planes"):
        luma(image, "channels")


@LIMITS
@given(triples())
def test_ranges(images: list[np.ndarray]) -> None:
    row = scalars(*images)
    bounds = {
        "SF": (0, 361),
        "CC": (-1, 1),
        "SCD": (-2, 2),
        "MSE": (0, 65025),
        "PSNR": (0, math.inf),
        "Qabf": (0, 1),
        "Nabf": (0, 1),
    }
    for name, (low, high) in bounds.items():
        assert math.isnan(row[name]) or low - 1e-9 <= row[name] <= high + 1e-9, name


@LIMITS
@given(triples(), st.integers(0, 2**32 - 1))
def test_permuting_pixels_keeps_what_has_no_neighbours(images: list[np.ndarray], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(images[0].size)
    shuffled = [image.ravel()[order].reshape(image.shape) for image in images]
    metrics = ("CC", "SCD", "MSE", "PSNR")
    assert same(scalars(*images, metrics=metrics), scalars(*shuffled, metrics=metrics))


@LIMITS
@given(triples(high=200), st.integers(0, 55))
def test_adding_a_constant_to_all_keeps_differences(images: list[np.ndarray], level: int) -> None:
    brighter = [image + np.uint8(level) for image in images]
    metrics = ("SF", "CC", "SCD", "MSE", "PSNR", "Nabf")
    assert same(scalars(*images, metrics=metrics), scalars(*brighter, metrics=metrics))


@LIMITS
@given(triples())
def test_exchanging_the_sources_exchanges_the_terms(images: list[np.ndarray]) -> None:
    fused, visible, infrared = images
    metrics = [name for name in MORE if name != "VIFF"]
    forth = scalars(fused, visible, infrared, metrics=metrics)
    back = scalars(fused, infrared, visible, metrics=metrics)
    swap = {"ir": "vi", "vi": "ir"}
    renamed = {
        "_".join([*name.split("_")[:-1], swap[name.split("_")[-1]]])
        if name.split("_")[-1] in swap
        else name: value
        for name, value in back.items()
    }
    assert same(forth, renamed)


@LIMITS
@given(triples())
def test_mirroring_keeps_every_metric_without_halving(images: list[np.ndarray]) -> None:
    # Not Qabf: its angle is +90° where the horizontal gradient is zero, whatever the sign.
    metrics = ("SF", "CC", "SCD", "MSE", "PSNR")
    assert same(
        scalars(*images, metrics=metrics),
        scalars(*[image[::-1, ::-1] for image in images], metrics=metrics),
    )


@LIMITS
@given(triples(high=127))
def test_doubling_the_contrast(images: list[np.ndarray]) -> None:
    metrics = ("SF", "CC", "SCD", "MSE")
    once = scalars(*images, metrics=metrics)
    twice = scalars(*[image * np.uint8(2) for image in images], metrics=metrics)
    assert twice["SF"] == pytest.approx(2 * once["SF"], rel=1e-12)
    assert twice["MSE"] == pytest.approx(4 * once["MSE"], rel=1e-12)
    for name in ("CC", "SCD"):
        assert twice[name] == pytest.approx(once[name], rel=1e-9, abs=1e-9, nan_ok=True)


@LIMITS
@given(triples())
def test_merging_the_top_levels_only_adds_shared_information(images: list[np.ndarray]) -> None:
    ours = scalars(*images, metrics=["MI"])["MI"]
    joint = scalars(*images, metrics=["MI"], convention="tang-matlab")["MI"]
    both = scalars(*images, metrics=["MI"], convention="thfylsty")["MI"]
    assert both - 1e-9 <= ours <= joint + 1e-9
