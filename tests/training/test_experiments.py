"""Lists of trainings: files, shares of time, resume, the table; presets, options and folders."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cli import main
from bench.data.pairs import PairSet
from bench.errors import UserError
from bench.methods.contract import Method, Part, Phase, Preset, Update, poly
from bench.training import TrainingGroup
from bench.training.experiments import NOTE, USABLE, read_experiments, run_experiments
from bench.training.parts import folder_groups, is_folder, training_group
from bench.training.tuning import DEFAULT_SECONDS, Wish, arranged
from tests.training.toy import brighter, method, write_pairs

ROOT = Path(__file__).resolve().parents[2]
LIST = """
[all]
iterations = 3
criterion = "six"
options = { rate = 0.01 }
[[training]]
name = "plain"
seeds = [0, 1]
[[training]]
name = "slow"
share = 2
options = { rate = 0.001 }
variant = "same"
"""


def tunable() -> Method:
    """The toy method with one option and one preset."""

    def tuned(options: Mapping[str, Any]) -> Method:
        if set(options) - {"rate"}:
            raise UserError(f"blend has no option {set(options)}.")
        rate = options.get("rate", 1e-2)
        return replace(
            base, recipe=method(Phase((Update(brighter, (Part(rate=poly(rate)),)),))).recipe
        )

    presets = {"long": Preset("passes", epochs=2, batch=3, mixed=True, options={"rate": 0.5})}
    base = replace(method(), tuned=tuned, presets=presets)
    return base


def write(folder: Path, text: str) -> Path:
    (folder / "list.toml").write_text(text)
    return folder / "list.toml"


def table(out: Path) -> list[dict[str, str]]:
    with (out / "experiments.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_preset_is_data_that_flags_override() -> None:
    chosen, settings = arranged(tunable(), Wish(preset="long"))
    assert chosen.recipe is not None
    assert chosen.recipe.phases[0].updates[0].parts[0].rate(0.0) == 0.5
    assert (settings["epochs"], settings["batch"], settings["mixed"]) == (2, 3, True)
    assert settings["budget_seconds"] is None
    wish = Wish(preset="long", options={"rate": 0.25}, batch=4, seconds=9.0, mixed=False)
    chosen, settings = arranged(tunable(), wish)
    assert chosen.recipe is not None
    assert chosen.recipe.phases[0].updates[0].parts[0].rate(0.0) == 0.25
    assert (settings["batch"], settings["budget_seconds"], settings["mixed"]) == (4, 9.0, False)
    assert arranged(tunable(), Wish())[1]["budget_seconds"] == DEFAULT_SECONDS


@pytest.mark.parametrize(
    ("chosen", "wish", "message"),
    [
        (tunable(), Wish(preset="lang"), "did you mean 'long'"),
        (method(), Wish(preset="paper"), "known: none"),
        (method(), Wish(options={"mu": 1}), "has no options to choose: leave out mu"),
    ],
)
def test_wrong_wishes_are_told(chosen: Method, wish: Wish, message: str) -> None:
    with pytest.raises(UserError, match=message):
        arranged(chosen, wish)


def test_a_list_is_read_with_seeds_and_shared_keys(tmp_path: Path) -> None:
    found = read_experiments(write(tmp_path, LIST), Wish(seed=7))
    assert [one.name for one in found] == ["plain-seed0", "plain-seed1", "slow"]
    assert [one.wish.seed for one in found] == [0, 1, 7]
    assert [one.wish.options["rate"] for one in found] == [0.01, 0.01, 0.001]
    assert (found[2].wish.variant, found[2].share) == ("same", 2.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold"),
        ("[[training]]\n", "needs a name"),
        ('[[training]]\nname = "../x"\n', "needs a name"),
        ('[[training]]\nname = "a"\nsed = 1\n', "did you mean 'seed'"),
        ('[[training]]\nname = "a"\nbatch = "x"\n', "batch must be of type int"),
        ('[[training]]\nname = "a"\nshare = 0\n', "share must be a number above 0"),
        ('[[training]]\nname = "a"\nseeds = 1\n', "seeds must be a list"),
        ('[[training]]\nname = "a"\n[[training]]\nname = "a"\n', "a name twice"),
        ("[[training\n", "not valid TOML"),
    ],
)
def test_wrong_lists_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_experiments(write(tmp_path, text), Wish())


def test_a_list_is_trained_within_its_budget_and_resumed(
    tmp_path: Path, group: TrainingGroup
) -> None:
    out, lines = tmp_path / "out", list[str]()
    listed = read_experiments(write(tmp_path, LIST), Wish())

    def run(budget: float) -> None:
        run_experiments(
            tunable(), [group], listed, out=out, budget_seconds=budget, device="cpu",
            report=lines.append,
        )  # fmt: skip

    run(1e-9)
    assert any("not done: plain-seed0, plain-seed1, slow" in line for line in lines)
    assert [row["iterations"] for row in table(out)] == ["not done"] * 3
    # Times are noted at the first start: half of what is usable for the one with share 2.
    noted = json.loads((out / "slow" / NOTE).read_text())["seconds"]
    assert noted == pytest.approx(USABLE * 1e-9 / 2)
    for name in ("plain-seed0", "plain-seed1", "slow"):
        (out / name / NOTE).unlink()
    run(600)
    rows = table(out)
    assert [row["training"] for row in rows[:3]] == ["plain-seed0", "plain-seed1", "slow"]
    assert [row["iterations"] for row in rows[:3]] == ["3"] * 3
    assert rows[2]["settings"] == "same rate=0.001"
    card = json.loads((out / "slow" / "blend-same.json").read_text())
    assert float(rows[2]["SSIM"]) == pytest.approx(card["validation"]["SSIM"], rel=1e-3)
    assert rows[3]["training"] == "average of both images"
    assert (out / "slow" / "curves.png").is_file()
    assert "| slow | same rate=0.001 |" in (out / "experiments.md").read_text()
    # What is finished is not touched; what was lost is made again.
    before = (out / "slow" / "blend-same.safetensors").stat().st_mtime_ns
    for path in (out / "plain-seed1").iterdir():
        if path.is_file() and path.name != NOTE:
            path.unlink()
    lines.clear()
    run(600)
    assert lines[0].startswith("plain-seed1 (1 of 1, at most 142 s)")
    assert (out / "slow" / "blend-same.safetensors").stat().st_mtime_ns == before
    assert table(out)[1]["iterations"] == "3"


def test_another_list_under_the_same_name_is_refused(tmp_path: Path, group: TrainingGroup) -> None:
    for batch in (2, 3):
        text = f'[[training]]\nname = "a"\niterations = 1\nbatch = {batch}\n'
        listed = read_experiments(write(tmp_path, text), Wish())
        shared: dict[str, Any] = {"out": tmp_path / "out", "budget_seconds": 60, "device": "cpu"}
        if batch == 2:
            run_experiments(tunable(), [group], listed, report=lambda line: None, **shared)
            continue
        with pytest.raises(UserError, match="other settings"):
            run_experiments(tunable(), [group], listed, report=lambda line: None, **shared)


def plain_folder(folder: Path, count: int) -> Path:
    """visible/ and infrared/ without labels, as people have them."""
    for pair in write_pairs(folder / "made", count, (48, 64)):
        for kind, path in (("visible", pair.visible), ("infrared", pair.infrared)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            path.rename(folder / kind / f"{pair.id}.png")
    return folder


def test_folders_are_groups(tmp_path: Path) -> None:
    roots = [str(plain_folder(tmp_path / name, 3)) for name in ("a", "b")]
    assert is_folder("./pairs") and is_folder(roots[0]) and not is_folder("synthetic")
    assert [group.name for group in folder_groups(roots)] == ["folder/all", "folder-2/all"]
    with pytest.raises(UserError, match="was not found"):
        folder_groups([str(tmp_path / "absent")])
    pairs = folder_groups(roots)[0].pairs
    assert training_group(PairSet("folder", pairs, (), None, "no boxes")).pairs == pairs


def test_weights_trained_on_ones_own_folder_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = plain_folder(tmp_path / "mine", 12)
    command = "train dsifuse --iterations 2 --crop 32 --batch 2 --device cpu --half"
    torch.set_num_threads(3)
    assert main([*command.split(), "--threads", "1", "--train-data", f"{folder}/"]) == 0
    assert torch.get_num_threads() == 1
    assert "dsifuse.safetensors" in capsys.readouterr().out
    made = tmp_path / "results" / "train-dsifuse"
    assert json.loads((made / "dsifuse.json").read_text())["validation"]["pairs"] == 1
    assert (made / "curves.png").is_file()
    run = "run --methods dsifuse --datasets folder --stages fuse,score --device cpu --name mine"
    where = ["--weights", f"dsifuse={made}/dsifuse.safetensors", "--data", f"folder={folder}"]
    assert main([*run.split(), *where]) == 0
    assert len(list((tmp_path / "results" / "mine" / "folder" / "dsifuse" / "fuse").glob("*.png")))
    job = tmp_path / "results" / "mine" / "folder" / "dsifuse" / "fuse" / "job.json"
    assert json.loads(job.read_text())["facts"]["weights"]["trained_on"] == ["folder/all"]
    assert main([*command.split(), "--train-data", "mine"]) == 2
    assert "A folder is written with a slash: ./mine." in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs").glob("dsifuse-*.toml")), ids=lambda p: p.name
)
def test_the_lists_of_the_documentation_can_be_read(path: Path) -> None:
    assert len(read_experiments(path, Wish())) >= 12
