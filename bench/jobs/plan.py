"""The plan: which jobs a configuration asks for, in order, each with its identity and its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.config import RunConfig, as_record
from bench.data import registry as data_registry
from bench.errors import UserError
from bench.jobs.data import DataPart, OpenedData, open_data
from bench.jobs.identity import code_hashes, identity
from bench.jobs.rows import Progress, Row, Work, folder_row, network_row
from bench.jobs.store import Key, Store
from bench.methods import registry as method_registry
from bench.methods.weights import sha256_of

COST = "_cost"


@dataclass(frozen=True)
class Job:
    """One job. work(folder, progress) returns facts. needs: keys that must be done first.

    unready: (status, reason) of a job that can't run at all, or None. made: what the identity is
    the hash of. config: of the whole run, with its seed, for the record alone.
    """

    key: Key
    stage: str
    identity: str
    work: Work
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Key, ...] = ()
    unready: tuple[str, str] | None = None
    made: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measures_time(self) -> bool:
        """Whether other work on the same machine would change the result."""
        return self.stage == "profile"

    def record(self) -> dict[str, Any]:
        """The part of job.json that is known before the job runs."""
        return {
            "stage": self.stage,
            "dataset": self.key.dataset,
            "method": self.key.method,
            "part": self.key.folder,
            "identity": self.identity,
            "made": dict(self.made),
            "options": dict(self.options),
            "facts": dict(self.facts),
            "config": dict(self.config),
        }


@dataclass(frozen=True)
class Plan:
    """All jobs of a run in an order in which each comes after what it needs. methods: its rows."""

    jobs: tuple[Job, ...]
    datasets: Mapping[str, Mapping[str, Any]]
    methods: tuple[str, ...]

    def job(self, key: Key) -> Job:
        """The job of this key, which the plan must have."""
        return next(job for job in self.jobs if job.key == key)


def resolve_device(wanted: str) -> str:
    """`auto` is CUDA where there is one. Raises UserError for a device that is not here."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError):
        raise UserError(
            f"device '{wanted}' is not usable on this machine: use cpu or auto."
        ) from None
    return wanted


def _fuse_job(data: OpenedData, row: Row, part: DataPart) -> Job:
    step = row.fuse(data, part)
    key = Key(data.pairs.name, row.name, part.folder)
    return Job(
        key,
        "fuse",
        identity(step.made),
        step.work,
        step.options,
        data.facts,
        unready=step.unready,
        made=step.made,
    )


def _profile_job(row: Row) -> Job:
    step = row.profile()
    return Job(
        Key(COST, row.name, "profile"),
        "profile",
        identity(step.made),
        step.work,
        step.options,
        unready=step.unready,
        made=step.made,
    )


def _fused_paths(store: Store, data: OpenedData, method: str) -> dict[str, Path]:
    return {
        pair.id: store.final(Key(data.pairs.name, method, part.folder)) / f"{pair.id}.png"
        for part in data.parts
        for pair in part.pairs
    }


def _score_job(
    config: RunConfig,
    data: OpenedData,
    method: str,
    fused: Sequence[Job],
    store: Store,
    threads: int,
) -> Job:
    from bench.stages import score

    source = next(job for job in fused if job.key.folder == "fuse")
    options = {"convention": config.score.convention, "metrics": list(config.score.metrics)}
    made = {
        "stage": "score",
        "code": code_hashes(("bench.metrics", "bench.stages.score", "bench.data.images")),
        "options": options,
        "needs": [source.identity],
    }

    def work(folder: Path, progress: Progress) -> Mapping[str, Any]:
        task = score.ScoreTask(
            pairs=data.parts[0].pairs,
            fused=_fused_paths(store, data, method),
            metrics=config.score.metrics,
            convention=config.score.convention,
            threads=threads,
        )
        return score.run(task, folder, progress)

    key = Key(data.pairs.name, method, "score")
    needs = (source.key,)
    return Job(key, "score", identity(made), work, options, data.facts, needs, made=made)


