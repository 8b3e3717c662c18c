"""CDDFuse's network, losses and checkpoint form against the authors' own code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.cddfuse import METHOD
from baselines.cddfuse.loss import (
    correlation,
    decomposition,
    fusion_loss,
    fusion_terms,
    reconstruction_loss,
    reconstruction_terms,
)
from bench.errors import UserError
from bench.methods import weights
from bench.methods.contract import TrainingBatch
from bench.methods.protocol import fuse
from bench.methods.terms import SOBEL_X, SOBEL_Y, derivative_distance, filtered, ssim_loss
from bench.training.updates import iterate, make_optimisers
from tests.baselines.rule_weights import apply_rule, waves

PARTS = {
    "encoder": "DIDF_Encoder",
    "decoder": "DIDF_Decoder",
    "base_fuse": "BaseFuseLayer",
    "detail_fuse": "DetailFuseLayer",
}


NETWORK = [0.5004035, 0.5491205, 0.7040653, 0.5629923]
PHASE_1 = {
    "total": 3.414054,
    "visible": 1.48796,
    "infrared": 1.570768,
    "decomposition": 0.001978,
    "gradient": 0.070274,
}
PHASE_2 = {
    "total": 18.489788,
    "intensity": 0.182894,
    "gradient": 1.830294,
    "decomposition": 0.001978,
}


def rule_made() -> nn.Module:
    """The oracle's weights: temperatures stay at their start value 1."""
    network = METHOD.build()
    ones = [key for key in network.state_dict() if key.endswith((".temperature", ".scale"))]
    assert len(ones) == 10
    return apply_rule(network, keep=ones)


def authors_checkpoint(network: nn.Module, file: Path) -> dict[str, dict[str, Tensor]]:
    """Write the network's weights in the form of the authors' file."""
    content: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS.values()}
    for key, value in network.state_dict().items():
        part, _, name = key.partition(".")
        content[PARTS[part]][f"module.{name}"] = value
    torch.save(content, file)
    return content


@pytest.mark.parametrize("case", ["tno18_64x80", "gen_37x45"])
def test_equals_the_authors_network(shared: Path, case: str) -> None:
    golden = np.load(shared / "oracles" / "cddfuse" / f"{case}.npz")
    network = rule_made()
    visible, infrared = torch.from_numpy(golden["vi"]), torch.from_numpy(golden["ir"])
    with torch.inference_mode():
        of_visible, of_infrared = network.encoder(visible), network.encoder(infrared)
        base, detail = network.fuse_features(of_visible, of_infrared)
        maps = {
            "vi_shallow": network.encoder.shallow(visible),
            "vi_base": of_visible[0],
            "vi_detail": of_visible[1],
            "ir_base": of_infrared[0],
            "ir_detail": of_infrared[1],
            "fused_base": base,
            "fused_detail": detail,
            "reduced": network.decoder.reduce_channel(torch.cat([base, detail], dim=1)),
        }
        fused = network(visible, infrared).numpy()
    for name, features in maps.items():
        picked = features[:, ::8, ::4, ::4].numpy()
        assert np.abs(picked - golden[f"{name}_sub"]).max() <= 2e-6, name
    assert np.abs(fused - golden["out"]).max() <= 5e-7


@pytest.mark.parametrize("case", ["tno18_64x80", "gen_37x45"])
def test_authors_output_is_the_stretched_grey_image(shared: Path, case: str) -> None:
    golden = np.load(shared / "oracles" / "cddfuse" / f"{case}.npz")
    grey = torch.from_numpy(golden["vi_u8"]).expand(1, 3, -1, -1)
    infrared = torch.from_numpy(golden["ir_u8"])[None, None]
    stored = fuse(rule_made(), METHOD.protocol, grey, infrared, output="authors").numpy()
    assert stored.shape[1] == 1 and (stored.min(), stored.max()) == (0, 255)
    assert (stored == np.rint(golden["out_stretched255"])).mean() > 0.999
    assert np.abs(stored - golden["out_stretched255"]).max() < 0.501


def test_the_state_dict_is_that_of_the_authors(shared: Path) -> None:
    keys = json.loads((shared / "oracles" / "cddfuse" / "keys.json").read_text())
    state = METHOD.build().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == {
        key: entry["shape"] for key, entry in keys.items()
    }


def test_parameters() -> None:
    network = METHOD.build()
    counts = {part: sum(p.numel() for p in getattr(network, part).parameters()) for part in PARTS}
    assert counts == {
        "encoder": 599_144,
        "decoder": 207_936,
        "base_fuse": 363_016,
        "detail_fuse": 18_176,
    }


def test_losses_equal_the_authors_terms(shared: Path) -> None:
    file = np.load(shared / "oracles" / "cddfuse" / "losses.npz")
    golden = {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}
    visible, infrared, fused = (golden[name][None, None] for name in ("vi", "ir", "fused"))
    a, b = (golden["base_a"], golden["detail_a"]), (golden["base_b"], golden["detail_b"])
    fusion = fusion_terms(fused, visible, infrared)
    apart = decomposition(a, b)
    reconstruction = reconstruction_terms(visible, fused) + reconstruction_terms(infrared, fused)
    gradient = derivative_distance(visible, fused)
    mine = {
        "cc_base": correlation(a[0], b[0]),
        "cc_detail": correlation(a[1], b[1]),
        "decomposition": apart,
        "fusion_intensity": fusion["intensity"],
        "fusion_gradient": fusion["gradient"],
        "fusion_total": fusion["intensity"] + 10 * fusion["gradient"],
        "ssim_loss_vi_fused": ssim_loss(visible, fused),
        "ssim_loss_ir_fused": ssim_loss(infrared, fused),
        "grad_l1_vi_fused": gradient,
        "phase1_total_if_fused_was_both_reconstructions": (
            reconstruction + 2 * apart + 5 * gradient
        ),
    }
    expected = {name: golden[name].item() for name in mine}
    # The authors' SSIM window is float32, which moves the SSIM terms by 2e-7.
    assert {name: term.item() for name, term in mine.items()} == pytest.approx(expected, abs=2e-6)
    derivatives = torch.cat([filtered(visible, k, "replicate") / 8 for k in (SOBEL_X, SOBEL_Y)], 1)
    assert (derivatives - golden["spatial_gradient_vi"][0]).abs().max() <= 1e-12


