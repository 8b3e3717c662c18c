"""A published run: tables, small panels and a manifest that names no machine's paths."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from bench.cli import main


def test_publish_leaves_no_paths_and_no_fused_images(
    tmp_path: Path,
    make_pairs: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_pairs(tmp_path / "secret" / "TNO" / "vi", tmp_path / "secret" / "TNO" / "ir", 3, (96, 80))
    line = ["--methods", "average,max", "--datasets", "tno", "--data-root", "secret"]
    assert main(["run", *line, "--stages", "fuse,score"]) == 0
    assert main(["figures", "--data-root", "secret"]) == 0
    assert main(["publish", "--to", "out"]) == 0
    capsys.readouterr()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "curves-tno.csv", "curves-tno.png", "fusion-tno.csv", "fusion-tno.md", "fusion-tno.tex",
        "manifest.json", "panel-tno.csv", "panel-tno.png", "tables.tex", "violins-tno.csv",
        "violins-tno.png",
    ]  # fmt: skip
    text = (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    manifest = json.loads(text)
    assert manifest["command"] == (
        "bench run --methods average,max --datasets tno --stages fuse,score"
    )
    assert {job["status"] for job in manifest["jobs"].values()} == {"done"}
    with Image.open(tmp_path / "out" / "panel-tno.png") as panel:
        assert panel.width <= 1200


def test_a_named_part_is_scored_and_the_table_and_the_command_say_so(
    tmp_path: Path, make_pairs: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = make_pairs(tmp_path / "TNO" / "vi", tmp_path / "TNO" / "ir", 4, (64, 48))
    (tmp_path / "few.txt").write_text(f"{names[3]}\n{names[1]}\n")
    line = ["--methods", "average", "--datasets", "tno", "--data-root", ".", "--stages"]
    scored = ["--set", f"data.tno.scored={tmp_path / 'few.txt'}"]
    assert main(["run", *line, "fuse,score", *scored, "--limit", "1"]) == 0
    assert main(["publish", "--to", "out"]) == 0
    table = (tmp_path / "out" / "fusion-tno.md").read_text()
    assert "Of them the 2 that few.txt names are scored (option 'scored')." in table
    assert "Only the first 1 pair (limit)." in table
    command = json.loads((tmp_path / "out" / "manifest.json").read_text())["command"]
    assert command.endswith("--stages fuse,score --set data.tno.scored=few.txt --limit 1")
    values = (tmp_path / "results" / "demo" / "tno" / "average" / "score").glob("*.csv")
    assert names[1] in next(values).read_text()
