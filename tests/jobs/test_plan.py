"""What a configuration becomes: jobs, needs, and identities that miss when anything changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.config import RunConfig
from bench.config_file import read
from bench.errors import UserError
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
        "synthetic/average/train-seed0",
        "synthetic/average/detect",
        "synthetic/densefuse/fuse",
        "synthetic/densefuse/fuse-rest",
        "synthetic/densefuse/score",
        "synthetic/densefuse/train-seed0",
        "synthetic/densefuse/detect",
        "_cost/average/profile",
        "_cost/densefuse/profile",
    ]
    assert [str(key) for key in jobs["synthetic/average/score"].needs] == ["synthetic/average/fuse"]
    needs = {name: list(map(str, job.needs)) for name, job in jobs.items()}
    # The test part is scored, so that the rest is what a detector is trained on.
    assert needs["synthetic/average/train-seed0"] == ["synthetic/average/fuse-rest"]
    assert needs["synthetic/average/detect"] == [
        "synthetic/average/fuse",
        "synthetic/average/train-seed0",
    ]


def under(config: RunConfig, protocol: str, *train_on: str) -> RunConfig:
    return replace(config, detect=replace(config.detect, protocol=protocol, train_on=train_on))


def test_protocols_share_their_trainings(config: RunConfig) -> None:
    config = replace(config, stages=("fuse", "detect"))
    own, cross = identities(config), identities(under(config, "cross"))
    transfer = identities(under(config, "transfer", "densefuse"))
    trainings = {name: found for name, found in own.items() if "/train-" in name}
    assert len(trainings) == 2
    assert trainings == {name: found for name, found in cross.items() if "/train-" in name}
    assert [name for name in transfer if "/train-" in name] == ["synthetic/densefuse/train-seed0"]
    assert trainings.items() >= {n: i for n, i in transfer.items() if "/train-" in n}.items()
    tests = {name: found for name, found in cross.items() if "/detect" in name}
    assert len(tests) == 4 == len(set(tests.values()))
    assert [name for name in transfer if "/detect" in name] == [
        f"synthetic/{row}/detect-by-densefuse" for row in ("average", "densefuse")
    ]
    assert tests.items() >= {n: i for n, i in transfer.items() if "/detect" in n}.items()
    # Who is only tested needs no fused training images.
    assert "synthetic/average/fuse-rest" in cross.keys() - transfer.keys()


def test_each_job_comes_after_what_it_needs(config: RunConfig) -> None:
    for protocol, train_on in (("own", ()), ("transfer", ("densefuse",)), ("cross", ())):
        seen = set()
        for job in plan(under(config, protocol, *train_on)).jobs:
            assert seen.issuperset(job.needs)
            seen.add(job.key)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"detect.protocol": "swap"}, "detect.protocol is 'swap'"),
        ({"detect.protocol": "transfer"}, "detect.train_on is empty"),
        ({"detect.train_on": ["visible"]}, 'with detect.protocol = "own" every row trains'),
        ({"detect.train_on": "visible"}, "detect.train_on must be a list"),
        (
            {"detect.protocol": "transfer", "detect.train_on": ["visible"] * 2},
            "detect.train_on has an entry twice",
        ),
    ],
)
def test_protocols_that_make_no_sense(flags: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        read(None, flags)


def test_who_trains_must_be_a_row(config: RunConfig) -> None:
    with pytest.raises(UserError, match=r"train_on names 'averag'.*'average'.*add it to methods"):
        plan(under(config, "transfer", "averag"))


Change = Callable[[RunConfig], RunConfig]
ALL_BUT_COSTS = {"fuse", "fuse-rest", "score", "train-seed0", "detect"}


def overridden(config: RunConfig, **changes: object) -> RunConfig:
    return replace(config, detect=replace(config.detect, overrides=changes))


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        (lambda c: replace(c, limit=1), ALL_BUT_COSTS),
        (lambda c: replace(c, seed=1), ALL_BUT_COSTS),
        (lambda c: replace(c, score=replace(c.score, convention="cddfuse-python")), {"score"}),
        (lambda c: replace(c, score=replace(c.score, metrics=("EN",))), {"score"}),
        (lambda c: replace(c, detect=replace(c.detect, seeds=(1,))), {"train-seed0", "detect"}),
        (lambda c: replace(c, detect=replace(c.detect, seeds=(0, 1))), {"detect"}),
        (lambda c: overridden(c, epochs=7), {"train-seed0", "detect"}),
        # What a finished detector is asked with changes no training.
        (lambda c: overridden(c, nms_iou=0.6), {"detect"}),
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
