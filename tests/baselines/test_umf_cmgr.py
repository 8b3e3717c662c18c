"""UMF-CMGR's fusion network, saliency maps and loss against the authors' own code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.umf_cmgr import (
    CODE,
    METHOD,
    LossOptions,
    fusion_loss,
    infrared_weight,
    multi_scale_ssim,
    saliency_map,
)
from bench.methods.contract import TrainingBatch
from bench.methods.terms import LAPLACIAN_8, filtered
from tests.baselines.rule_weights import apply_rule, waves


def unit(levels: np.ndarray) -> Tensor:
    return torch.from_numpy(levels).float() / 255


@pytest.mark.parametrize("case", ["real64x80", "real37x53", "gen2x32x40"])
def test_equals_the_authors_network(shared: Path, case: str) -> None:
    golden = np.load(shared / "oracles" / "umf-cmgr" / f"rule_{case}.npz")
    network = apply_rule(METHOD.build())
    with torch.inference_mode():
        fused = network(torch.from_numpy(golden["vi"]), torch.from_numpy(golden["ir"])).numpy()
    assert np.abs(fused - golden["out"]).max() <= 1e-6
    stored = np.clip(np.rint(fused * 255), 0, 255).astype(np.uint8)
    assert (stored == golden["out_u8"]).all()


def test_the_state_dict_is_that_of_the_authors(shared: Path) -> None:
    keys = json.loads((shared / "oracles" / "umf-cmgr" / "keys.json").read_text())
    state = METHOD.build().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == {
        key: entry["shape"] for key, entry in keys.items()
    }
    assert sum(value.numel() for value in state.values()) == 629_253


def test_saliency_equals_the_authors_maps(shared: Path) -> None:
    golden = np.load(shared / "oracles" / "umf-cmgr" / "saliency_real37x53.npz")
    visible, infrared = unit(golden["vi_u8"])[None, None], unit(golden["ir_u8"])[None, None]
    assert np.abs(saliency_map(visible)[0, 0].numpy() - golden["vsm_vi"]).max() <= 1e-6
    assert np.abs(saliency_map(infrared)[0, 0].numpy() - golden["vsm_ir"]).max() <= 1e-6
    weight = infrared_weight(visible, infrared, "float")[0, 0].numpy()
    assert np.abs(weight - golden["weight_ir"]).max() <= 1e-6
    stored = (infrared_weight(visible, infrared, "8")[0, 0] * 255).round().numpy()
    assert (stored == golden["weight_ir_u8"]).all()


def test_loss_equals_the_authors_terms(shared: Path) -> None:
    golden = np.load(shared / "oracles" / "umf-cmgr" / "losses.npz")
    fused, visible, infrared, weight = (
        unit(golden[name]) for name in ("out_u8", "vi_u8", "ir_u8", "map_ir_u8")
    )
    terms = fusion_loss(fused, visible, infrared, weight, CODE)
    assert terms["total"].item() == pytest.approx(float(golden["total"]), abs=2e-6)
    assert 1 - terms["ms_ssim"].item() == pytest.approx(float(golden["ms_ssim"]), abs=2e-7)
    assert terms["saliency"].item() == pytest.approx(float(golden["l1"]), abs=1e-7)
    assert terms["gradient"].item() == pytest.approx(float(golden["joint_gradient"]), abs=1e-7)
    target = weight * infrared + (1 - weight) * visible
    proper = multi_scale_ssim(fused, target, 1.0).item()
    assert proper == pytest.approx(float(golden["ms_ssim_max_val_1"]), abs=2e-6)
    laplacian = filtered(fused, LAPLACIAN_8, "reflect")[..., ::8, ::8] / 16
    assert np.abs(laplacian.numpy() - golden["laplacian_out"]).max() <= 1e-6


def test_rule_weights_give_the_recorded_numbers() -> None:
    """Recorded when the network agreed with its authors' one on all golden cases."""
    visible, infrared = waves(24, 31)
    network = apply_rule(METHOD.build())
    with torch.inference_mode():
        fused = network(visible, infrared)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (12, 30), (23, 15))]
    assert picked == pytest.approx([0.0502632, -0.0110021, 0.0168363, 0.0199037], abs=1e-6)


def test_loss_gives_the_recorded_numbers() -> None:
    """Recorded when the terms agreed with the authors' ones."""
    visible, infrared = waves(96, 80)
    visible, infrared = (visible * 255).round() / 255, (infrared * 255).round() / 255
    weight = infrared_weight(visible, infrared, "8")
    assert weight[0, 0, 40, 40].item() == pytest.approx(64 / 255, abs=1e-6)
    code = fusion_loss((visible + infrared) / 2, visible, infrared, weight, CODE)
    assert {name: term.item() for name, term in code.items()} == pytest.approx(
        {"total": 1.049188, "ms_ssim": 6e-06, "saliency": 0.034426, "gradient": 0.072131}, abs=2e-6
    )


def test_a_flat_image_is_nowhere_salient() -> None:
    assert saliency_map(torch.full((2, 1, 5, 7), 0.6)).abs().max() == 0
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 1, 2] = 1.0
    # 15 pixels of 0 and one of 255: S(255) = 15 · 255 and S(0) = 255.
    assert saliency_map(image)[0, 0, 1, 2] == 1
    assert saliency_map(image)[0, 0, 0, 0].item() == pytest.approx(1 / 15)


def test_the_papers_reading_differs_from_the_codes() -> None:
    """Both sources in MS-SSIM, the other weights, and the range of the images."""
    paper = LossOptions(saliency=5.0, gradient=20.0, structure_of="sources", data_range=1.0)
    visible, infrared = waves(48, 56)
    weight = infrared_weight(visible, infrared, "float")
    terms = fusion_loss(visible, visible, infrared, weight, paper)
    expected = 1 - multi_scale_ssim(visible, infrared, 1.0)
    assert terms["ms_ssim"].item() == pytest.approx(expected.item(), abs=1e-6)
    weighted = terms["ms_ssim"] + 5 * terms["saliency"] + 20 * terms["gradient"]
    assert terms["total"].item() == pytest.approx(weighted.item(), abs=1e-5)


def test_a_few_steps_of_the_recipe_lower_the_loss() -> None:
    torch.manual_seed(0)
    visible, infrared = waves(32, 32)
    recipe, network = METHOD.recipe, METHOD.build()
    assert recipe is not None
    update = recipe.phases[0].updates[0]
    batch = TrainingBatch((visible * 255).round() / 255, (infrared * 255).round() / 255)
    optimiser = torch.optim.Adam(network.parameters(), lr=update.parts[0].rate(0.5))
    losses = []
    for _ in range(8):
        total = update.loss(network, batch)["total"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(total.item())
    assert losses[-1] < 0.7 * losses[0]
