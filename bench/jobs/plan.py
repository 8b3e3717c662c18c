"""The plan: which jobs a configuration asks for, in order, each with its identity and its task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.config import RunConfig, as_record
from bench.data import registry as data_registry
from bench.errors import UserError
from bench.jobs.data import DataPart, OpenedData, open_data
from bench.jobs.detection import Place, detection_jobs, fused_paths, parts_needed
from bench.jobs.identity import code_hashes, identity
from bench.jobs.job import Job
from bench.jobs.rows import Progress, Row, folder_row, network_row
from bench.jobs.store import Key, Store
from bench.methods import registry as method_registry

COST = "_cost"


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
        {**data.facts, **step.facts},
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
            fused=fused_paths(store, data, method),
            metrics=config.score.metrics,
            convention=config.score.convention,
            threads=threads,
        )
        return score.run(task, folder, progress)

    key = Key(data.pairs.name, method, "score")
    needs = (source.key,)
    return Job(key, "score", identity(made), work, options, data.facts, needs, made=made)


def _in_order(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """The jobs as they are listed, but each after what it needs."""
    listed = {job.key: job for job in jobs}
    placed: dict[Key, Job] = {}

    def place(job: Job) -> None:
        for key in job.needs:
            place(listed[key])
        placed.setdefault(job.key, job)

    for job in jobs:
        place(job)
    return tuple(placed.values())


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
    names = tuple(row.name for row in rows)
    jobs: list[Job] = []
    datasets: dict[str, Mapping[str, Any]] = {}
    for dataset in config.datasets:
        supported = data_registry.adapter(dataset).stages
        if not stages & {"fuse", "score", "detect"} & set(supported):
            continue
        data = open_data(config, dataset)
        datasets[dataset] = data.facts
        detects = "detect" in stages and "detect" in supported
        needed = parts_needed(config, data, names) if detects else {}
        fused = {
            row.name: [
                _fuse_job(data, row, part)
                for part in data.parts
                if part.folder == "fuse" or part.folder in needed.get(row.name, ())
            ]
            for row in rows
        }
        place = Place(store, device, threads)
        detection = detection_jobs(config, data, fused, place) if detects else {}
        for name in names:
            jobs += fused[name]
            if "score" in stages and data.pairs.scored:
                jobs.append(_score_job(config, data, name, fused[name], store, threads))
            jobs += detection.get(name, ())
    if "profile" in stages:
        jobs += [_profile_job(row) for row in rows]
    record = as_record(config)
    jobs = [replace(job, config=record) for job in jobs]
    return Plan(_in_order(jobs), datasets, names)
