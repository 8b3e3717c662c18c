"""The jobs of the detect stage: trainings, one per row and seed, and tests of their detectors.

The protocol says which row's detectors are tested on which row's images; a training is the same job
whoever is tested with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.config import RunConfig
from bench.data.pairs import Split
from bench.errors import UserError, did_you_mean
from bench.jobs.data import OpenedData
from bench.jobs.identity import code_hashes, identity
from bench.jobs.job import Job
from bench.jobs.rows import Progress
from bench.jobs.store import Key, Store
from bench.methods.weights import sha256_of
from bench.stages.detector import Labelled
from bench.stages.detector_recipe import OPEN, DetectRecipe, init_file, recipe

_SHARED_CODE = (
    "bench.data.box",
    "bench.data.coco",
    "bench.data.labels",
    "bench.stages.detector",
    "bench.stages.yolo",
)
_TRAINING_CODE = (
    "bench.stages.train_detector",
    "bench.stages.yolo_resume",
    "bench.stages.yolo_train",
)
_TEST_CODE = (
    "bench.stages.average_precision",
    "bench.stages.detect",
    "bench.stages.detection_errors",
    "bench.stages.yolo_ask",
)


@dataclass(frozen=True)
class Place:
    """Where the jobs run, and where their inputs lie."""

    store: Store
    device: str
    threads: int


@dataclass(frozen=True)
class _Setting:
    """What all detection jobs of one data set share."""

    data: OpenedData
    split: Split
    recipe: DetectRecipe
    place: Place
    fused: Mapping[str, Sequence[Job]]

    def facts(self) -> dict[str, Any]:
        split = self.split
        return {
            **self.data.facts,
            "split": split.name,
            "split_sha256": split.sha256,
            "split_leakage": split.leakage,
        }

    def fusing(self, row: str, ids: Iterable[str]) -> tuple[Job, ...]:
        """The jobs that make the row's images of these ids."""
        folders = _parts_with(self.data, ids)
        return tuple(job for job in self.fused[row] if job.key.folder in folders)

    def labelled(self, row: str, ids: Iterable[str]) -> Labelled:
        """The row's images with the boxes of these ids."""
        by_id = self.data.pairs.by_id()
        return Labelled(
            images=fused_paths(self.place.store, self.data, row),
            boxes={id_: path for id_ in ids if (path := by_id[id_].boxes) is not None},
            sizes=self.data.sizes,
            classes=self.data.pairs.classes,
        )


def fused_paths(store: Store, data: OpenedData, method: str) -> dict[str, Path]:
    """Where a row's fused images are, or will be, by id."""
    return {
        pair.id: store.final(Key(data.pairs.name, method, part.folder)) / f"{pair.id}.png"
        for part in data.parts
        for pair in part.pairs
    }