def _detect_job(
    config: RunConfig,
    data: OpenedData,
    method: str,
    fused: Sequence[Job],
    store: Store,
    device: str,
    threads: int,
) -> Job:
    from bench.stages import detect

    split = data.pairs.split
    recipe = detect.recipe(config.detect.preset, config.detect.overrides, config.detect.seeds)
    ids = (*split.train, *split.val, *split.test) if split else ()
    options = {"recipe": asdict(recipe), "device": device}
    facts = {
        **data.facts,
        "recipe": asdict(recipe),
        "recipe_open": detect.OPEN.get(config.detect.preset, ""),
    }
    if split:
        facts["split"] = split.name
        facts["split_sha256"] = split.sha256
        facts["split_leakage"] = split.leakage
    made = {
        "stage": "detect",
        "code": code_hashes(
            (
                "bench.stages.detect",
                "bench.stages.detection_errors",
                "bench.stages.detector",
                "bench.stages.yolo",
                "bench.stages.average_precision",
                "bench.data.box",
                "bench.data.coco",
                "bench.data.labels",
            )
        ),
        "options": options,
        "init": sha256_of(init) if (init := detect.init_file(recipe)) else "",
        "split": facts.get("split_sha256"),
        "classes": data.pairs.classes,
        "needs": [job.identity for job in fused],
    }

    def work(folder: Path, progress: Progress) -> Mapping[str, Any]:
        assert split is not None
        by_id = data.pairs.by_id()
        boxes = {id_: path for id_ in ids if (path := by_id[id_].boxes) is not None}
        task = detect.DetectTask(
            images=_fused_paths(store, data, method),
            boxes=boxes,
            sizes=data.sizes,
            classes=data.pairs.classes,
            train=split.train,
            val=split.val,
            test=split.test,
            recipe=recipe,
            device=device,
            threads=threads,
        )
        return detect.run(task, folder, progress)

    unready = None if split else ("not applicable", data.pairs.no_split)
    key = Key(data.pairs.name, method, "detect")
    needs = tuple(job.key for job in fused)
    return Job(key, "detect", identity(made), work, options, facts, needs, unready, made)


def cpu_threads(config: RunConfig) -> int:
    """Threads for CPU work: the configured number, or all cores."""
    import torch

    return config.threads or torch.get_num_threads()


def settle(config: RunConfig) -> RunConfig:
    """The configuration with what depends on this machine fixed, so that other processes and
    machines make the same plan of it. Raises UserError for a device that is not here.
    """
    return replace(config, device=resolve_device(config.device), threads=cpu_threads(config))


def make_plan(config: RunConfig, store: Store, share: int = 0) -> Plan:
    """Every job of the configuration. Raises UserError for anything that can't be planned.

    share: CPU threads that a job which measures no time may use, of the configured ones; 0: all.
    A named device is taken as it is: another machine may have it (see `settle`).
    """
    from bench.metrics.conventions import find_convention
    from bench.metrics.registry import find_metrics

    methods = method_registry.expand(config.methods)
    find_metrics(config.score.metrics, find_convention(config.score.convention))
    stages = set(config.stages)
    device = resolve_device("auto") if config.device == "auto" else config.device
    threads = share or cpu_threads(config)
    rows = [
        *(network_row(config, name, device, cpu_threads(config)) for name in methods),
        *(folder_row(config, name) for name in config.fused),
    ]
    if not rows:
        raise UserError("Nothing to run: name at least one method, or --fused NAME=DIR.")
    jobs: list[Job] = []
    datasets: dict[str, Mapping[str, Any]] = {}
    for dataset in config.datasets:
        supported = data_registry.adapter(dataset).stages
        if not stages & {"fuse", "score", "detect"} & set(supported):
            continue
        data = open_data(config, dataset)
        datasets[dataset] = data.facts
        wanted = [part for part in data.parts if part.folder == "fuse" or "detect" in stages]
        for row in rows:
            fused = [_fuse_job(data, row, part) for part in wanted]
            jobs += fused
            if "score" in stages and data.pairs.scored:
                jobs.append(_score_job(config, data, row.name, fused, store, threads))
            if "detect" in stages and "detect" in supported:
                jobs.append(_detect_job(config, data, row.name, fused, store, device, threads))
    if "profile" in stages:
        jobs += [_profile_job(row) for row in rows]
    record = as_record(config)
    jobs = [replace(job, config=record) for job in jobs]
    return Plan(tuple(jobs), datasets, tuple(row.name for row in rows))
