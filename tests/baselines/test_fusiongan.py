"""FusionGAN against its authors' graph: modes, discriminator, losses, checkpoint, training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.fusiongan import (
    CONTENT,
    GRADIENT,
    METHOD,
    Adversaries,
    Discriminator,
    FusionGAN,
    content_terms,
    discriminator_loss,
    from_tensorflow,
    generator_loss,
    spectral_norm,
    squared_distance,
)
from bench.errors import UserError
from bench.methods.contract import TrainingBatch
from bench.methods.protocol import fuse
from bench.training.updates import iterate, make_optimisers
from tests.baselines.rule_weights import apply_rule, rule, waves

CASES = ["tno18_64x80", "gen_37x45"]
MODES = ["train_graph", "authors_test", "eval_running"]

# Biases before a batch norm do nothing, so nothing moves them but rounding.
IDLE = {f"fusion.generator.layer{n}.conv.bias" for n in range(1, 5)} | {
    f"discriminator.layer{n}.conv.bias" for n in range(2, 5)
}

Golden = Callable[[str], dict[str, np.ndarray]]


@pytest.fixture
def golden(shared: Path) -> Golden:
    return lambda case: dict(np.load(shared / "oracles" / "fusiongan" / f"{case}.npz"))


@pytest.fixture
def keys(shared: Path) -> dict[str, dict]:
    return json.loads((shared / "oracles" / "fusiongan" / "keys.json").read_text())


def signed(images: np.ndarray) -> Tensor:
    """H×W or N×H×W bytes to N×1×H×W in -1..1."""
    floats = torch.from_numpy(images).float().reshape(-1, 1, *images.shape[-2:])
    return (floats - 127.5) / 127.5


def largest_difference(ours: Tensor, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours.detach().numpy() - theirs).max())


def rule_discriminator() -> nn.Module:
    return apply_rule(Discriminator(), name_of=lambda key: f"discriminator.{key}")


def crop() -> TrainingBatch:
    visible, infrared = waves(132, 132)
    return TrainingBatch(2 * visible - 1, 2 * infrared - 1)


def copy_of_state(network: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items()}


def changed(network: nn.Module, before: dict[str, Tensor]) -> set[str]:
    after = network.state_dict()
    return {key for key in before if not torch.equal(before[key], after[key])}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("mode", MODES)
def test_output_equals_the_authors_graph(golden: Golden, case: str, mode: str) -> None:
    values = golden(case)
    network = apply_rule(FusionGAN(mode))
    with torch.inference_mode():
        fused = network(signed(values["vi_u8"]), signed(values["ir_u8"]))
    assert largest_difference(fused, values[f"{mode}_out"]) <= 1e-5


@pytest.mark.parametrize("case", CASES)
def test_authors_output_equals_the_authors_8_bit_image(golden: Golden, case: str) -> None:
    values = golden(case)
    visible = torch.from_numpy(values["vi_u8"]).expand(1, 3, -1, -1)
    infrared = torch.from_numpy(values["ir_u8"])[None, None]
    network = apply_rule(METHOD.variants["authors-test"]())
    stored = fuse(network, METHOD.protocol, visible, infrared, output="authors")[0, 0].numpy()
    assert np.abs(stored.astype(int) - values["authors_test_u8"].astype(int)).max() <= 1
    assert (stored.min(), stored.max()) == (0, 255)


def test_a_training_pass_moves_the_state_as_the_authors_graph_does(golden: Golden) -> None:
    values = golden("gen_37x45")
    network = apply_rule(FusionGAN()).train()
    fused = network(signed(values["vi_u8"]), signed(values["ir_u8"]))
    assert largest_difference(fused, values["train_graph_out"]) <= 1e-5
    state = network.state_dict()
    for n in range(1, 6):
        ours = state[f"generator.layer{n}.sn_u"]
        assert largest_difference(ours, values[f"u{n}_next"]) <= 1e-6
    for n in range(1, 5):
        for name in ("running_mean", "running_var"):
            moved = state[f"generator.layer{n}.bn.{name}"]
            assert largest_difference(moved, values[f"{name}{n}_next"]) <= 1e-6


def test_the_discriminator_equals_the_authors_graph(golden: Golden) -> None:
    values = golden("disc_2x120x120")
    images = signed(values["x_u8"])
    network = rule_discriminator()
    assert largest_difference(network(images), values["d_out_running"]) <= 1e-5
    network.train()
    features = network.features(images)[:, ::8]
    assert largest_difference(features, values["d_act4_sub"]) <= 5e-5
    assert largest_difference(network(images), values["d_out_train"]) <= 1e-5


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_singular_values_equal_the_authors_ones(golden: Golden, n: int) -> None:
    layer = rule_discriminator().get_submodule(f"layer{n}")
    weight, _ = spectral_norm(layer.conv.weight, layer.sn_u)
    sigma = (layer.conv.weight / weight).mean().reshape(1, 1)
    assert largest_difference(sigma, golden("disc_2x120x120")[f"d_sigma{n}"]) <= 1e-5


def test_the_gradient_of_spectral_norm_is_the_whole_one() -> None:
    """Numerical derivatives see u', v and sigma move with the weight; a cut gradient would not."""
    torch.manual_seed(1)
    weight = torch.randn(3, 2, 2, 1, dtype=torch.float64, requires_grad=True)
    u = torch.randn(1, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda w: spectral_norm(w, u), weight)


