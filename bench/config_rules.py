"""What no type can check of a RunConfig: known words, bounds, lists that must not be empty."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.config import STAGES, DetectConfig, RunConfig
from bench.data import registry as data_registry
from bench.data.names import name_problem
from bench.errors import UserError, did_you_mean

TRACKS = ("any", "official", "suite")
MOST_THREADS = 4096
PROTOCOLS = ("own", "transfer", "cross")
EXECUTORS = ("local", "slurm", "dask")
LEAST_PATIENCE = 20


def _one_of(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(
            f"{key} is '{value}'{did_you_mean(value, known)}; known: {', '.join(known)}."
        )


def _needed_lists(config: RunConfig) -> dict[str, tuple[Any, ...]]:
    """The lists that must name something for the stages asked for."""
    needed: dict[str, tuple[Any, ...]] = {"stages": config.stages}
    if set(config.stages) - {"profile"}:
        needed["datasets"] = config.datasets
    if "score" in config.stages:
        needed["score.metrics"] = config.score.metrics
    if "detect" in config.stages:
        needed["detect.seeds"] = config.detect.seeds
        if config.detect.protocol == "transfer":
            needed["detect.train_on"] = config.detect.train_on
    if "profile" in config.stages:
        needed["profile.resolutions"] = config.profile.resolutions
        needed["profile.batches"] = config.profile.batches
    return needed


def _check_execution(config: RunConfig) -> None:
    _one_of("run.executor", config.run.executor, EXECUTORS)
    least = {
        "run.jobs": (config.run.jobs, 1),
        "run.stale_after": (config.run.stale_after, LEAST_PATIENCE),
        "slurm.gpus": (config.slurm.gpus, 0),
        "slurm.cpus": (config.slurm.cpus, 1),
        "slurm.minutes": (config.slurm.minutes, 1),
        "slurm.requeues": (config.slurm.requeues, 0),
        "slurm.at_once": (config.slurm.at_once, 1),
    }
    for key, (value, bound) in least.items():
        if value < bound:
            raise UserError(f"{key} is {value}: use {bound} or more.")
    if config.run.executor != "local" and config.run.jobs != 1:
        raise UserError(
            f"run.jobs is {config.run.jobs}, but it counts local processes: leave it out, the "
            f"executor '{config.run.executor}' has its own number of workers."
        )
    if config.run.executor == "dask" and not config.dask.address:
        raise UserError(
            "dask.address is missing: give the scheduler's, such as "
            "--set dask.address=tcp://127.0.0.1:8786."
        )


def _check_protocol(detect: DetectConfig) -> None:
    _one_of("detect.protocol", detect.protocol, PROTOCOLS)
    if detect.protocol != "transfer" and detect.train_on:
        raise UserError(
            f"detect.train_on names {', '.join(detect.train_on)}, but with detect.protocol = "
            f'"{detect.protocol}" every row trains: leave it out, or use "transfer".'
        )


def validate(config: RunConfig) -> RunConfig:
    """Values that no type can check; returns the config with families of data sets expanded."""
    for stage in config.stages:
        _one_of("stages", stage, STAGES)
    _one_of("weights.track", config.weights.track, TRACKS)
    _one_of("fuse.output", config.fuse.output, ("clip", "authors"))
    if problem := name_problem(config.name):
        raise UserError(
            f"name is '{config.name}': a run's name is one plain folder name, but {problem}."
        )
    for name in config.fused:
        if problem := name_problem(name):
            raise UserError(
                f"fused has the row '{name}': a row's name is one plain folder name, but {problem}."
            )
    if config.fuse.tile < 0 or config.fuse.overlap < 0:
        raise UserError("fuse.tile and fuse.overlap must be 0 or larger.")
    if config.fuse.batch < 0:
        raise UserError(f"fuse.batch is {config.fuse.batch}: use 0 for automatic, or 1 or more.")
    if config.limit < 0:
        raise UserError(f"limit is {config.limit}: use 0 for all pairs or a positive number.")
    if not 0 <= config.threads <= MOST_THREADS:
        raise UserError(
            f"threads is {config.threads}: use 0 for all cores, or 1 to {MOST_THREADS}."
        )
    if config.profile.seconds <= 0:
        raise UserError(f"profile.seconds is {config.profile.seconds}: use a positive number.")
    for key, seed in (("seed", config.seed), *(("detect.seeds", s) for s in config.detect.seeds)):
        if not 0 <= seed < 2**32:
            raise UserError(f"{key} is {seed}: use 0 to {2**32 - 1}.")
    for key, entries in _needed_lists(config).items():
        if not entries:
            raise UserError(f"{key} is empty: name at least one.")
        if len(set(entries)) < len(entries):
            raise UserError(f"{key} has an entry twice: {', '.join(map(str, entries))}.")
    _check_protocol(config.detect)
    _check_execution(config)
    datasets = data_registry.expand(config.datasets)
    for name in datasets:
        data_registry.adapter(name)
    for name in ("resolutions", "scaling"):
        for resolution in getattr(config.profile, name):
            height, _, width = resolution.partition("x")
            if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
                raise UserError(f"profile.{name} has '{resolution}': write HEIGHTxWIDTH.")
    if 1 not in config.profile.batches or min(config.profile.batches) < 1:
        raise UserError(
            f"profile.batches is {list(config.profile.batches)}: use positive numbers and 1 among "
            "them."
        )
    return replace(config, datasets=datasets)
