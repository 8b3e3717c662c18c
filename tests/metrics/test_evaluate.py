"""What `evaluate` accepts, what it refuses, and that batching changes no bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.metrics.conventions import CONVENTIONS, find_convention
from bench.metrics.evaluate import ImageShapeError, evaluate
from bench.metrics.luma import luma
from bench.metrics.registry import DEFAULT, METRICS, find_metrics
from tests.metrics import direct


def random_images(count: int, channels: int, height: int, width: int, seed: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    shape = (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=source)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_batch_gives_the_bits_of_single_images(convention: str) -> None:
    fused, visible = (random_images(3, 3, 57, 83, seed) for seed in (1, 2))
    infrared = random_images(3, 1, 57, 83, 3)
    chosen = find_convention(convention).metrics
    batch = evaluate(fused, visible, infrared, metrics=chosen, convention=convention)
    for i in range(3):
        one = slice(i, i + 1)
        triple = fused[one], visible[one], infrared[one]
        single = evaluate(*triple, metrics=chosen, convention=convention)
        for column, values in batch.items():
            assert torch.equal(values[one].nan_to_num(), single[column].nan_to_num()), column


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_metric_functions_are_batched(convention: str) -> None:
    images = [random_images(2, 1, 57, 83, seed).double() for seed in (4, 5, 6)]
    before = [image.clone() for image in images]
    record = find_convention(convention)
    for metric in find_metrics(record.metrics, record):
        together = metric.function(*images, record)
        assert tuple(together) == metric.columns
        for i in range(2):
            row = metric.function(*(x[i : i + 1] for x in images), record)
            for column in metric.columns:
                alone = row[column].nan_to_num()
                assert torch.equal(together[column][i : i + 1].nan_to_num(), alone), column
    assert all(map(torch.equal, images, before))


def test_columns_and_their_order() -> None:
    images = direct.images(48, 50)
    assert list(evaluate(*images)) == [c for name in DEFAULT for c in METRICS[name].columns]
    assert list(evaluate(*images, metrics=["SD", "MI"])) == ["SD", "MI_ir", "MI_vi", "MI"]
    everything = evaluate(*images)
    for column, value in evaluate(*images, metrics=["SSIM", "EN"]).items():
        assert torch.equal(value, everything[column])


def test_arrays_tensors_and_memory_layouts_are_equivalent() -> None:
    colour = random_images(1, 3, 50, 60, 7)
    grey = random_images(1, 1, 50, 60, 8)
    expected = evaluate(colour, colour, grey)
    array = colour[0].permute(1, 2, 0).contiguous().numpy()
    plane = grey[0, 0].numpy()
    plane.flags.writeable = False
    flipped = np.ascontiguousarray(array[:, ::-1])[:, ::-1]  # negative strides
    last = colour.contiguous(memory_format=torch.channels_last)
    padded = torch.zeros(1, 1, 100, 120, dtype=torch.uint8)
    padded[..., ::2, ::2] = grey
    for other in (
        evaluate(array, flipped, plane),
        evaluate(last, array, padded[..., ::2, ::2]),
    ):
        for column, value in expected.items():
            assert torch.equal(value, other[column]), column


def test_an_empty_batch_has_empty_columns() -> None:
    none = torch.empty(0, 1, 48, 48, dtype=torch.uint8)
    assert {tuple(v.shape) for v in evaluate(none, none, none).values()} == {(0,)}


def test_sizes_that_differ_are_an_error_naming_both() -> None:
    fused, visible, infrared = direct.images(48, 50)
    with pytest.raises(ImageShapeError, match=r"1×48×50 and infrared image 1×47×50"):
        evaluate(fused, visible, infrared[1:])
    with pytest.raises(ImageShapeError, match=r"1×48×50 and visible image 1×48×49"):
        evaluate(fused, visible[:, 1:], infrared)
    two, one = random_images(2, 1, 48, 50, 9), random_images(1, 1, 48, 50, 9)
    with pytest.raises(ImageShapeError, match=r"2×48×50 and visible image 1×48×50"):
        evaluate(two, one, one)


@pytest.mark.parametrize("shape", [(48,), (1, 48, 50), (1, 2, 48, 50), (1, 1, 0, 50)])
def test_tensors_that_are_no_image_batches_are_refused(shape: tuple[int, ...]) -> None:
    image = torch.zeros(shape, dtype=torch.uint8)
    with pytest.raises(ImageShapeError, match="N×1×H×W"):
        evaluate(image, image, image)


def test_arrays_with_alpha_are_refused() -> None:
    image = np.zeros((48, 50, 4), dtype=np.uint8)
    with pytest.raises(ImageShapeError, match=r"\(48, 50, 4\)"):
        evaluate(image, image, image)


def test_only_8_bit_images_are_scored() -> None:
    image = torch.zeros(1, 1, 48, 50)
    with pytest.raises(TypeError, match="uint8"):
        evaluate(image, image, image)


def test_unknown_names_are_answered_with_the_nearest() -> None:
    images = direct.images(48, 50)
    with pytest.raises(UserError, match="did you mean 'SSIM'"):
        evaluate(*images, metrics=["SSIMM"])
    with pytest.raises(UserError, match="did you mean 'standard'"):
        evaluate(*images, convention="standart")


def test_luma_is_exact_for_every_rounding_case() -> None:
    levels = torch.arange(0, 256, 5)
    grid = torch.cartesian_prod(levels, levels, levels).to(torch.uint8)
    image = grid.t().reshape(1, 3, 1, -1)
    red, green, blue = (grid[:, i].long() for i in range(3))
    expected = (299 * red + 587 * green + 114 * blue + 500) // 1000
    assert torch.equal(luma(image).flatten().long(), expected)
    near = luma(image, "float32").flatten().long() - expected
    assert near.abs().max() == 1  # ties go to the even level
    assert (near != 0).float().mean() < 0.01


@pytest.mark.parametrize("rule", ["integer", "float32"])
def test_luma_keeps_grey(rule: str) -> None:
    ramp = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(luma(ramp.expand(1, 3, 16, 16), rule), ramp)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_values_do_not_depend_on_the_number_of_threads(convention: str) -> None:
    """At a size where torch divides its work: 480×640 pixels."""
    images = direct.images(480, 640)
    chosen = find_convention(convention).metrics
    before = torch.get_num_threads()
    try:
        measured = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            measured.append(evaluate(*images, metrics=chosen, convention=convention))
    finally:
        torch.set_num_threads(before)
    for column, value in measured[0].items():
        for other in measured[1:]:
            assert torch.equal(value.nan_to_num(), other[column].nan_to_num()), column
