"""Results folders -> one tidy data frame, and the facts of the jobs beside it.

Every table, figure and page takes these two and nothing else. The folders are the only truth:
``results/<run>/<dataset>/<method>/<stage>/{job.json,values.csv}``, or ``<stage>.partial`` for a job
that has not finished; a stage is one of `STAGES`, or `TRAINING` with a seed, or `BY_ANOTHER` with a
row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench.data.contents import number_differences, read_object
from bench.data.names import name_problem
from bench.errors import UserError
from bench.stages import values

COLUMNS = ("dataset", "method", "stage", "item", "seed", "name", "value", "status", "reason")
STAGES = ("fuse", "fuse-rest", "score", "detect", "profile")
TRAINING, BY_ANOTHER = "train-seed", "detect-by-"
"""Stages of which a row has one for each seed, and one for each row whose detectors tested it."""
COST = "_cost"
FINISHED = ("done", "cached")
PARTIAL, RECORD = ".partial", "job.json"
# Tables, their files and their LaTeX labels are named after the data sets.
_DATASET = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Job:
    """What ``job.json`` says, without the values."""

    dataset: str
    method: str
    stage: str
    status: str = "not run"
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the folder's values count."""
        return self.status in FINISHED


@dataclass(frozen=True)
class Jobs:
    """The jobs of one run by ``(dataset, method, stage)``, and the order that was asked for.

    datasets: without the cost folder. methods, datasets, stages: in the order of ``run.json``,
    then what else lies in the run's folder, by name.
    """

    run: str
    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    stages: tuple[str, ...]
    found: Mapping[tuple[str, str, str], Job]

    def get(self, dataset: str, method: str, stage: str) -> Job:
        """The job, or one with status "not run" where it never got a folder."""
        return self.found.get((dataset, method, stage), Job(dataset, method, stage))

    def trained(self, dataset: str) -> tuple[str, ...]:
        """The rows whose detectors were tested on others' images, in the order of the methods."""
        stages = (stage for name, _, stage in self.found if name == dataset)
        found = {s.removeprefix(BY_ANOTHER) for s in stages if s.startswith(BY_ANOTHER)}
        return _ordered([name for name in self.methods if name in found], list(found))

    def trainings(self, dataset: str, method: str) -> tuple[Job, ...]:
        """The trainings on the row's images that have a folder."""
        keys = (key for key in self.found if key[:2] == (dataset, method))
        return tuple(self.found[key] for key in keys if key[2].startswith(TRAINING))

    def of_stage(self, dataset: str, stage: str) -> tuple[Job, ...]:
        """The jobs of one stage that have a folder, in the order of the methods."""
        keys = ((dataset, method, stage) for method in self.methods)
        return tuple(self.found[key] for key in keys if key in self.found)


def read_results(run: Path) -> pd.DataFrame:
    """One row per value of the run, in the columns `COLUMNS`, in the order asked for.

    A job without values has one row with an empty `item` and `name`, its `value` missing, so that
    grouping by status finds it.
    """
    parts = []
    for job in read_jobs(run).found.values():
        found = _values(run / job.dataset / job.method / job.stage) if job.finished else None
        if found is None or found.empty:
            found = pd.DataFrame({"item": [""], "seed": [None], "name": [""], "value": [None]})
        parts.append(
            found.assign(
                dataset=job.dataset,
                method=job.method,
                stage=job.stage,
                status=job.status,
                reason=job.reason,
            )
        )
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    frame = frame[list(COLUMNS)]
    return frame.astype({"seed": "Int64", "value": "float64"})


def read_jobs(run: Path) -> Jobs:
    """Every job of the run that has a folder, however far it came.

    Raises UserError where a finished job's numbers are not what the job wrote.
    """
    if not run.is_dir():
        raise UserError(f"No results in {run}: the folder doesn't exist; name the folder of a run.")
    record = read_object(run / "run.json")
    asked = {key: _names(record.get(key)) for key in ("datasets", "methods", "stages")}
    names = sorted({name for path in run.glob("*/*/*") if (name := _name(path, run)) is not None})
    known = [name for name in asked["datasets"] if _DATASET.fullmatch(name)]
    datasets = _ordered(known, [name[0] for name in names])
    methods = _ordered(asked["methods"], [name[1] for name in names])
    stages = _ordered(asked["stages"], [name[2] for name in names])
    order = {name: place for place, name in enumerate((*datasets, *methods))}
    stage_order = {name: place for place, name in enumerate(_ordered(STAGES, list(stages)))}
    names.sort(key=lambda name: (order[name[0]], order[name[1]], stage_order[name[2]]))
    found = {(d, m, s): _job(run, d, m, s) for d, m, s in names}
    return Jobs(
        run=run.name,
        methods=methods,
        datasets=tuple(name for name in datasets if name != COST),
        stages=stages,
        found=found,
    )


def _name(folder: Path, run: Path) -> tuple[str, str, str] | None:
    """(data set, method, stage) of a job's folder; None for anything else, as put-aside results."""
    dataset, method, stage = folder.relative_to(run).parts
    stage = stage.removesuffix(PARTIAL)
    if not is_stage(stage) or not _DATASET.fullmatch(dataset) or not folder.is_dir():
        return None
    return dataset, method, stage


def is_stage(name: str) -> bool:
    """Whether a folder of this name can be a job's."""
    by = name.removeprefix(BY_ANOTHER)
    trained = name.removeprefix(TRAINING)
    return (
        name in STAGES
        or (by != name and not name_problem(by))
        or (trained != name and trained.isdecimal())
    )


def _names(listed: Any) -> tuple[str, ...]:
    """What a list of run.json names; anything else than plain text in it is left out."""
    words = listed if isinstance(listed, list) else ()
    return tuple(name for name in words if isinstance(name, str) and not name_problem(name))


def _ordered(first: Sequence[str], rest: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *sorted(rest))))


def _job(run: Path, dataset: str, method: str, stage: str) -> Job:
    folder = run / dataset / method / stage
    if not folder.is_dir():
        folder = folder.with_name(stage + PARTIAL)
    content = read_object(folder / RECORD)
    if not content:
        return Job(dataset, method, stage, "interrupted", "job.json is missing or cut off")
    facts = content.get("facts") or {}
    if not isinstance(facts, dict):
        return Job(dataset, method, stage, "interrupted", "job.json is damaged")
    status, reason = str(content.get("status", "interrupted")), str(content.get("reason") or "")
    if status in FINISHED:
        _check_numbers(folder, content)
    needs_values = not stage.startswith(("fuse", TRAINING))
    if status in FINISHED and needs_values and _values(folder) is None:
        status, reason = "interrupted", "values.csv is missing or cut off"
    return Job(dataset, method, stage, status, reason, facts)


def _check_numbers(folder: Path, record: Mapping[str, Any]) -> None:
    for difference in number_differences(folder, record, RECORD):
        # What is missing gives no number, and its row says so.
        if difference.kind == "changed":
            raise UserError(
                f"{folder / difference.file} was changed after its job had ended "
                f"({difference.why}): run 'bench run' again, which makes it anew, or put the "
                "original file back."
            )


def _values(folder: Path) -> pd.DataFrame | None:
    """item, seed, name, value as stored, or None where the file is absent or cut off."""
    try:
        rows = values.read(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pd.DataFrame(
        {
            "item": [row.item for row in rows],
            "seed": [row.seed for row in rows],
            "name": [row.name for row in rows],
            "value": [row.value for row in rows],
        }
    )
