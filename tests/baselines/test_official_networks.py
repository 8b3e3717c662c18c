"""DenseFuse and SeAFusion against the authors' own networks: golden outputs, keys and images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.methods import registry, weights
from bench.methods.protocol import fuse
from tests.baselines.rule_weights import apply_rule, waves

FILES = {"densefuse": "densefuse_gray.model", "seafusion": "SeAFusion.pth"}


@pytest.fixture(scope="module")
def imported(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for name, file in FILES.items():
        weights.import_file(registry.method(name), shared / "weights" / file, folder)
    return folder


def official(name: str, folder: Path) -> torch.nn.Module:
    method = registry.method(name)
    return weights.build(method, weights.resolve(method, folder))


@pytest.mark.parametrize("case", ["real64x80", "real37x53", "gen2x32x40"])
@pytest.mark.parametrize("kind", ["official", "rule"])
def test_densefuse_equals_the_authors_network(
    shared: Path, imported: Path, kind: str, case: str
) -> None:
    golden = np.load(shared / "oracles" / "densefuse" / f"{kind}gray_{case}.npz")
    network = (
        official("densefuse", imported)
        if kind == "official"
        else apply_rule(registry.method("densefuse").build())
    )
    with torch.inference_mode():
        fused = network(torch.from_numpy(golden["vi"]), torch.from_numpy(golden["ir"])).numpy()
    assert np.abs(fused - golden["out_average"]).max() <= 1e-5 * golden["out_average"].max()
    stored = np.clip(fused, 0, 255).astype(np.uint8)
    assert (stored != golden["out_average_u8"]).mean() < 1e-3


@pytest.mark.parametrize("case", ["real64x80", "real37x53", "gen2x32x40"])
@pytest.mark.parametrize("kind", ["official", "rule"])
def test_seafusion_equals_the_authors_network(
    shared: Path, imported: Path, kind: str, case: str
) -> None:
    golden = np.load(shared / "oracles" / "seafusion" / f"{kind}_{case}.npz")
    network = (
        official("seafusion", imported)
        if kind == "official"
        else apply_rule(registry.method("seafusion").build())
    )
    with torch.inference_mode():
        fused = network(torch.from_numpy(golden["vi_y"]), torch.from_numpy(golden["ir"])).numpy()
    assert np.abs(fused - golden["out"]).max() <= 1e-5


def test_seafusion_authors_output_equals_the_authors_8_bit_image(
    shared: Path, imported: Path
) -> None:
    golden = np.load(shared / "oracles" / "seafusion" / "official_colour.npz")
    stored = fuse(
        official("seafusion", imported),
        registry.method("seafusion").protocol,
        torch.from_numpy(golden["rgb_u8"]),
        torch.from_numpy(golden["ir_u8"]),
        output="authors",
    )
    difference = np.abs(
        stored[0].permute(1, 2, 0).numpy().astype(int) - golden["fused_rgb_u8"].astype(int)
    )
    assert difference.max() <= 1
    assert difference.mean() < 1e-3


@pytest.mark.parametrize("name", FILES)
def test_the_state_dict_has_the_authors_keys(shared: Path, name: str) -> None:
    keys = json.loads((shared / "oracles" / name / "keys.json").read_text())
    authors = {key for key in keys if ".bn." not in key}
    assert set(registry.method(name).build().state_dict()) == authors


@pytest.mark.parametrize(
    ("name", "scale", "golden"),
    [
        ("densefuse", 255.0, [0.0538219, 0.3065075, 0.834918, 0.2579498]),
        ("seafusion", 1.0, [0.4678449, 0.4662532, 0.4676664, 0.4758085]),
    ],
)
def test_rule_weights_give_the_recorded_numbers(
    name: str, scale: float, golden: list[float]
) -> None:
    """Recorded when the network agreed with its authors' one on all golden cases."""
    visible, infrared = waves(24, 31)
    network = apply_rule(registry.method(name).build())
    with torch.inference_mode():
        fused = network(visible * scale, infrared * scale)[0, 0]
    picked = [fused[y, x].item() for y, x in ((0, 0), (7, 11), (12, 30), (23, 15))]
    assert picked == pytest.approx(golden, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("name", "count"), [("densefuse", 74_193), ("seafusion", 166_657)])
def test_parameters(name: str, count: int) -> None:
    """SeAFusion's paper network has 166,883 of which 226 are batch norms that it never uses."""
    assert sum(p.numel() for p in registry.method(name).build().parameters()) == count
