"""MFIFusion's re-implementation against its sheet's evaluation, and the properties it promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from baselines.mfifusion import (
    METHOD,
    Fusion,
    LossOptions,
    activity,
    encoded,
    fusion_loss,
    fusion_terms,
    intensity_target,
    reconstruction_loss,
)
from bench.methods.contract import TrainingBatch
from bench.training.updates import iterate, make_optimisers
from tests.baselines.rule_weights import apply_rule, waves

NETWORK = [0.4827355, 0.4802226, 0.4869459, 0.4844351]
STAGE_1 = {
    "total": 10.989635,
    "visible": 2.52052,
    "infrared": 2.50813,
    "decomposition": 0.006264,
    "gradient": 0.092607,
}
STAGE_2 = {
    "total": 24.683634,
    "intensity": 0.229979,
    "gradient": 2.250403,
    "structure": 0.974184,
    "decomposition": 0.006264,
}


def rule_made() -> nn.Module:
    """The oracle's weights: PReLU slopes follow the rule of biases, 0.05 a instead of 1 + 0.1 a."""
    network = apply_rule(METHOD.build())
    slopes = [module.weight for module in network.modules() if isinstance(module, nn.PReLU)]
    assert len(slopes) == 5
    with torch.no_grad():
        for slope in slopes:
            slope.copy_((slope - 1) / 2)
    return network


@pytest.mark.parametrize("case", ["tno18_64x80", "gen_37x45"])
def test_equals_the_sheets_evaluation(shared: Path, case: str) -> None:
    golden = np.load(shared / "oracles" / "mfifusion" / f"{case}.npz")
    network = rule_made()
    visible, infrared = torch.from_numpy(golden["vi"]), torch.from_numpy(golden["ir"])
    with torch.inference_mode():
        of_visible, of_infrared = network.encoder(visible), network.encoder(infrared)
        fused = network.fusion(of_visible, of_infrared)
        maps = {
            "vi_injected": network.encoder.levels(visible)[2],
            "vi_base": of_visible.base,
            "ir_detail": of_infrared.detail,
            "fused_level1": fused.level1,
            "base_weight_ir": network.fusion.base_weight(of_visible.base, of_infrared.base),
            "fused_base": fused.base,
            "fused_detail": fused.detail,
        }
        out = network(visible, infrared).numpy()
        reconstructed = network.decoder(of_visible).numpy()
    for name, features in maps.items():
        picked = features[:, ::8, ::4, ::4].numpy()
        assert np.abs(picked - golden[f"{name}_sub"]).max() <= 2e-6, name
    assert np.abs(out - golden["out"]).max() <= 5e-7
    assert np.abs(reconstructed - golden["recon_vi"]).max() <= 5e-7


def test_the_state_dict_is_that_of_the_sheet(shared: Path) -> None:
    keys = json.loads((shared / "oracles" / "mfifusion" / "keys.json").read_text())
    state = METHOD.build().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == {
        key: entry["shape"] for key, entry in keys.items()
    }


def test_parameters() -> None:
    network, without = METHOD.build(), METHOD.variants["no-injection"]()
    assert sum(p.numel() for p in network.parameters()) == 328_287
    assert sum(p.numel() for p in without.parameters()) == 328_287 - 2 * (1_122 + 4_096)


def test_the_card_says_that_it_is_not_the_authors_network() -> None:
    words = "re-implementation after the abstract, not the authors' network"
    assert any(words in line for line in METHOD.card.settled)


@pytest.mark.parametrize("name", ["full", "no-injection"])
def test_equal_sources_give_their_own_reconstruction(name: str) -> None:
    """Every fusion rule is a convex combination."""
    torch.manual_seed(0)
    network = METHOD.variants.get(name, METHOD.build)().eval()
    image, _ = waves(20, 27)
    with torch.inference_mode():
        fused = network(image, image)
        reconstructed = network.decoder(network.encoder(image))
    assert (fused - reconstructed).abs().max() <= 1e-6
    assert reconstructed.std() > 1e-3


def test_fused_features_lie_between_the_sources() -> None:
    network = rule_made()
    with torch.inference_mode():
        visible, infrared = (network.encoder(image) for image in waves(20, 27))
        fused = network.fusion(visible, infrared)
    for one, other, result in zip(visible, infrared, fused, strict=True):
        assert (result <= torch.maximum(one, other) + 1e-6).all()
        assert (result >= torch.minimum(one, other) - 1e-6).all()
        assert (one - other).abs().max() > 0.01


