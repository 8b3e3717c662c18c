"""Variants of a method as rows: names, weight files of their own, the ablation flag."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench.cli import main
from bench.errors import UserError
from bench.methods import registry
from bench.methods.contract import Method, Weights
from bench.methods.weights import MissingWeightsError, build, own, resolve
from models.dsifuse import METHOD

BLOCKS = ("cfc", "cfb", "imb", "scb", "sg")
ROWS = (*(f"dsifuse-no-{block}" for block in BLOCKS), "dsifuse")


def record(name: str, file: Path) -> Weights:
    return Weights(name, "suite", file.name, "", 0, "here", "", (), str(file))


def test_a_variant_is_a_method_with_its_own_network() -> None:
    found = registry.method("dsifuse-no-cfc")
    assert (found.name, found.card.title) == ("dsifuse-no-cfc", "DSIFuse w/o CFC")
    assert found.protocol == METHOD.protocol
    keys = found.build().state_dict().keys()
    assert not any(key.startswith("calibrate") for key in keys)
    assert any(key.startswith("calibrate") for key in METHOD.build().state_dict())
    assert registry.module_of("dsifuse-no-cfc") == "models.dsifuse"
    assert registry.method("dsifuse-r18").card.title == "DSIFuse (r18)"
    # A method whose name looks like a variant's is itself.
    assert registry.base_and_variant("densefuse-tf") == ("densefuse-tf", None)
    assert registry.expand(("dsifuse-no-sg", "average")) == ("dsifuse-no-sg", "average")
    assert "dsifuse-no-sg" not in registry.expand(("all",))


def test_an_unknown_variant_is_told() -> None:
    with pytest.raises(UserError, match="did you mean 'dsifuse-no-cfc'"):
        registry.method("dsifuse-no-cfx")
    with pytest.raises(UserError, match="variants: none"):
        registry.method("average-no-cfc")


def test_ablation_rows() -> None:
    assert registry.ablation("dsifuse") == ROWS
    with pytest.raises(UserError, match="average has no variants"):
        registry.ablation("average")


def test_a_file_named_like_a_variant_is_that_variants(tmp_path: Path) -> None:
    """The whole network never runs with an ablation's file, nor the other way round."""
    weights = (record("no-cfc", tmp_path / "dsifuse-no-cfc.safetensors"),)
    method = Method(
        METHOD.card, METHOD.protocol, METHOD.build, weights, True, variants=METHOD.variants
    )
    assert own(method) == ()
    with pytest.raises(MissingWeightsError, match="'bench train dsifuse' makes some"):
        resolve(method, tmp_path)


def test_weights_of_a_variant_are_found_beside_the_module_and_run(tmp_path: Path) -> None:
    made = tmp_path / "train"
    command = "train dsifuse-no-sg --iterations 1 --crop 32 --batch 2 --device cpu --half"
    data = ["--train-data", "synthetic", "--set", "data.synthetic.pairs=[2,1,1]"]
    size = ["--set", "data.synthetic.size=[64,64]"]
    assert main([*command.split(), *data, *size, "--out", str(made)]) == 0
    card = json.loads((made / "dsifuse-no-sg.json").read_text())
    assert (card["method"], card["variant"]) == ("dsifuse", "no-sg")
    # Without the priors, attention and modulation are conditioned on wider features.
    assert 2_000_000 < card["bytes"] < 2_300_000
    # As it ships: the folder `weights` beside the method's module.
    folder = tmp_path / "weights"
    folder.mkdir()
    for path in made.glob("dsifuse-no-sg.*"):
        path.rename(folder / path.name)
    method = registry.method("dsifuse-no-sg")
    file = folder / "dsifuse-no-sg.safetensors"
    found = resolve(method, tmp_path, chosen=file)
    assert (found.name, found.trained_on) == ("dsifuse-no-sg", ("synthetic/train",))
    network = build(method, found)
    stored = load_file(file)["decode.head.bias"]
    assert stored.dtype == torch.float16
    assert torch.equal(network.state_dict()["decode.head.bias"], stored.float())


def test_the_ablation_flag_gives_the_table_and_the_panels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench.toml").write_text(
        'name = "t"\nstages = ["fuse", "score"]\ndevice = "cpu"\n'
        "[data.synthetic]\npairs = [1, 1, 2]\nsize = [96, 64]\n"
    )
    assert main(["run", "--ablation", "--random-weights"]) == 0
    table = (tmp_path / "results" / "t" / "tables" / "ablation-synthetic.csv").read_text()
    lines = [line for line in table.splitlines() if "DSIFuse" in line]
    assert len(lines) == 6
    assert all(f"w/o {block.upper()}" in line for block, line in zip(BLOCKS, lines, strict=False))
    assert main(["figures", "11"]) == 0
    assert (tmp_path / "results" / "t" / "figures" / "ablation-panel-synthetic.png").is_file()
    capsys.readouterr()
    assert main(["run", "--ablation", "--methods", "average", "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert [f"synthetic/{row}/fuse" in plan for row in ("average", *ROWS)] == [True] * 7
    assert "'bench train dsifuse-no-cfc' makes some" in plan