def test_spectral_norm_reaches_the_largest_singular_value() -> None:
    torch.manual_seed(2)
    weight, u = torch.randn(5, 3, 3, 3), torch.randn(1, 5)
    for _ in range(200):
        normalised, u = spectral_norm(weight, u)
    largest = torch.linalg.matrix_norm(normalised.reshape(5, -1), ord=2)
    assert float(largest) == pytest.approx(1, abs=1e-4)


def test_loss_terms_equal_the_authors_ones(golden: Golden) -> None:
    values = golden("losses")
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in values.items()}
    terms = content_terms(tensors["fused"], tensors["vi"], tensors["ir"])
    assert float(terms["intensity"]) == pytest.approx(float(values["intensity"]), rel=1e-10)
    assert float(terms["gradient"]) == pytest.approx(float(values["gradient"]), rel=1e-10)
    content = terms["intensity"] + GRADIENT * terms["gradient"]
    adversarial = squared_distance(tensors["d_on_fused"], tensors["label_for_g"])
    total = adversarial + CONTENT * content
    assert float(total) == pytest.approx(float(values["g_total"]), rel=1e-10)
    real = squared_distance(tensors["d_on_vis"], tensors["label_vis"])
    fake = squared_distance(tensors["d_on_fused"], tensors["label_fused"])
    assert float(real + fake) == pytest.approx(float(values["d_loss"]), rel=1e-10)


def test_the_state_dict_has_the_sheets_keys_and_shapes(keys: dict[str, dict]) -> None:
    pair = Adversaries(FusionGAN()).state_dict()
    ours = {key.removeprefix("fusion."): list(value.shape) for key, value in pair.items()}
    assert ours == {key: fact["shape"] for key, fact in keys.items()}


def as_tensorflow(keys: dict[str, dict]) -> dict[str, np.ndarray]:
    """The rule's weights under TensorFlow's names, in its order of axes; vectors as they are."""
    variables = {}
    for key, fact in keys.items():
        value = rule(key, torch.empty(fact["shape"])).numpy()
        name = fact["tf"].split()[0]
        variables[name] = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
    return variables


def test_a_tensorflow_checkpoint_gives_the_authors_output(
    golden: Golden, keys: dict[str, dict]
) -> None:
    variables = as_tensorflow(keys)
    assert variables["fusion_model/layer2/w2"].shape == (5, 5, 256, 128)
    values = golden("gen_37x45")
    for mode in MODES:
        network = FusionGAN(mode).eval()
        network.load_state_dict(from_tensorflow(variables), strict=True)
        with torch.inference_mode():
            fused = network(signed(values["vi_u8"]), signed(values["ir_u8"]))
        assert largest_difference(fused, values[f"{mode}_out"]) <= 1e-5


def test_a_foreign_checkpoint_is_refused_with_the_variable_it_lacks() -> None:
    with pytest.raises(UserError, match="no variable fusion_model/layer1/w1"):
        from_tensorflow({"global_step": np.zeros(())})


@pytest.mark.parametrize("mode", MODES)
def test_evaluation_is_per_image_and_changes_nothing(mode: str) -> None:
    visible, infrared = waves(16, 19)
    pair = torch.cat([visible, 0.2 * visible]), torch.cat([infrared, 1 - infrared])
    network = apply_rule(FusionGAN(mode))
    before = copy_of_state(network)
    with torch.inference_mode():
        both = network(*pair)
        singles = torch.cat([network(*(image[n : n + 1] for image in pair)) for n in range(2)])
    assert torch.allclose(both, singles, atol=1e-6)
    assert not torch.allclose(both[0], both[1], atol=1e-3)
    assert changed(network, before) == set()


