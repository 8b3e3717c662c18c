"""RunConfig, the only source of configuration: every key with its type and its default.

`config_file` makes one of `bench.toml` and flags, `config_rules` checks its values. Relative paths
are relative to the configuration file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STAGES = ("fuse", "score", "detect", "profile")


@dataclass(frozen=True)
class DataConfig:
    """Where data sets lie: `root`/FOLDER each, unless a set has its own root; see `options`."""

    root: str = "data"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class FuseConfig:
    """output: "clip" (clamp and round, the rule) or "authors" (as the authors published).

    tile: side of the tiles of images that don't fit into memory, 0: whole images; overlap: of
    neighbouring tiles. bfloat16, compile: faster, with the deviation told in the job's record.
    batch: pairs of equal size in one pass, 0: one on a CPU, on a GPU as many as fit.
    """

    output: str = "clip"
    random_weights: bool = False
    tile: int = 0
    overlap: int = 64
    bfloat16: bool = False
    compile: bool = False
    batch: int = 0


@dataclass(frozen=True)
class ScoreConfig:
    """Which metrics, under which convention."""

    convention: str = "standard"
    metrics: tuple[str, ...] = ("EN", "MI", "AG", "SD", "VIF", "SSIM")


@dataclass(frozen=True)
class DetectConfig:
    """A preset of the recipe, single keys that differ from it, the seeds, and the protocol.

    protocol: which detector is tested on whose images. "own": each row's on its own; "transfer":
    those of the rows `train_on` on every row's; "cross": every row's on every row's.
    """

    preset: str = "quick"
    seeds: tuple[int, ...] = (0,)
    protocol: str = "own"
    train_on: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProfileConfig:
    """Resolutions are HEIGHTxWIDTH; seconds bounds the timing of one method and resolution.

    batches: pairs in one pass, at the resolutions of the table. scaling: more resolutions, one pair
    a pass, for the figure of cost against size.
    """

    resolutions: tuple[str, ...] = ("480x640", "768x1024")
    batches: tuple[int, ...] = (1,)
    scaling: tuple[str, ...] = ()
    seconds: int = 20


@dataclass(frozen=True)
class WeightsConfig:
    """folder: imported checkpoints. use: a weight file per method instead of the known ones.

    track: "official" (the authors' files) or "suite" (trained by us under one protocol) alone, or
    "any": the authors' where they were imported, else ours.
    """

    folder: str = "weights"
    track: str = "any"
    use: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ExecutionConfig:
    """Where jobs run. jobs: local worker processes at the same time; 1: in this process.

    stale_after: seconds of silence after which the job of another machine is taken over.
    """

    executor: str = "local"
    jobs: int = 1
    stale_after: int = 120


@dataclass(frozen=True)
class SlurmConfig:
    """What each job asks Slurm for. minutes: its time limit, after which it is queued again, at
    most `requeues` times. at_once: jobs of one array at the same time. setup: shell lines before
    the job. options: more options of sbatch by name.
    """

    partition: str = ""
    account: str = ""
    gpus: int = 1
    cpus: int = 4
    memory: str = ""
    minutes: int = 720
    requeues: int = 3
    at_once: int = 64
    setup: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DaskConfig:
    """address: that of the scheduler, such as tcp://127.0.0.1:8786."""

    address: str = ""


@dataclass(frozen=True)
class RunConfig:
    """One resolved run. limit 0 means all pairs; device "auto" is CUDA where there is one.

    fused: rows of ready-made fused images, each with the folder that holds them.
    """

    name: str = "demo"
    results: str = "results"
    methods: tuple[str, ...] = ("visible", "infrared", "average", "laplacian", "dsifuse")
    fused: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[str, ...] = ("synthetic",)
    stages: tuple[str, ...] = STAGES
    limit: int = 0
    device: str = "auto"
    threads: int = 0
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    fuse: FuseConfig = field(default_factory=FuseConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    detect: DetectConfig = field(default_factory=DetectConfig)
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    run: ExecutionConfig = field(default_factory=ExecutionConfig)
    slurm: SlurmConfig = field(default_factory=SlurmConfig)
    dask: DaskConfig = field(default_factory=DaskConfig)
    base: Path = field(default_factory=Path.cwd)

    def path(self, value: str) -> Path:
        """`value` relative to the configuration file's folder."""
        return self.base / value

    @property
    def run_folder(self) -> Path:
        """`results`/`name`: where this run's jobs live."""
        return self.path(self.results) / self.name


def as_record(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain JSON values, without the folder that its paths start from."""
    record: dict[str, Any] = json.loads(json.dumps(asdict(config), default=str))
    record.pop("base")
    return record