def test_the_detail_of_a_flat_source_is_left_out() -> None:
    """Far from any activity of the visible detail the infrared detail is kept as it is."""
    torch.manual_seed(0)
    network = METHOD.build().eval()
    with torch.inference_mode():
        features = network.encoder(waves(20, 27)[0])
        flat = features._replace(detail=torch.zeros_like(features.detail))
        fused = network.fusion(flat, features)
    assert torch.allclose(fused.detail, features.detail, atol=1e-6)
    lonely = torch.zeros(1, 64, 5, 5)
    lonely[0, 3, 0, 0] = -9.0
    # The corner repeats itself beyond the border: 4 of the 9 pixels of its window.
    assert activity(lonely)[0, 0, 0, 0].item() == pytest.approx(4.0)


def test_the_intensity_target_follows_the_salient_infrared() -> None:
    visible = torch.full((1, 1, 64, 64), 0.5)
    infrared = torch.full((1, 1, 64, 64), 0.1)
    infrared[..., 30:34, 30:34] = 1.0
    target = intensity_target(visible, infrared, LossOptions())[0, 0]
    # Flat infrared is salient by sigmoid(0) = 1/2: between the mean 0.3 and the maximum 0.5.
    assert target[5, 5].item() == pytest.approx(0.4, abs=1e-6)
    local = (16 * 1.0 + (31**2 - 16) * 0.1) / 31**2
    salient = 1 / (1 + np.exp(-8 * (1.0 - local)))
    assert target[31, 31].item() == pytest.approx(0.75 + 0.25 * salient, abs=1e-6)
    brighter = intensity_target(visible, infrared, LossOptions(intensity="max"))
    assert torch.equal(brighter, torch.maximum(visible, infrared))


def test_rule_weights_give_the_recorded_numbers() -> None:
    """Recorded when the network agreed with the sheet's evaluation on all golden cases."""
    visible, infrared = waves(24, 31)
    with torch.inference_mode():
        fused = rule_made()(visible, infrared)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (12, 30), (23, 15))]
    assert picked == pytest.approx(NETWORK, abs=1e-6)


def test_losses_give_the_recorded_numbers() -> None:
    """Recorded when the shared terms agreed with CDDFuse's published ones."""
    batch = TrainingBatch(*waves(24, 31))
    network = rule_made()
    with torch.inference_mode():
        first = reconstruction_loss(network, batch)
        second = fusion_loss(LossOptions())(network, batch)
    assert {name: term.item() for name, term in first.items()} == pytest.approx(STAGE_1, abs=1e-5)
    assert {name: term.item() for name, term in second.items()} == pytest.approx(STAGE_2, abs=1e-5)


def test_the_fusion_terms_of_a_perfect_image_vanish() -> None:
    image, _ = waves(40, 48)
    terms = fusion_terms(image, image, image, LossOptions())
    assert all(term.abs() <= 1e-6 for term in terms.values())


def test_the_recipe_has_two_equal_stages_and_freezes_batch_norm_in_the_second() -> None:
    assert METHOD.recipe is not None
    first, second = METHOD.recipe.phases
    assert first.share == second.share
    parts = {part.prefix: part for part in second.updates[0].parts}
    assert list(parts) == ["encoder.", "decoder.", "fusion."]
    shares = (0.0, 0.16, 0.17, 0.34, 0.5, 0.99)
    rates = [parts["encoder."].rate(share) for share in shares]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5, 1e-4, 1e-4])
    assert parts["fusion."].rate(0.7) == 1e-3
    network = METHOD.build()
    norms = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 7
    assert first.evaluated == () and all(name.startswith(second.evaluated) for name in norms)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in Fusion().modules())


def test_both_modalities_pass_batch_norm_together() -> None:
    """One pass: the statistics of training are those of visible and infrared crops together."""
    torch.manual_seed(0)
    network = METHOD.build().train()
    batch = TrainingBatch(*waves(16, 16))
    encoded(network, batch)
    mean = network.encoder.level1.norm.running_mean
    with torch.no_grad():
        maps = network.encoder.level1.conv(torch.cat([batch.visible, batch.infrared]))
    assert torch.allclose(mean, 0.1 * maps.mean(dim=(0, 2, 3)), atol=1e-6)
    assert network.encoder.level1.norm.num_batches_tracked == 1


@pytest.mark.parametrize("phase", [0, 1])
def test_a_few_steps_of_each_stage_lower_the_loss(phase: int) -> None:
    torch.manual_seed(0)
    assert METHOD.recipe is not None
    network, chosen = METHOD.build(), METHOD.recipe.phases[phase]
    statistics = network.encoder.level2.norm.running_mean.clone()
    batch, optimisers = TrainingBatch(*waves(32, 32)), make_optimisers(network, METHOD.recipe)
    totals = [
        float(iterate(network, chosen, optimisers, phase / 2, batch)["total"]) for _ in range(8)
    ]
    assert totals[-1] < 0.99 * totals[0]
    assert torch.equal(network.encoder.level2.norm.running_mean, statistics) == (phase == 1)
