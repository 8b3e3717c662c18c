"""A row of ready-made images in the plan: the same jobs as every row, an identity of its files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.config_file import read
from bench.errors import UserError
from bench.jobs.job import Job
from bench.jobs.plan import make_plan
from bench.jobs.store import Store

MakePairs = Callable[..., list[str]]


@pytest.fixture
def root(tmp_path: Path, make_pairs: MakePairs) -> Path:
    """TNO with three pairs, and theirs/ with its visible images as fused ones."""
    make_pairs(tmp_path / "TNO" / "vi", tmp_path / "TNO" / "ir", 3)
    shutil.copytree(tmp_path / "TNO" / "vi", tmp_path / "theirs")
    return tmp_path


def jobs(root: Path, **flags: Any) -> dict[str, Job]:
    given = {
        "methods": ["average"],
        "fused": {"theirs": str(root / "theirs")},
        "datasets": ["tno"],
        "data.root": str(root),
        "results": str(root / "results"),
        "data.synthetic.pairs": [2, 1, 1],
        "data.synthetic.size": [96, 64],
    }
    config = read(None, {**given, **flags})
    return {str(job.key): job for job in make_plan(config, Store(config.run_folder)).jobs}


def test_it_has_the_jobs_of_every_row(root: Path) -> None:
    found = jobs(root)
    own = [key for key in found if "theirs" in key]
    assert own == ["tno/theirs/fuse", "tno/theirs/score", "_cost/theirs/profile"]
    assert [key.replace("theirs", "average") for key in own] == [k for k in found if k not in own]
    assert [str(key) for key in found["tno/theirs/score"].needs] == ["tno/theirs/fuse"]
    assert found["tno/theirs/fuse"].unready is None
    assert found["_cost/theirs/profile"].unready == (
        "not applicable",
        "no network: its images are ready-made",
    )


def test_its_identity_is_that_of_its_files_and_of_the_data(
    root: Path, make_pairs: MakePairs
) -> None:
    def identities() -> dict[str, str]:
        return {key: job.identity for key, job in jobs(root).items()}

    first = identities()
    shutil.copy2(root / "theirs" / "01.png", root / "theirs" / "of-no-pair.png")
    assert identities() == first
    shutil.copy2(root / "TNO" / "vi" / "02.png", root / "theirs" / "01.png")
    second = identities()
    changed = [key for key in first if first[key] != second[key]]
    assert changed == ["tno/theirs/fuse", "tno/theirs/score"]
    shutil.copy2(root / "TNO" / "ir" / "02.png", root / "TNO" / "ir" / "01.png")
    third = identities()
    assert third["tno/theirs/fuse"] != second["tno/theirs/fuse"]


def test_the_device_and_the_output_rule_are_none_of_its_business(root: Path) -> None:
    plain = jobs(root)["tno/theirs/fuse"]
    other = jobs(root, **{"fuse.output": "authors", "seed": 5})["tno/theirs/fuse"]
    assert other.identity == plain.identity and other.unready is None


def test_several_data_sets_have_a_folder_each(root: Path, make_pairs: MakePairs) -> None:
    make_pairs(root / "RoadScene" / "crop_LR_visible", root / "RoadScene" / "cropinfrared", 2)
    both = {"datasets": ["tno", "roadscene"], "stages": ["fuse", "score"]}
    with pytest.raises(UserError, match="theirs has no folder for any of the data sets"):
        jobs(root, **both)
    (root / "theirs").rename(root / "tno")
    (root / "theirs").mkdir()
    (root / "tno").rename(root / "theirs" / "tno")
    found = jobs(root, **both)
    assert found["tno/theirs/fuse"].unready is None
    reason = "theirs has no folder roadscene"
    assert found["roadscene/theirs/fuse"].unready == ("skipped", reason)


def test_detection_needs_the_images_of_the_whole_split(root: Path) -> None:
    sets = {"datasets": ["synthetic"], "stages": ["fuse", "score"]}
    scored = next(iter(jobs(root, **sets, fused={}).values()))
    (root / "results").mkdir()
    scored.work(root / "results", lambda done, total: None)
    made = list((root / "results").glob("*.png"))
    assert len(made) == 1
    shutil.copy2(made[0], root / "theirs")
    assert jobs(root, **sets)["synthetic/theirs/fuse"].unready is None
    sets["stages"] = ["fuse", "detect"]
    with pytest.raises(UserError, match="lacks 3 of 3 pairs of synthetic"):
        jobs(root, **sets)
    # Tested by another row's detector, it needs the images of the test part alone.
    transfer = {"detect.protocol": "transfer", "detect.train_on": ["average"]}
    found = jobs(root, methods=["average"], **sets, **transfer)
    assert "synthetic/theirs/detect-by-average" in found
    assert "synthetic/theirs/fuse-rest" not in found


def test_the_limit_cuts_what_is_needed(root: Path) -> None:
    (root / "theirs" / "03.png").unlink()
    with pytest.raises(UserError, match="lacks 1 of 3 pairs of tno: 03"):
        jobs(root)
    assert "tno/theirs/fuse" in jobs(root, limit=2)


def test_the_names_of_methods_are_taken(root: Path) -> None:
    with pytest.raises(UserError, match="'max' of ready-made images has the name of a method"):
        jobs(root, fused={"max": str(root / "theirs")})


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a/b": "x"}, "fused has the row 'a/b'"),
        ({".a": "x"}, "fused has the row '.a'"),
        ({"a": 3}, "fused.a must be of type str, not 3"),
        (["x"], "fused must be a table"),
    ],
)
def test_bad_rows_are_refused(root: Path, value: object, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        jobs(root, fused=value)


def test_flags_and_file_name_rows_together(root: Path) -> None:
    (root / "bench.toml").write_text('[fused]\na = "in/a"\nb = "in/b"\n')
    config = read(root / "bench.toml", {"fused": {"b": "/else", "v1.2": "/dotted"}})
    assert config.fused == {"a": "in/a", "b": "/else", "v1.2": "/dotted"}
    assert config.path(config.fused["a"]) == root / "in" / "a"


def test_a_run_without_rows_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="Nothing to run"):
        jobs(root, methods=[], fused={})
