"""DenseFuse's TensorFlow version against golden values, and the loss of the torch port."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from baselines.densefuse import (
    METHOD,
    METHOD_TENSORFLOW,
    DenseFuse,
    multi_scale_similarity,
    reconstruction_loss,
)
from bench.methods import weights
from bench.methods.contract import TrainingBatch
from bench.methods.protocol import fuse
from bench.methods.terms import ssim, ssim_maps
from bench.training.updates import iterate, make_optimisers
from tests.baselines.rule_weights import apply_rule, rule, waves

CASES = ["real64x80", "real37x53", "gen2x32x40"]


@pytest.fixture(scope="module")
def official(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    folder = tmp_path_factory.mktemp("weights")
    file = shared / "weights" / METHOD_TENSORFLOW.weights[0].file
    weights.import_file(METHOD_TENSORFLOW, file, folder)
    return weights.build(METHOD_TENSORFLOW, weights.resolve(METHOD_TENSORFLOW, folder))


@pytest.fixture(scope="module")
def by_rule() -> nn.Module:
    """The golden cases' rule weights belong to new-features-first concatenation: where a layer
    sees dense features, its blocks of 16 input channels are reversed."""
    network = METHOD_TENSORFLOW.build()
    state = {key: rule(key, value) for key, value in network.state_dict().items()}
    for name in ("DB1.denseblock.1.dense_conv", "DB1.denseblock.2.dense_conv", "conv2"):
        key = f"{name}.conv2d.weight"
        state[key] = state[key].unflatten(1, (-1, 16)).flip(1).flatten(1, 2)
    network.load_state_dict(state)
    return network.eval()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["official", "by_rule"])
def test_the_tensorflow_version_equals_the_authors_graph(
    request: pytest.FixtureRequest, shared: Path, kind: str, case: str
) -> None:
    network: nn.Module = request.getfixturevalue(kind)
    name = {"official": "tflambda100", "by_rule": "tfrule"}[kind]
    golden = np.load(shared / "oracles" / "densefuse" / f"{name}_{case}.npz")
    visible, infrared = torch.from_numpy(golden["vi"]), torch.from_numpy(golden["ir"])
    with torch.inference_mode():
        whole = 2 * network(visible, infrared).numpy()
    assert np.abs(whole - golden["out_sum"]).max() <= 1e-5 * np.abs(golden["out_sum"]).max()
    stored = fuse(
        network,
        METHOD_TENSORFLOW.protocol,
        visible.byte().expand(-1, 3, -1, -1),
        infrared.byte(),
        output="authors",
    )
    assert np.array_equal(stored.numpy(), golden["out_sum_stretch_u8"])


@pytest.mark.parametrize("case", CASES)
def test_half_of_the_sum_is_the_mean_of_the_features_but_for_the_biases(
    shared: Path, official: nn.Module, case: str
) -> None:
    assert isinstance(official, DenseFuse)
    golden = np.load(shared / "oracles" / "densefuse" / f"tflambda100_{case}.npz")
    visible, infrared = torch.from_numpy(golden["vi"]), torch.from_numpy(golden["ir"])
    with torch.inference_mode():
        half = official(visible, infrared)
        mean = official.decode((official.encode(visible) + official.encode(infrared)) / 2)
    assert (half.clamp(0, 255).round() - mean.clamp(0, 255).round()).abs().max() <= 1
    # The clipped output has the sources' brightness, where the sum would have twice that.
    assert half.mean().item() == pytest.approx((visible + infrared).mean().item() / 2, rel=0.02)


def test_rule_weights_give_the_recorded_numbers() -> None:
    """Recorded when the network agreed with the authors' graph on all golden cases."""
    visible, infrared = waves(24, 31)
    network = apply_rule(METHOD_TENSORFLOW.build())
    with torch.inference_mode():
        fused = network(visible * 255, infrared * 255)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (12, 30), (23, 15))]
    expected = [0.0329564, 0.286815, 0.8231024, 0.2246443]
    assert picked == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_similarity_equals_the_authors_values(shared: Path) -> None:
    golden = np.load(shared / "oracles" / "densefuse" / "losses.npz")
    output, target = (torch.from_numpy(golden[f"{n}_u8"]).float() for n in ("output", "target"))
    value = multi_scale_similarity(output, target)
    assert value.item() == pytest.approx(float(golden["msssim_normalized"]), abs=5e-6)
    total = (output - target).square().mean() + 100 * (1 - value)
    assert total.item() == pytest.approx(float(golden["total_lambda100"]), rel=1e-6)
    assert ssim(output, target, data_range=255).item() == pytest.approx(
        float(golden["ssim"]), abs=5e-6
    )
    # The structure factor of the TensorFlow version, with its constant for images in 0..1.
    structure = ssim_maps(output.double(), target.double(), c1=1.0, c2=0.03**2)[1]
    assert structure.mean().item() == pytest.approx(float(golden["tf_ssim"]), abs=5e-6)


def waves_batch(side: int) -> TrainingBatch:
    visible, infrared = waves(side, side)
    return TrainingBatch(visible * 255, infrared * 255)


def test_the_loss_gives_the_recorded_numbers() -> None:
    visible, infrared = waves(40, 48)
    batch = TrainingBatch(visible * 255, infrared * 255)
    terms = reconstruction_loss(apply_rule(METHOD.build()), batch)
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"pixel": 20955.7207, "structure": 0.5751355, "total": 21013.2344}, rel=1e-5
    )


def test_a_perfect_reconstruction_costs_nothing() -> None:
    image = waves_batch(128).visible
    assert multi_scale_similarity(image, image).item() == pytest.approx(1.0, abs=1e-6)
    # Flat dark images divide by nothing.
    dark = torch.full_like(image, 3.0).requires_grad_()
    multi_scale_similarity(dark, torch.full_like(image, 4.0)).backward()
    assert dark.grad is not None and torch.isfinite(dark.grad).all()


def test_the_recipe_learns() -> None:
    assert METHOD.recipe is not None
    torch.manual_seed(0)
    network, batch = METHOD.build(), waves_batch(32)
    (phase,) = METHOD.recipe.phases
    optimisers = make_optimisers(network, METHOD.recipe)
    totals = [iterate(network, phase, optimisers, 0.0, batch)["total"].item() for _ in range(40)]
    assert totals[-1] < 0.8 * totals[0]
    assert optimisers[""].param_groups[0]["lr"] == 1e-4