def test_rule_weights_give_the_recorded_numbers() -> None:
    """Recorded when the network agreed with its authors' one on all golden cases."""
    visible, infrared = waves(24, 31)
    with torch.inference_mode():
        fused = rule_made()(visible, infrared)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (12, 30), (23, 15))]
    assert picked == pytest.approx(NETWORK, abs=1e-6)


@pytest.mark.parametrize("pixels", [1, 100])
def test_bands_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    """Bands of one row and of three; the other tests' images are one band."""
    visible, infrared = waves(24, 31)
    network = rule_made()
    with torch.inference_mode():
        whole = network(visible, infrared)
        monkeypatch.setattr("baselines.cddfuse.network.BAND", pixels)
        assert (network(visible, infrared) - whole).abs().max() <= 1e-6


def test_losses_give_the_recorded_numbers() -> None:
    """Recorded when the terms agreed with the authors' ones."""
    batch = TrainingBatch(*waves(24, 31))
    network = rule_made()
    with torch.inference_mode():
        first, second = reconstruction_loss(network, batch), fusion_loss(network, batch)
    assert {name: term.item() for name, term in first.items()} == pytest.approx(PHASE_1, abs=1e-5)
    assert {name: term.item() for name, term in second.items()} == pytest.approx(PHASE_2, abs=1e-5)


def test_the_rates_are_the_authors_schedules() -> None:
    """Halved every 20 of 120 epochs; the fusion layers' count begins with their phase."""
    assert METHOD.recipe is not None
    first, second = METHOD.recipe.phases
    assert second.share == pytest.approx(2 * first.share)
    parts = {part.prefix: part for part in second.updates[0].parts}
    assert list(parts) == ["encoder.", "decoder.", "base_fuse.", "detail_fuse."]
    assert {part.clip_norm for part in parts.values()} == {0.01}
    assert first.updates[0].parts == second.updates[0].parts[:2]
    epochs = (0, 19, 20, 39, 40, 59, 60, 119)
    encoder = [parts["encoder."].rate(epoch / 120) for epoch in epochs]
    fusion = [parts["detail_fuse."].rate(epoch / 120) for epoch in epochs]
    assert encoder == [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5, 2.5e-5, 1.25e-5, 3.125e-6]
    assert fusion == [1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 5e-5, 1.25e-5]


@pytest.mark.parametrize("phase", [0, 1])
def test_a_few_steps_of_each_phase_lower_the_loss(phase: int) -> None:
    torch.manual_seed(0)
    assert METHOD.recipe is not None
    network, chosen = METHOD.build(), METHOD.recipe.phases[phase]
    before = network.base_fuse.mlp.project_out.weight.clone()
    batch, optimisers = TrainingBatch(*waves(16, 20)), make_optimisers(network, METHOD.recipe)
    totals = [
        float(iterate(network, chosen, optimisers, phase / 3, batch)["total"]) for _ in range(5)
    ]
    assert totals[-1] < 0.99 * totals[0]
    assert torch.equal(network.base_fuse.mlp.project_out.weight, before) == (phase == 0)


def test_the_authors_file_is_four_state_dicts(tmp_path: Path) -> None:
    """It is accepted by its name and strict fit, as nobody here knows its SHA-256."""
    file = tmp_path / "CDDFuse_IVF.pth"
    written = authors_checkpoint(rule_made(), file)
    flat = weights.read_checkpoint(file)
    assert torch.equal(
        flat["DIDF_Encoder.patch_embed.proj.weight"],
        written["DIDF_Encoder"]["module.patch_embed.proj.weight"],
    )
    store = tmp_path / "store"
    weights.import_file(METHOD, file, store)
    found = weights.resolve(METHOD, store)
    assert (found.name, found.track) == ("official-ivf", "official")
    assert found.sha256 == weights.sha256_of(file)
    assert weights.problem(store, METHOD, METHOD.weights[0]) == ""
    network, expected = weights.build(METHOD, found), rule_made().state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


def test_another_name_or_another_network_is_refused(tmp_path: Path) -> None:
    """The authors' medical weights would fit: without a SHA-256 the name alone tells them apart."""
    network = rule_made()
    authors_checkpoint(network, tmp_path / "CDDFuse_MIF.pth")
    with pytest.raises(UserError, match=r"expected CDDFuse_IVF\.pth \(by this name\)"):
        weights.import_file(METHOD, tmp_path / "CDDFuse_MIF.pth", tmp_path)
    content = authors_checkpoint(network, tmp_path / "CDDFuse_IVF.pth")
    del content["BaseFuseLayer"]
    torch.save(content, tmp_path / "CDDFuse_IVF.pth")
    with pytest.raises(UserError, match="does not fit the network"):
        weights.import_file(METHOD, tmp_path / "CDDFuse_IVF.pth", tmp_path)
    known = replace(METHOD.weights[0], sha256="0" * 64)
    with pytest.raises(UserError, match=r"expected CDDFuse_IVF\.pth 000000000000…"):
        weights.import_file(
            replace(METHOD, weights=(known,)), tmp_path / "CDDFuse_IVF.pth", tmp_path
        )