def test_tiny_images_keep_their_size() -> None:
    visible, infrared = waves(3, 2)
    with torch.inference_mode():
        fused = apply_rule(FusionGAN())(visible, infrared)
    assert fused.shape == (1, 1, 3, 2)
    assert torch.isfinite(fused).all()


@pytest.mark.parametrize(
    ("mode", "recorded"),
    [
        ("train_graph", [0.4880961, 0.1337607, 0.6213449, 0.1755199]),
        ("authors_test", [0.2407821, 0.1290987, 0.2452059, 0.0695508]),
        ("eval_running", [0.1099269, 0.1116582, 0.1579548, 0.1204924]),
    ],
)
def test_rule_weights_give_the_recorded_numbers(mode: str, recorded: list[float]) -> None:
    """Recorded when the network agreed with its authors' graph on all golden cases."""
    visible, infrared = waves(24, 31)
    with torch.inference_mode():
        fused = apply_rule(FusionGAN(mode))(2 * visible - 1, 2 * infrared - 1)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (12, 30), (23, 15))]
    assert picked == pytest.approx(recorded, abs=1e-5)


def test_parameters() -> None:
    count = {
        network: sum(parameter.numel() for parameter in network().parameters())
        for network in (METHOD.build, Discriminator)
    }
    assert count == {METHOD.build: 925_633, Discriminator: 397_953}


def test_both_networks_learn_on_the_recipes_updates() -> None:
    torch.manual_seed(3)
    network = METHOD.recipe.wrap(METHOD.build())
    (phase,) = METHOD.recipe.phases
    optimisers = make_optimisers(network, METHOD.recipe)
    before = copy_of_state(network)
    first, second = (iterate(network, phase, optimisers, 0.0, crop()) for _ in range(2))
    assert float(second["total"]) < 0.6 * float(first["total"])
    assert float(second["gradient"]) < float(first["gradient"])
    assert changed(network, before) >= {name for name, _ in network.named_parameters()} - IDLE


def test_each_loss_moves_only_the_state_that_the_authors_graph_moves() -> None:
    """u of the discriminator follows the visible pass alone; weights move by optimisers only."""
    torch.manual_seed(4)
    network = Adversaries(FusionGAN()).train()
    of_discriminator = {f"discriminator.layer{n}.sn_u" for n in range(1, 5)}
    of_generator = {f"fusion.generator.layer{n}.sn_u" for n in range(1, 5)}
    for loss, expected in (
        (discriminator_loss, of_generator | of_discriminator),
        (generator_loss, of_generator),
    ):
        before = copy_of_state(network)
        with torch.no_grad():
            loss(network, crop())
        moved = changed(network, before)
        assert {key for key in moved if key.endswith("sn_u") and "5" not in key} == expected
        assert "discriminator.layer2.bn.running_mean" in moved
        assert not moved & {name for name, _ in network.named_parameters()}


def test_losses_in_evaluation_change_nothing() -> None:
    network = Adversaries(FusionGAN()).eval()
    before = copy_of_state(network)
    with torch.no_grad():
        for loss in (discriminator_loss, generator_loss):
            assert torch.isfinite(loss(network, crop())["total"])
    assert changed(network, before) == set()


def test_the_labels_are_drawn_in_the_authors_ranges() -> None:
    """Real ones in 0.7..1.2 for the visible crop, fake ones in 0..0.3, then the generator's aim."""
    network, batch = Adversaries(FusionGAN()).eval(), crop()
    with torch.no_grad():
        fused = network.fusion.generator(batch.visible, batch.infrared)
        on_visible = network.discriminator(batch.visible[..., 6:126, 6:126])
        on_fused = network.discriminator(fused)
        torch.manual_seed(5)
        judged, aimed = discriminator_loss(network, batch), generator_loss(network, batch)
    torch.manual_seed(5)
    real, fake, aim = (float(torch.rand(1)) for _ in range(3))
    for ours, score, label in (
        (judged["real"], on_visible, 0.7 + 0.5 * real),
        (judged["fake"], on_fused, 0.3 * fake),
        (aimed["adversarial"], on_fused, 0.7 + 0.5 * aim),
    ):
        assert float(ours) == pytest.approx((float(score) - label) ** 2, rel=1e-4)
