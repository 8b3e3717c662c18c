"""What a configuration becomes: jobs, needs, and identities that miss when anything changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.config import RunConfig, read
from bench.jobs.plan import Plan, make_plan
from bench.jobs.store import Store


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    flags = {
        "methods": ["average", "densefuse"],
        "stages": ["fuse", "score", "detect", "profile"],
        "datasets": ["synthetic"],
        "fuse.random_weights": True,
        "data.synthetic.pairs": [3, 1, 2],
        "data.synthetic.size": [96, 64],
        "data.root": str(tmp_path / "data"),
        "results": str(tmp_path / "results"),
        "detect.preset": "standard",
    }
    return read(None, flags)


def plan(config: RunConfig) -> Plan:
    return make_plan(config, Store(config.run_folder))


def identities(config: RunConfig) -> dict[str, str]:
    return {str(job.key): job.identity for job in plan(config).jobs}


def test_jobs_and_their_needs(config: RunConfig) -> None:
    jobs = {str(job.key): job for job in plan(config).jobs}
    assert list(jobs) == [
        "synthetic/average/fuse",
        "synthetic/average/fuse-rest",
        "synthetic/average/score",
        "synthetic/average/detect",
        "synthetic/densefuse/fuse",
        "synthetic/densefuse/fuse-rest",
        "synthetic/densefuse/score",
        "synthetic/densefuse/detect",
        "_cost/average/profile",
        "_cost/densefuse/profile",
    ]
    assert [str(key) for key in jobs["synthetic/average/score"].needs] == ["synthetic/average/fuse"]
    assert len(jobs["synthetic/average/detect"].needs) == 2


Change = Callable[[RunConfig], RunConfig]


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        (lambda c: replace(c, limit=1), {"fuse", "fuse-rest", "score", "detect"}),
        (lambda c: replace(c, seed=1), {"fuse", "fuse-rest", "score", "detect"}),
        (lambda c: replace(c, score=replace(c.score, convention="cddfuse-python")), {"score"}),
        (lambda c: replace(c, score=replace(c.score, metrics=("EN",))), {"score"}),
        (lambda c: replace(c, detect=replace(c.detect, seeds=(1,))), {"detect"}),
        (lambda c: replace(c, detect=replace(c.detect, overrides={"epochs": 7})), {"detect"}),
        (lambda c: replace(c, profile=replace(c.profile, resolutions=("64x64",))), {"profile"}),
    ],
)
def test_flipping_a_field_changes_just_what_depends_on_it(
    config: RunConfig, change: Change, touched: set[str]
) -> None:
    before, after = identities(config), identities(change(config))
    changed = {key.rpartition("/")[2] for key in before if before[key] != after.get(key)}
    assert changed == touched


def test_plan_is_the_same_twice(config: RunConfig) -> None:
    assert identities(config) == identities(config)


def test_tno_like_sets_say_that_detection_is_not_applicable(
    tmp_path: Path, make_pairs: Callable[..., list[str]]
) -> None:
    make_pairs(tmp_path / "TNO" / "vi", tmp_path / "TNO" / "ir", 2)
    config = read(
        None,
        {
            "methods": ["average"],
            "datasets": ["tno"],
            "data.root": str(tmp_path),
            "results": str(tmp_path / "results"),
        },
    )
    jobs = [str(job.key) for job in plan(config).jobs]
    assert jobs == ["tno/average/fuse", "tno/average/score", "_cost/average/profile"]
