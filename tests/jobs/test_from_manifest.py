"""`bench run --from`: the same run again, and which of its numbers came out different."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench.again import circumstances, compare_runs, configuration, read_manifest
from bench.cli import main
from bench.config import as_record
from bench.config_file import from_record, read
from bench.data.contents import sealed, write_json
from bench.stages import values
from tests.report.results_tree import METHODS, write_run

MakePairs = Callable[..., list[str]]


@pytest.fixture
def project(tmp_path: Path, make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small TNO and a bench.toml for it, as the current folder."""
    make_pairs(tmp_path / "data" / "TNO" / "vi", tmp_path / "data" / "TNO" / "ir", 3, (64, 48))
    (tmp_path / "bench.toml").write_text(
        'name = "t"\nmethods = ["average", "max"]\ndatasets = ["tno"]\nstages = ["fuse", "score"]\n'
    )
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--no-tables"]) == 0
    return tmp_path


def again(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["run", "--no-tables", "--from", *words])
    return code, *capsys.readouterr()


def test_the_same_run_gives_the_same_numbers(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # What bench.toml says by now does not matter.
    (project / "bench.toml").write_text('methods = ["laplacian"]\n')
    code, out, _ = again(capsys, "results/t/run.json")
    assert code == 0
    assert "72 numbers and 6 images, all are the same." in out
    first, second = project / "results" / "t", project / "results" / "t-again"
    for name in ("tno/max/score/values.csv", "tno/average/fuse/02.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_moved_data_and_another_place_for_the_results(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data").rename(project / "moved")
    code, _, err = again(capsys, "results/t")
    assert code == 2 and "tno" in err.lower()
    code, out, _ = again(capsys, "results/t", "--data-root", "moved", "--results", "elsewhere")
    assert code == 0 and "all are the same" in out
    assert (project / "elsewhere" / "t-again" / "tno" / "max" / "score" / "values.csv").is_file()


def test_a_changed_image_is_counted_and_measured(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    infrared = project / "data" / "TNO" / "ir" / "02.png"
    Image.new("L", (64, 48), 77).save(infrared)
    code, out, _ = again(capsys, "results/t", "--methods", "average")
    assert code == 1
    assert "tno/average/fuse: 1 of 3 images differ" in out
    before, after = (
        {
            (v.item, v.name): v.value
            for v in values.read(project / "results" / run / "tno" / "average" / "score")
        }
        for run in ("t", "t-again")
    )
    gap = abs(before["02", "SD"] - after["02", "SD"])
    assert f"tno/average/score SD: 1 of 3 values differ, by at most {gap:.3g}" in out
    assert "tno/max" not in out
    assert "other code, weights, options or data" in out and "tno/average/score" in out


def test_it_never_writes_into_the_run_that_it_repeats(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = again(capsys, "results/t", "--name", "t")
    assert code == 2 and "is the run to be repeated" in err
    code, _, err = again(capsys, "results/t", "--config", "bench.toml")
    assert code == 2 and "leave out --config" in err


@pytest.mark.parametrize("text", ["{", "[]", '{"config": {}}'])
def test_what_is_no_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    code, _, err = again(capsys, str(tmp_path / "run.json"))
    assert code == 2 and "is no manifest of a run" in err and err.count("\n") == 1
    code, _, err = again(capsys, str(tmp_path / "absent.json"))
    assert code == 2 and "absent.json can't be read" in err


def test_other_versions_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = read_manifest(project / "results" / "t")
    then: dict[str, Any] = json.loads(json.dumps(manifest.record["provenance"]))
    assert [line for line in circumstances(manifest, then) if "source tree" not in line] == []
    now = json.loads(json.dumps(then))
    now["packages"]["torch"] = "9.9"
    now["commit"] = "feed"
    lines = circumstances(manifest, now)
    assert f"torch is 9.9, was {then['packages']['torch']}" in lines
    assert any(line.startswith("commit is feed") for line in lines)
    record = {**manifest.record, "provenance": {**then, "python": "2.7.18"}}
    write_json(project / "results" / "t" / "run.json", sealed(record))
    _, _, err = again(capsys, "results/t")
    assert "not as in the first run: python is" in err and "was 2.7.18" in err


def test_a_manifest_without_its_results_is_nothing_to_compare_with(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = project / "alone"
    alone.mkdir()
    (project / "results" / "t" / "run.json").rename(alone / "run.json")
    code, out, _ = again(capsys, "alone/run.json")
    assert code == 1
    assert "no numbers and no images lie beside the manifest" in out
    assert (project / "results" / "t-again" / "run.json").is_file()


def test_a_published_run_is_repeated_and_its_means_compared(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", "--run", "results/t", "--to", "public"]) == 0
    code, out, _ = again(capsys, "public/manifest.json")
    assert code == 0 and "24 numbers and 0 images, all are the same." in out
    table = project / "public" / "fusion-tno.csv"
    head, first, *rest = table.read_text().splitlines()
    column = head.split(",").index("SD_mean")
    cells = first.split(",")
    was, cells[column] = cells[column], "1.5"
    table.write_text("\n".join([head, ",".join(cells), *rest]) + "\n")
    code, out, _ = again(capsys, "public")
    assert code == 1
    assert f"fusion-tno average SD_mean: is {was}, was 1.5, a difference of " in out
    assert "1 lines above differ" not in out


def test_comparison_of_all_stages(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = write_run(tmp_path / "a" / "demo"), write_run(tmp_path / "b" / "demo")
    same = compare_runs(first, second)
    assert same.lines == () and same.values > 1000

    def change(place: str, old: str, new: str) -> None:
        path = second / place / "values.csv"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    method = list(METHODS)[-1]
    detected = f"m3fd-detection/{method}/detect"
    line = next(
        row
        for row in (second / detected / "values.csv").read_text().splitlines()
        if row.startswith("all,1,AP50,")
    )
    change(detected, line, "all,1,AP50,nan")
    costs = (second / "_cost" / method / "profile" / "values.csv").read_text().splitlines()
    change(
        f"_cost/{method}/profile",
        next(r for r in costs if ",ms_median," in r),
        "480x640,,ms_median,1.0",
    )
    params = next(r for r in costs if ",params," in r)
    value = float(params.rpartition(",")[2])
    change(f"_cost/{method}/profile", params, f"480x640,,params,{value + 5!r}")
    (second / "msrs" / method / "score").rename(second / "msrs" / method / "gone")
    found = compare_runs(first, second)
    assert found.lines == (
        f"m3fd-detection/{method}/detect AP50: 1 of 14 values differ, by at most inf",
        f"_cost/{method}/profile params: 1 of 2 values differ, by at most 5",
    )


def test_a_configuration_survives_its_record(tmp_path: Path) -> None:
    flags = {
        "methods": ["average"],
        "datasets": ["synthetic", "tno"],
        "fused": {"theirs": "out"},
        "data.tno.root": "pictures",
        "data.synthetic.pairs": [3, 1, 2],
        "detect.epochs": 7,
        "detect.seeds": [0, 1],
        "weights.use.dsifuse": "mine.safetensors",
        "profile.resolutions": ["64x64"],
    }
    config = replace(read(None, flags), base=tmp_path)
    manifest = {"config": as_record(config), "base": str(tmp_path)}
    assert from_record(manifest, tmp_path / "run.json", {}) == config
    other = from_record(manifest, tmp_path / "run.json", {"detect.epochs": 9, "limit": 4})
    assert other.detect.overrides == {"epochs": 9} and other.limit == 4
    assert other.data.options["tno"] == {"root": "pictures"}


def test_a_new_root_for_all_data_replaces_those_of_single_sets(project: Path) -> None:
    manifest = read_manifest(project / "results" / "t")
    record = json.loads(json.dumps(manifest.record))
    record["config"]["data"]["options"] = {"tno": {"root": "/nowhere"}}
    changed = replace(manifest, record=record)
    assert configuration(changed, {}).data.options["tno"]["root"] == "/nowhere"
    moved = configuration(changed, {"data.root": "/data"})
    assert moved.data.root == "/data" and "root" not in moved.data.options["tno"]
    assert moved.name == "t-again"


def test_a_dry_run_and_a_run_that_fails_leave_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert again(capsys, "results/t", "--dry-run")[0] == 0
    assert again(capsys, "results/t", "--data-root", "nowhere")[0] == 2
    assert again(capsys, "results/t", "--results", "deep/er", "--dry-run")[0] == 0
    assert [path.name for path in (project / "results").iterdir()] == ["t"]
    assert not (project / "deep").exists()


def test_a_touched_manifest_is_refused_and_a_key_that_it_should_not_have_is_found_there(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = dict(read_manifest(project / "results" / "t").record)
    record["config"]["limmit"] = 3
    write_json(project / "run.json", record)
    code, _, err = again(capsys, "run.json")
    assert code == 2 and "run.json was changed after it had been written (its seal" in err
    write_json(project / "run.json", sealed(record))
    code, _, err = again(capsys, "run.json")
    assert code == 2
    assert f"Unknown key 'limmit' in {project / 'run.json'} (did you mean 'limit'?)" in err
    code, _, err = again(capsys, "results/t", "--set", "fuse.outptu=clip")
    assert code == 2 and "Unknown key 'fuse.outptu' in --set (did you mean 'output'?)" in err


@pytest.mark.parametrize("change", [{"data": 3}, {"data": {"options": 3}}, {"detect": []}])
def test_a_damaged_configuration_is_one_sentence(
    project: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    record = dict(read_manifest(project / "results" / "t").record)
    record["config"] = {**record["config"], **change}
    write_json(project / "run.json", sealed(record))
    code, _, err = again(capsys, "run.json")
    assert code == 2 and "of its configuration is no table" in err