def tested(config: RunConfig, rows: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Row -> the rows whose detectors are tested on its images. UserError for an unknown row."""
    train_on = config.detect.train_on
    for name in train_on:
        if name not in rows:
            raise UserError(
                f"detect.train_on names '{name}'{did_you_mean(name, rows)}, which is no row of "
                f"this run: add it to methods; the rows are {', '.join(rows)}."
            )
    trained = {"transfer": train_on, "cross": tuple(rows)}
    return {row: trained.get(config.detect.protocol, (row,)) for row in rows}


def parts_needed(
    config: RunConfig, data: OpenedData, rows: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Row -> the parts of the data set that detection wants fused: who trains nothing is fused on
    the test part alone.
    """
    split = data.pairs.split
    if split is None:
        return {}
    tests = tested(config, rows)
    training = {row for trained in tests.values() for row in trained}
    return {
        row: _parts_with(
            data, (*split.test, *((*split.train, *split.val) if row in training else ()))
        )
        for row in rows
    }


def _parts_with(data: OpenedData, ids: Iterable[str]) -> frozenset[str]:
    wanted = set(ids)
    return frozenset(
        part.folder for part in data.parts if any(pair.id in wanted for pair in part.pairs)
    )


def detection_jobs(
    config: RunConfig, data: OpenedData, fused: Mapping[str, Sequence[Job]], place: Place
) -> dict[str, list[Job]]:
    """Row -> its trainings and the tests on its images. fused: the jobs that fuse each row."""
    pairs = tested(config, list(fused))
    chosen = recipe(config.detect.preset, config.detect.overrides, config.detect.seeds)
    if data.pairs.split is None:
        return {row: [_impossible(data, row, data.pairs.no_split)] for row in fused}
    setting = _Setting(data, data.pairs.split, chosen, place, fused)
    trainings = {
        row: [_training(setting, row, seed) for seed in chosen.seeds]
        for row in dict.fromkeys(row for trained in pairs.values() for row in trained)
    }
    own = config.detect.protocol == "own"
    folders = {row: "detect" if own else f"detect-by-{row}" for row in fused}
    facts = {"recipe": asdict(chosen), "recipe_open": OPEN.get(config.detect.preset, "")}
    return {
        row: [
            *trainings.get(row, ()),
            *(
                _test(setting, Key(data.pairs.name, row, folders[by]), by, trainings[by], facts)
                for by in pairs[row]
            ),
        ]
        for row in fused
    }


def _impossible(data: OpenedData, row: str, reason: str) -> Job:
    def work(folder: Path, progress: Progress) -> Mapping[str, Any]:
        raise UserError(reason)

    made, unready = {"unready": reason}, ("not applicable", reason)
    key = Key(data.pairs.name, row, "detect")
    return Job(key, "detect", identity(made), work, facts=data.facts, unready=unready, made=made)


def _training(setting: _Setting, row: str, seed: int) -> Job:
    split, place = setting.split, setting.place
    ids = (*split.train, *split.val)
    needed = setting.fusing(row, ids)
    options = {"recipe": setting.recipe.of_training(), "seed": seed, "device": place.device}
    init = init_file(setting.recipe)
    made = {
        "stage": "train",
        "code": code_hashes((*_SHARED_CODE, *_TRAINING_CODE)),
        "options": options,
        "init": sha256_of(init) if init else "",
        "split": split.sha256,
        "classes": setting.data.pairs.classes,
        "needs": [job.identity for job in needed],
    }

    def work(folder: Path, progress: Progress) -> Mapping[str, Any]:
        from bench.stages import train_detector

        task = train_detector.TrainTask(
            labelled=setting.labelled(row, ids),
            train=split.train,
            val=split.val,
            recipe=setting.recipe,
            seed=seed,
            device=place.device,
            threads=place.threads,
        )
        return train_detector.run(task, folder, progress)

    return Job(
        Key(setting.data.pairs.name, row, f"train-seed{seed}"),
        "train",
        identity(made),
        work,
        options,
        setting.facts(),
        tuple(job.key for job in needed),
        made=made,
    )


def _test(
    setting: _Setting, key: Key, by: str, trainings: Sequence[Job], facts: Mapping[str, Any]
) -> Job:
    """The test of the detectors of the row `by` on the images of the key's row."""
    split, place, chosen = setting.split, setting.place, setting.recipe
    needed = (*setting.fusing(key.method, split.test), *trainings)
    options = {"recipe": chosen.of_query(), "seeds": chosen.seeds, "device": place.device}
    made = {
        "stage": "detect",
        "code": code_hashes((*_SHARED_CODE, *_TEST_CODE)),
        "options": options,
        "split": split.sha256,
        "classes": setting.data.pairs.classes,
        "needs": [job.identity for job in needed],
    }

    def work(folder: Path, progress: Progress) -> Mapping[str, Any]:
        from bench.stages import detect

        trained = {
            seed: place.store.final(job.key)
            for seed, job in zip(chosen.seeds, trainings, strict=True)
        }
        task = detect.DetectTask(
            labelled=setting.labelled(key.method, split.test),
            test=split.test,
            detectors=trained,
            recipe=chosen,
            device=place.device,
            threads=place.threads,
        )
        return detect.run(task, folder, progress)

    counts = {part: len(getattr(split, part)) for part in ("train", "val", "test")}
    return Job(
        key,
        "detect",
        identity(made),
        work,
        options,
        {**setting.facts(), **facts, "detector_of": by, "images": counts},
        tuple(job.key for job in needed),
        made=made,
    )
