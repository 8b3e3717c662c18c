"""Recipes of several phases, updates and parts: what each one changes, and exact resume."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from baselines.densefuse import METHOD as DENSEFUSE
from baselines.seafusion import METHOD as SEAFUSION
from bench.errors import UserError
from bench.methods.contract import Method, Part, Phase, Recipe, TrainingBatch, Update, poly
from bench.training import TrainingGroup, train
from bench.training.updates import iterate, make_optimisers, phase_index
from tests.training.toy import SIDE, Blend, brighter, method, write_pairs


class Adversary(nn.Module):
    """The fusion network and a discriminator that tells fused images from visible ones."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2), nn.Dropout(0.2), nn.ReLU(), nn.Conv2d(4, 1, 3, 2)
        )

    def judged(self, image: Tensor) -> Tensor:
        """One number per item."""
        return self.discriminator(image).mean((1, 2, 3))


def discriminator_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    assert isinstance(network, Adversary)
    real = network.judged(batch.visible)
    fake = network.judged(network.fusion(batch.visible, batch.infrared))
    return {"total": (real - 1).square().mean() + fake.square().mean()}


def generator_loss(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    assert isinstance(network, Adversary)
    fused = network.fusion(batch.visible, batch.infrared)
    content = functional.mse_loss(fused, torch.maximum(batch.visible, batch.infrared))
    fooled = (network.judged(fused) - 1).square().mean()
    return {"content": content, "fooled": fooled, "total": content + 0.01 * fooled}


def wrapped_brighter(network: nn.Module, batch: TrainingBatch) -> dict[str, Tensor]:
    assert isinstance(network, Adversary)
    return brighter(network.fusion, batch)


JUDGE = Part("discriminator.", poly(1e-3), betas=(0.5, 0.9), weight_decay=1e-3)
FUSE = Part("fusion.", poly(1e-2), clip_norm=1.0)
WARM_UP = Phase((Update(wrapped_brighter, (FUSE,)),), share=2)
DUEL = Phase((Update(discriminator_loss, (JUDGE,), repeat=2), Update(generator_loss, (FUSE,))))


def adversarial(*phases: Phase) -> Method:
    return method(*phases, wrap=Adversary)


def recipe_of(*phases: Phase) -> Recipe:
    return Recipe(phases, crop=SIDE, batch=2, wrap=Adversary)


@pytest.fixture
def network() -> Adversary:
    torch.manual_seed(7)
    return Adversary(Blend())


@pytest.fixture
def batch() -> TrainingBatch:
    generator = torch.Generator().manual_seed(7)
    visible, infrared = torch.rand(2, 2, 1, SIDE, SIDE, generator=generator)
    return TrainingBatch(visible, infrared)


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def run_phase(network: nn.Module, phase: Phase, batch: TrainingBatch) -> dict[str, Tensor]:
    return iterate(network, phase, make_optimisers(network, recipe_of(phase)), 0.0, batch)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_share_done_decides_the_phase() -> None:
    three = recipe_of(*(replace(WARM_UP, share=share) for share in (1, 3, 2)))
    picked = [phase_index(three, iteration / 12) for iteration in range(13)]
    assert picked == [0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]


def test_two_phases_in_one_training(tmp_path: Path, group: TrainingGroup) -> None:
    chosen = adversarial(WARM_UP, DUEL)
    path = train(chosen, [group], out=tmp_path / "out", iterations=6, log_every=1, validate_every=3)
    rows = read(tmp_path / "out" / "log.csv")
    assert [row["phase"] for row in rows] == ["1"] * 4 + ["2"] * 2
    # The second phase's terms are empty in the first, whose rows are kept.
    assert [bool(row["update1.total"]) for row in rows] == [False] * 4 + [True] * 2
    assert all(row["total"] and row["rate.fusion"] for row in rows)
    assert [row["content"] != "" for row in read(tmp_path / "out" / "validation.csv")] == [
        False,
        True,
    ]
    # Only the fusion network is exported.
    assert load_file(path).keys() == Blend().state_dict().keys()
    card = json.loads(path.with_suffix(".json").read_text())
    first, second = card["recipe"]["phases"]
    assert (first["to"], second["from"]) == (pytest.approx(2 / 3, abs=1e-6),) * 2
    assert second["updates"][0]["loss"] == "discriminator_loss"
    assert second["updates"][0]["parts"][0]["betas"] == [0.5, 0.9]
    assert first["updates"][0]["parts"][0]["rate"] == "poly(0.01, 0.9): 0.01 to 0.00372"
    assert card["recipe"]["wrap"] == "Adversary"


def test_an_adversarial_training_learns(tmp_path: Path, group: TrainingGroup) -> None:
    train(adversarial(DUEL), [group], out=tmp_path / "out", iterations=60, log_every=1)
    content = [float(row["content"]) for row in read(tmp_path / "out" / "log.csv")]
    assert sum(content[-5:]) < 0.5 * sum(content[:5])


def test_an_update_leaves_other_parts_alone(network: Adversary, batch: TrainingBatch) -> None:
    judge, fuse = (Phase((update,)) for update in DUEL.updates)
    fusion, discriminator = state_of(network.fusion), state_of(network.discriminator)
    run_phase(network, fuse, batch)
    assert same(state_of(network.discriminator), discriminator)
    assert all(p.grad is None for p in network.discriminator.parameters())
    assert not same(state_of(network.fusion), fusion)
    fusion = state_of(network.fusion)
    run_phase(network, replace(judge, evaluated=("fusion.",)), batch)
    # In eval mode even the running statistics of its batch norm stay.
    assert same(state_of(network.fusion), fusion)
    assert all(p.grad is None for p in network.fusion.parameters())
    assert not same(state_of(network.discriminator), discriminator)
    assert all(p.requires_grad for p in network.parameters())
    run_phase(network, judge, batch)
    assert network.fusion.net[1].num_batches_tracked == fusion["net.1.num_batches_tracked"] + 2


def test_frozen_parameters_stay_frozen(network: Adversary, batch: TrainingBatch) -> None:
    network.fusion.net[0].weight.requires_grad_(False)
    before = network.fusion.net[0].weight.clone()
    run_phase(network, WARM_UP, batch)
    assert torch.equal(network.fusion.net[0].weight, before)
    assert not network.fusion.net[0].weight.requires_grad


def test_gradients_are_clipped_per_part(network: Adversary, batch: TrainingBatch) -> None:
    def norm(module: nn.Module) -> float:
        grads = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
        return float(torch.cat(grads).norm())

    def norms(clip: float | None) -> tuple[float, float]:
        start = state_of(network)
        torch.manual_seed(1)
        parts = (replace(FUSE, clip_norm=clip), replace(JUDGE, clip_norm=None))
        run_phase(network, Phase((Update(generator_loss, parts),)), batch)
        network.load_state_dict(start)
        return norm(network.fusion), norm(network.discriminator)

    free, free_judge = norms(None)
    clipped, judge = norms(free / 4)
    assert clipped == pytest.approx(free / 4, rel=1e-4)
    assert judge == free_judge


def test_a_prefix_has_one_optimiser_with_the_current_parts_settings(
    network: Adversary, batch: TrainingBatch
) -> None:
    later = replace(FUSE, rate=poly(4e-3, 1.0), betas=(0.3, 0.8), weight_decay=0.1)
    phases = (DUEL, Phase((Update(generator_loss, (later,)),)))
    optimisers = make_optimisers(network, recipe_of(*phases))
    assert optimisers.keys() == {"discriminator.", "fusion."}
    iterate(network, phases[0], optimisers, 0.0, batch)
    iterate(network, phases[1], optimisers, 0.75, batch)
    group = optimisers["fusion."].param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-3, (0.3, 0.8), 0.1)
    # The state lives on; two repeats are two steps.
    steps = {
        prefix: {float(state["step"]) for state in optimiser.state.values()}
        for prefix, optimiser in optimisers.items()
    }
    assert steps == {"fusion.": {2.0}, "discriminator.": {2.0}}


