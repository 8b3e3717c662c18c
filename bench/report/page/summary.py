"""What was run and how far it came: the data sets, the status of every job, and warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import counted
from bench.report import footers
from bench.report.frame import BY_ANOTHER, COST, FINISHED, STAGES, TRAINING, Job, Jobs
from bench.report.rows import title_of

# How a status looks; words stand beside the sign, colour alone carries nothing.
LOOKS = {
    "done": ("✓", "good"),
    "cached": ("✓", "good"),
    "failed": ("✕", "bad"),
    "interrupted": ("!", "bad"),
    "no weights": ("○", "lacking"),
    "skipped": ("○", "lacking"),
    "not run": ("·", "lacking"),
    "running": ("…", "lacking"),
    "not applicable": ("–", "none"),
}
STAGE_WORDS = {"fuse-rest": "fuse (detection split)", "profile": "cost"}


@dataclass(frozen=True)
class Status:
    """One job as a cell of the status table."""

    words: str
    sign: str
    look: str
    reason: str


@dataclass(frozen=True)
class Column:
    """One stage on one data set ("" for the cost of a method)."""

    dataset: str
    stage: str


@dataclass(frozen=True)
class SetFacts:
    """What is known about one data set of the run."""

    name: str
    title: str
    pairs: int
    split: str
    conventions: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """counts: jobs by status, finished ones together as "done". grid: (method, label, cells)."""

    counts: tuple[tuple[str, int, str], ...]
    columns: tuple[Column, ...]
    grid: tuple[tuple[str, str, tuple[Status, ...]], ...]
    unfinished: tuple[tuple[str, str, str, str, str], ...]
    sets: tuple[SetFacts, ...]
    warnings: tuple[str, ...]


def summarise(jobs: Jobs, asked: Mapping[str, Any], unfound: Mapping[str, str]) -> Summary:
    """asked: run.json. unfound: data sets whose source images are not on this machine, and why."""
    stages = [(d, s) for d in (*jobs.datasets, COST) for s in _stages(jobs, d)]
    grid = []
    unfinished = []
    for method in jobs.methods:
        label = footers.printed_name(jobs, (*jobs.datasets, COST)[0], method)
        cells = [jobs.get(dataset, method, stage) for dataset, stage in stages]
        grid.append((method, label, tuple(map(_status, cells))))
        unfinished += [
            (label, _set_title(job.dataset), _stage(job.stage), job.status, job.reason)
            for job in cells
            if job.status not in (*FINISHED, "not applicable")
        ]
    trainings = [job for job in jobs.found.values() if job.stage.startswith(TRAINING)]
    unfinished += [
        (
            footers.printed_name(jobs, job.dataset, job.method),
            _set_title(job.dataset),
            _stage(job.stage),
            job.status,
            job.reason,
        )
        for job in trainings
        if not job.finished
    ]
    of_rows = (jobs.get(d, method, stage) for method in jobs.methods for d, stage in stages)
    counted = Counter("done" if job.finished else job.status for job in (*of_rows, *trainings))
    order = [word for word in LOOKS if word in counted] + sorted(set(counted) - set(LOOKS))
    return Summary(
        counts=tuple((word, counted[word], _look(word)[1]) for word in order),
        columns=tuple(Column(_set_title(d), _stage(s)) for d, s in stages),
        grid=tuple(grid),
        unfinished=tuple(unfinished),
        sets=tuple(_set_facts(jobs, name) for name in jobs.datasets),
        warnings=tuple(_warnings(jobs, asked, unfound)),
    )


def _stages(jobs: Jobs, dataset: str) -> list[str]:
    """The stages of which the data set has any job that is not "not applicable"."""
    every = (*STAGES, *(stage for stage in jobs.stages if stage.startswith(BY_ANOTHER)))
    return [
        stage
        for stage in every
        if any(job.status != "not applicable" for job in jobs.of_stage(dataset, stage))
    ]


def _look(status: str) -> tuple[str, str]:
    return LOOKS.get(status, ("?", "lacking"))


def _status(job: Job) -> Status:
    sign, look = _look(job.status)
    return Status("done" if job.finished else job.status, sign, look, job.reason)


def _stage(stage: str) -> str:
    words = stage.replace(TRAINING, "train, seed ").replace(BY_ANOTHER, "detect by ")
    return STAGE_WORDS.get(stage, words)


def _set_title(dataset: str) -> str:
    return "" if dataset == COST else title_of(dataset)


def _set_facts(jobs: Jobs, name: str) -> SetFacts:
    fused = [job.facts for s in ("fuse", "fuse-rest") for job in jobs.of_stage(name, s)]
    scored = [job.facts for job in jobs.of_stage(name, "score") if job.finished]
    detected = [job.facts for job in jobs.of_stage(name, "detect") if job.finished]
    pairs = [
        sum(
            int(images)
            for stage in ("fuse", "fuse-rest")
            if isinstance(images := jobs.get(name, method, stage).facts.get("images"), int)
        )
        for method in jobs.methods
    ]
    splits = dict.fromkeys(
        f"{f['split']} (sha256 {str(f.get('split_sha256') or 'unknown')[:12]})"
        for f in detected
        if f.get("split")
    )
    return SetFacts(
        name=name,
        title=title_of(name),
        pairs=max(pairs, default=0),
        split=", ".join(splits),
        conventions=tuple(dict.fromkeys(str(f["convention"]) for f in scored if "convention" in f)),
        notes=tuple(
            dict.fromkeys(
                str(note)
                for key, facts in (("dataset_footnotes", fused), ("box_footnotes", detected))
                for own in facts
                for note in own.get(key) or ()
            )
        ),
    )


MARK_WORDS = {
    footers.CONTAMINATED: "weights trained on a part of the same data set",
    footers.RANDOM: "random weights, not a result",
    footers.AUTHORS: "output as the authors' script writes it (stretch or truncation)",
    footers.READY_MADE: "ready-made images, fused elsewhere",
}


def _of_detectors(jobs: Jobs) -> list[str]:
    recipes = [
        job.facts.get("recipe") or {}
        for job in jobs.found.values()
        if job.finished and job.stage.startswith("detect")
    ]
    lines = [footers.BUNDLED] if any(r.get("init") == "bundled" for r in recipes) else []
    if any(len(recipe.get("seeds") or ()) == 1 for recipe in recipes):
        lines.append("Detectors were trained once: how much another seed moves a row is not seen.")
    return lines


def _warnings(jobs: Jobs, asked: Mapping[str, Any], unfound: Mapping[str, str]) -> list[str]:
    marked: dict[tuple[str, str], list[str]] = {}
    limits = set()
    for dataset in jobs.datasets:
        for method in jobs.methods:
            facts = footers.fusion_job(jobs, dataset, method).facts
            limits |= {int(facts["limit"])} if facts.get("limit") else set()
            for mark in footers.marks(jobs, dataset, method):
                label = footers.printed_name(jobs, dataset, method)
                marked.setdefault((mark, title_of(dataset)), []).append(label)
    lines = [
        f"{mark} On {title}, {MARK_WORDS[mark]}: {', '.join(labels)}."
        for (mark, title), labels in marked.items()
        if mark in MARK_WORDS
    ]
    if limits:
        pairs = counted(max(limits), "pair")
        lines.append(f"Only the first {pairs} of each set were used (limit).")
    lines += _of_detectors(jobs)
    if (asked.get("provenance") or {}).get("dirty"):
        lines.append("The suite's code had changes that are not in its commit.")
    lines += [f"{title_of(name)}: {reason}" for name, reason in unfound.items()]
    return lines
