"""Tiles and bfloat16 in a run: other pixels, other identity, and the record says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main


def test_tiles_and_bfloat16_are_rows_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench.toml").write_text(
        'methods = ["dsifuse"]\nstages = ["fuse", "score"]\ndevice = "cpu"\n'
        "[data.synthetic]\npairs = [1, 1, 1]\nsize = [160, 128]\n"
    )
    images, jobs = {}, {}
    ways = {"whole": [], "tiled": ["tile=96", "overlap=16"], "bf16": ["bfloat16=true"]}
    for name, settings in ways.items():
        words = [word for one in settings for word in ("--set", f"fuse.{one}")]
        assert main(["run", "--name", name, *words]) == 0
        folder = tmp_path / "results" / name / "synthetic" / "dsifuse" / "fuse"
        images[name] = np.array(Image.open(next(folder.glob("*.png")))).astype(int)
        jobs[name] = json.loads((folder / "job.json").read_text())
    assert len({job["identity"] for job in jobs.values()}) == 3
    assert "tile" not in jobs["whole"]["options"] and "deviation" not in jobs["whole"]["facts"]
    assert jobs["tiled"]["facts"]["tile"] == 96
    assert 0 < np.abs(images["tiled"] - images["whole"]).mean() < 1
    largest = np.abs(images["bf16"] - images["whole"]).max()
    assert jobs["bf16"]["facts"]["deviation"].startswith(f"largest {largest}, ")
    tables = {
        name: (tmp_path / "results" / name / "tables" / "fusion-synthetic.md").read_text()
        for name in ways
    }
    tiles, faster = "Fused in tiles of 96 pixels with 16 in common: DSIFuse", "In faster arithmetic"
    assert [tiles in table for table in tables.values()] == [False, True, False]
    assert [faster in table for table in tables.values()] == [False, False, True]


def test_impossible_tiles_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--set", "fuse.tile=-1"]) == 2
    assert "fuse.tile and fuse.overlap must be 0 or larger" in capsys.readouterr().err
