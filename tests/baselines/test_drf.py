"""DRF against its authors' graph: outputs, inner maps, loss, checkpoint, small images, training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.drf import DRF, METHOD, drf_loss, from_tensorflow
from bench.errors import UserError
from bench.methods.contract import TrainingBatch
from bench.methods.protocol import fuse
from bench.training.updates import iterate, make_optimisers
from tests.baselines.rule_weights import apply_rule, rule, waves

CASES = ["tno18_64x80", "gen_55x70"]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return apply_rule(DRF())


@pytest.fixture(scope="module", params=CASES)
def golden(request: pytest.FixtureRequest, shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "oracles" / "drf" / f"{request.param}.npz"))


def cut(image: np.ndarray) -> np.ndarray:
    """To multiples of 4, as the authors do."""
    height, width = (side - side % 4 for side in image.shape)
    return image[:height, :width]


def pair(golden: dict[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    """Visible and infrared, 1×1×H×W in -1..1."""
    visible, infrared = (
        torch.from_numpy(cut(golden[key])).float()[None, None] / 127.5 - 1
        for key in ("vi_u8", "ir_u8")
    )
    return visible, infrared


def largest_difference(ours: Tensor, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours.detach().numpy() - theirs).max())


def test_output_equals_the_authors_graph(network: nn.Module, golden: dict[str, np.ndarray]) -> None:
    with torch.inference_mode():
        fused = network(*pair(golden))
    assert largest_difference(fused, golden["fused"]) <= 2e-6


def test_maps_and_reconstructions_equal_the_authors_graph(
    network: nn.Module, golden: dict[str, np.ndarray]
) -> None:
    visible, infrared = pair(golden)
    with torch.inference_mode():
        shallow_vi, content_vi = network.visible_content(visible)
        shallow_ir, content_ir = network.infrared_content(infrared)
        attribute_vi, attribute_ir = network.attr_vi(visible), network.attr_ir(infrared)
        again_vi = network.decoder(shallow_vi, content_vi, attribute_vi)
        again_ir = network.decoder(shallow_ir, content_ir, attribute_ir + 0.2)
    for ours, name, tolerance in (
        (shallow_vi[:, ::6, ::3, ::3], "vi_shallow_sub", 2e-4),
        (content_vi[:, ::8], "vi_content_sub", 2e-4),
        (content_ir[:, ::8], "ir_content_sub", 2e-4),
        (attribute_vi, "vi_attr", 1e-6),
        (attribute_ir, "ir_attr", 1e-6),
        (again_vi, "recon_vi", 2e-6),
        (again_ir, "recon_ir_plus02", 2e-6),
    ):
        assert largest_difference(ours, golden[name]) <= tolerance, name


def test_the_loss_equals_the_authors_one(network: nn.Module, golden: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        total = drf_loss(network, TrainingBatch(*pair(golden)))["total"]
    assert float(total) == pytest.approx(float(golden["train_loss"]), rel=1e-5)


def test_authors_output_equals_the_authors_8_bit_image(
    network: nn.Module, golden: dict[str, np.ndarray]
) -> None:
    visible = torch.from_numpy(cut(golden["vi_u8"])).expand(1, 3, -1, -1)
    infrared = torch.from_numpy(cut(golden["ir_u8"]))[None, None]
    stored = fuse(network, METHOD.protocol, visible, infrared, output="authors")[0, 0].numpy()
    difference = np.abs(stored.astype(int) - golden["fused_u8_stretched"].astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


@pytest.fixture
def used_keys(shared: Path) -> dict[str, dict]:
    """The sheet's keys without the block that fusion never calls."""
    keys = json.loads((shared / "oracles" / "drf" / "keys.json").read_text())
    return {key: fact for key, fact in keys.items() if not key.startswith("weight_block")}


def test_the_state_dict_has_the_sheets_keys_and_shapes(
    network: nn.Module, used_keys: dict[str, dict]
) -> None:
    ours = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert ours == {key: fact["shape"] for key, fact in used_keys.items()}


def test_a_tensorflow_checkpoint_gives_the_same_weights(
    network: nn.Module, used_keys: dict[str, dict]
) -> None:
    """With the weights that gave the authors' output, under TensorFlow's names and shapes."""
    variables = {}
    for key, fact in used_keys.items():
        value = rule(key, torch.empty(fact["shape"])).numpy()
        value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
        assert list(value.shape) == fact["tf_shape"]
        variables[fact["tf"]] = value
    state = from_tensorflow({**variables, "weight_block/MLP1/dense/kernel": np.zeros((192, 96))})
    expected = network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in state)
    DRF().load_state_dict(state, strict=True)


def test_a_foreign_checkpoint_is_refused_with_the_variable_it_lacks() -> None:
    with pytest.raises(UserError, match="no variable content_encoder_A/resblock0/"):
        from_tensorflow({"global_step": np.zeros(())})


@pytest.mark.parametrize("size", [(37, 53), (8, 61), (5, 3)])
def test_small_images_are_fused_at_their_size(network: nn.Module, size: tuple[int, int]) -> None:
    visible, infrared = ((255 * image).to(torch.uint8) for image in waves(*size))
    fused = fuse(network, METHOD.protocol, visible.expand(-1, 3, -1, -1), infrared)
    assert fused.shape == (1, 3, *size)
    assert fused.float().std() > 1


def test_a_side_below_48_is_extended_by_reflection(network: nn.Module) -> None:
    visible, infrared = (2 * image - 1 for image in waves(40, 52))
    reflected = [
        functional.pad(image, (0, 0, 0, 8), mode="reflect") for image in (visible, infrared)
    ]
    with torch.inference_mode():
        assert torch.equal(network(visible, infrared), network(*reflected)[:, :, :40])


def test_a_batch_equals_its_images(network: nn.Module) -> None:
    visible, infrared = (2 * image - 1 for image in waves(48, 52))
    both = torch.cat([visible, 0.2 * visible]), torch.cat([infrared, -infrared])
    with torch.inference_mode():
        fused = network(*both)
        singles = torch.cat([network(*(image[n : n + 1] for image in both)) for n in range(2)])
    assert torch.allclose(fused, singles, atol=1e-6)


def test_rule_weights_give_the_recorded_numbers(network: nn.Module) -> None:
    """Recorded when the network agreed with its authors' graph on both golden cases."""
    visible, infrared = waves(48, 52)
    with torch.inference_mode():
        fused = network(2 * visible - 1, 2 * infrared - 1)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (12, 50), (47, 30))]
    assert picked == pytest.approx([-0.0852191, -0.0655158, -0.080075, -0.0841012], abs=2e-6)


def test_parameters(network: nn.Module) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == 16_023_145


def test_the_learning_rate_falls_by_a_factor_of_0998_per_20_steps() -> None:
    (part,) = METHOD.recipe.phases[0].updates[0].parts
    assert part.rate(0.0) == 0.001
    assert part.rate(20 / 400) == pytest.approx(0.001 * 0.998)


def test_the_recipes_loss_falls() -> None:
    torch.manual_seed(2)
    batch = TrainingBatch(*(2 * image - 1 for image in waves(48, 48)))
    network, (phase,) = METHOD.build(), METHOD.recipe.phases
    optimisers = make_optimisers(network, METHOD.recipe)
    totals = [float(iterate(network, phase, optimisers, 0.0, batch)["total"]) for _ in range(4)]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < 0.95 * totals[0]
