"""LRRNet and its loss against the authors' own network, weights and terms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from baselines.lrrnet import (
    METHOD,
    PAPER,
    LRRNet,
    Vgg,
    WithPerception,
    fusion_loss,
    gram,
    soft_threshold,
    stretched,
)
from bench.methods import weights
from bench.methods.contract import TrainingBatch
from bench.methods.protocol import fuse
from tests.baselines.rule_weights import apply_rule, waves

CASES = ["real64x80", "real37x53", "gen2x32x40"]


def rule_network() -> LRRNet:
    """Rule-made weights with thresholds by absolute value: T jumps at 0 for negative ones."""
    network = LRRNet()
    apply_rule(network)
    for branch in (network.get_ls1, network.get_ls2):
        branch.lamj.data.abs_()
    return network


@pytest.fixture(scope="module")
def official(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    folder = tmp_path_factory.mktemp("weights")
    weights.import_file(METHOD, shared / "weights" / METHOD.weights[0].file, folder)
    return weights.build(METHOD, weights.resolve(METHOD, folder))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["official", "ruleabs"])
def test_equals_the_authors_network(
    shared: Path, official: nn.Module, kind: str, case: str
) -> None:
    golden = np.load(shared / "oracles" / "lrrnet" / f"{kind}_{case}.npz")
    network = official if kind == "official" else rule_network()
    assert isinstance(network, LRRNet)
    visible, infrared = torch.from_numpy(golden["vi"]), torch.from_numpy(golden["ir"])
    assert np.abs(stretched(visible).numpy() - golden["vi_norm"]).max() <= 1e-7
    with torch.inference_mode():
        raw, fused = network.raw(visible, infrared), network(visible, infrared)
    assert np.abs(raw.numpy() - golden["fuse"]).max() <= 1e-5
    stored = fused.numpy().astype(np.uint8).astype(int)
    difference = np.abs(stored - golden["fuse_u8"].astype(int))
    # Truncation turns the last float bit at a whole level into one level.
    assert difference.max() <= 1
    assert difference.mean() < 1e-3


@pytest.mark.parametrize("case", CASES)
def test_authors_output_equals_the_authors_8_bit_images(
    shared: Path, official: nn.Module, case: str
) -> None:
    """The protocol of `published.csv` that matches the published TNO results: stretch, truncate."""
    golden = np.load(shared / "oracles" / "lrrnet" / f"official_{case}.npz")
    visible, infrared = (torch.from_numpy(golden[k]).to(torch.uint8) for k in ("vi", "ir"))
    stored = fuse(
        official, METHOD.protocol, visible.expand(-1, 3, -1, -1), infrared, output="authors"
    )
    difference = np.abs(stored.numpy().astype(int) - golden["fuse_u8"].astype(int))
    assert difference.max() <= 1
    assert difference.mean() < 1e-3
    assert stored.amax() == 254


def test_the_state_dict_is_that_of_the_authors(shared: Path) -> None:
    keys = json.loads((shared / "oracles" / "lrrnet" / "keys.json").read_text())
    state = METHOD.build().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == {
        key: entry["shape"] for key, entry in keys.items()
    }
    assert sum(value.numel() for value in state.values()) == 49_204


def test_gram_and_loss_equal_the_authors_terms(shared: Path) -> None:
    golden = np.load(shared / "oracles" / "lrrnet" / "gram.npz")
    ours = gram(torch.from_numpy(golden["x"])).numpy()
    assert np.abs(ours - golden["gram"]).max() <= 1e-7
    golden = np.load(shared / "oracles" / "lrrnet" / "losses_rulevgg.npz")
    raw, visible, infrared = (
        torch.from_numpy(golden[name]).float() for name in ("raw", "vi_u8", "ir_u8")
    )
    vgg, fused = apply_rule(Vgg()), stretched(raw) * 255
    means = [tap.double().mean().item() for tap in vgg(fused)]
    taps = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    assert means == pytest.approx([float(golden[f"{tap}_mean"]) for tap in taps], rel=1e-5)
    terms = fusion_loss(fused, visible, infrared, vgg, PAPER)
    theirs = {
        "total": "total",
        "pixel": "pixel",
        "shallow": "feat_vi",
        "middle": "feat_2",
        "deep": "feat_3",
        "gram": "gram",
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: float(golden[key]) for name, key in theirs.items()}, rel=1e-4, abs=0
    )


def test_rule_weights_give_the_recorded_numbers() -> None:
    """Recorded when the network agreed with its authors' one on all golden cases."""
    visible, infrared = waves(24, 31)
    with torch.inference_mode():
        fused = rule_network()(visible * 255, infrared * 255)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (12, 30), (23, 15))]
    assert picked == pytest.approx([200.2609, 185.0302, 137.6222, 158.7095], abs=1e-2)


def test_loss_gives_the_recorded_numbers() -> None:
    """Recorded when the terms agreed with the authors' ones."""
    visible, infrared = (image * 255 for image in waves(32, 48))
    terms = fusion_loss((visible + infrared) / 2, visible, infrared, apply_rule(Vgg()), PAPER)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {
            "total": 29009.95,
            "pixel": 28937.64,
            "shallow": 71.35312,
            "middle": 0.7866463,
            "deep": 0.1625832,
            "gram": 9.079354e-12,
        },
        rel=1e-4,
        abs=0,
    )


def test_soft_threshold_shrinks_and_jumps_for_a_negative_threshold() -> None:
    codes = torch.tensor([-2.0, -0.25, 0.0, 0.25, 2.0]).view(1, 1, 1, 5).repeat(1, 2, 1, 1)
    shrunk = soft_threshold(codes, torch.tensor([[0.5, -0.5]]))
    assert shrunk[0, 0, 0].tolist() == [-1.5, 0, 0, 0, 1.5]
    assert shrunk[0, 1, 0].tolist() == [-2.5, -0.75, 0, 0.75, 2.5]


def test_the_output_fills_the_range_whatever_the_inputs_exposure() -> None:
    visible, infrared = (image * 255 for image in waves(24, 31))
    network = rule_network()
    with torch.inference_mode():
        fused, dim = network(visible, infrared), network(visible / 4 + 20, infrared / 2)
    assert fused.amin() == 0
    assert 254.9 < fused.amax() < 255
    assert (fused - dim).abs().max() < 0.2


def test_the_perceptual_network_is_fixed_and_sees_contrast_only() -> None:
    first, second = Vgg(), Vgg()
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
    assert not any(parameter.requires_grad for parameter in first.parameters())
    image, _ = waves(32, 32)
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    plain, brighter = first(image * 100)[0][inner], first(image * 100 + 80)[0][inner]
    assert (plain - brighter).abs().max() < 1e-3 * plain.abs().max()


def test_a_few_steps_of_the_recipe_lower_the_loss() -> None:
    torch.manual_seed(0)
    recipe, wrapped = METHOD.recipe, WithPerception(METHOD.build())
    assert recipe is not None
    update = recipe.phases[0].updates[0]
    visible, infrared = (image * 255 for image in waves(16, 16))
    batch = TrainingBatch(visible, infrared)
    trained = [
        parameter
        for name, parameter in wrapped.named_parameters()
        if name.startswith(update.parts[0].prefix)
    ]
    optimiser = torch.optim.Adam(
        trained, lr=update.parts[0].rate(0.5), weight_decay=update.parts[0].weight_decay
    )
    losses = []
    for _ in range(5):
        total = update.loss(wrapped, batch)["total"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(total.item())
    assert losses[-1] < 0.9 * losses[0]