class KilledError(Exception):
    """Stands for the kill of a run."""


@pytest.mark.parametrize("killed_at", [3, 5, 6, 7])
def test_resume_across_a_phase_boundary_is_bit_exact(
    tmp_path: Path, group: TrainingGroup, killed_at: int
) -> None:
    """The boundary is after iteration 5; the last checkpoint is one iteration before the kill."""

    def run(name: str, **options: Any) -> Path:
        settings = {"seed": 1, "iterations": 7, "log_every": 1, **options}
        return train(adversarial(WARM_UP, DUEL), [group], out=tmp_path / name, **settings)

    def die(line: str) -> None:
        raise KilledError(line)

    straight = load_file(run("straight"))
    with pytest.raises(KilledError):
        run("broken", checkpoint_seconds=0.0, validate_every=killed_at, report=die)
    checkpoint = torch.load(tmp_path / "broken" / "checkpoint.pt")
    assert checkpoint["iteration"] == killed_at - 1
    assert checkpoint["optimisers"].keys() == {"discriminator.", "fusion."}
    assert same(load_file(run("broken")), straight)
    folders = (tmp_path / "straight", tmp_path / "broken")
    whole, resumed = (torch.load(folder / "checkpoint.pt")["network"] for folder in folders)
    assert same(whole, resumed)
    logs = [
        [{**row, "seconds": "", "pairs_per_second": ""} for row in read(folder / "log.csv")]
        for folder in folders
    ]
    assert [row["phase"] for row in logs[0]] == ["1"] * 5 + ["2"] * 2
    assert logs[0] == logs[1]


def test_another_recipe_is_refused(tmp_path: Path, group: TrainingGroup) -> None:
    train(adversarial(DUEL), [group], out=tmp_path / "out", iterations=1)
    first, second = DUEL.updates
    changed = Phase((replace(first, parts=(replace(JUDGE, betas=(0.5, 0.99)),)), second))
    with pytest.raises(UserError, match="another recipe"):
        train(adversarial(changed), [group], out=tmp_path / "out", iterations=1)


def test_recipes_that_do_not_fit_the_network_are_refused(network: Adversary) -> None:
    absent = Phase((Update(generator_loss, (Part("generator."),)),))
    with pytest.raises(ValueError, match="begins with 'generator.'"):
        make_optimisers(network, recipe_of(absent))
    twice = Phase((Update(generator_loss, (Part(""), Part("fusion."))),))
    with pytest.raises(ValueError, match="share parameters"):
        make_optimisers(network, recipe_of(twice))


@pytest.mark.parametrize("chosen", [DENSEFUSE, SEAFUSION], ids=lambda m: m.name)
def test_recipes_of_baselines_run_through_all_phases(tmp_path: Path, chosen: Method) -> None:
    groups = [
        TrainingGroup("plain", write_pairs(tmp_path / "p", 3, (40, 50))),
        TrainingGroup("masked", write_pairs(tmp_path / "m", 2, (40, 50), masks=True)),
    ]
    path = train(chosen, groups, out=tmp_path / "out", iterations=30, crop=32, batch=2, log_every=1)
    assert chosen.recipe is not None
    phases = {row["phase"] for row in read(tmp_path / "out" / "log.csv")}
    assert phases == {str(n + 1) for n in range(len(chosen.recipe.phases))}
    chosen.build().load_state_dict(load_file(path))
