"""`bench.toml` plus flags become one frozen, validated RunConfig: the only source of configuration.

Every key has its default here, its type here, and a flag of the same name where it is asked for
often. Relative paths are relative to the configuration file.
"""

from __future__ import annotations

import copy
import json
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bench.data import registry as data_registry
from bench.data.names import name_problem
from bench.errors import UserError, did_you_mean, is_control

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STAGES = ("fuse", "score", "detect", "profile")
TRACKS = ("any", "official", "suite")
MOST_THREADS = 4096
PROTOCOLS = ("own", "transfer", "cross")
EXECUTORS = ("local", "slurm", "dask")
LEAST_PATIENCE = 20
T = TypeVar("T")


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
    """

    output: str = "clip"
    random_weights: bool = False
    tile: int = 0
    overlap: int = 64
    bfloat16: bool = False
    compile: bool = False


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


def from_record(manifest: Mapping[str, Any], file: Path, flags: Mapping[str, Any]) -> RunConfig:
    """The configuration of a run as its manifest has it, with flags on top; see `read` for these.

    manifest: what lies in `file`; "config" of it is from `as_record`, "base" the folder that its
    paths start from, the current one where that is not on this machine.
    """
    raw = copy.deepcopy(dict(manifest["config"]))
    for key, inner in (("data", "options"), ("detect", "overrides")):
        table = raw.pop(key, {})
        own = table.pop(inner, {}) if isinstance(table, dict) else None
        if not isinstance(own, dict):
            raise UserError(f"{file}: '{key}' of its configuration is no table.")
        raw[key] = {**table, **own}
    if "data.root" in flags:
        # A root that is given anew is that of all sets.
        for options in raw["data"].values():
            if isinstance(options, dict):
                options.pop("root", None)
    base = Path(manifest.get("base", "."))
    return _resolved(raw, base if base.is_dir() else Path.cwd(), flags, str(file))


def toml_value(text: str) -> Any:
    """`text` as a TOML value; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _convert(value: Any, kind: Any, key: str) -> Any:
    origin = typing.get_origin(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return _build(kind, value, key)
    if origin is tuple:
        item = typing.get_args(kind)[0]
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{key} must be a list, not {value!r}.")
        return tuple(_convert(entry, item, key) for entry in value)
    if origin in (dict, Mapping, typing.get_origin(Mapping[str, Any])):
        if not isinstance(value, Mapping):
            raise UserError(f"{key} must be a table, not {value!r}.")
        item = typing.get_args(kind)[1]
        if item is Any:
            return dict(value)
        return {name: _convert(entry, item, f"{key}.{name}") for name, entry in value.items()}
    wrong = isinstance(value, bool) and kind is not bool
    if wrong or not isinstance(value, kind):
        raise UserError(f"{key} must be of type {kind.__name__}, not {value!r}.")
    if isinstance(value, str) and any(map(is_control, value)):
        raise UserError(f"{key} has a control character: {value!r}.")
    return value


class _UnknownKeyError(Exception):
    """A key that nobody reads; who knows where it stands makes a sentence of it."""

    def __init__(self, key: str, known: Sequence[str]) -> None:
        super().__init__(key)
        self.key, self.known = key, known


def _build(kind: type[T], values: Any, prefix: str) -> T:
    if not isinstance(values, Mapping):
        raise UserError(f"{prefix} must be a table, not {values!r}.")
    hints = typing.get_type_hints(kind, None, {"types": types})
    known = [f.name for f in fields(kind) if f.name != "base"]  # type: ignore[arg-type]
    chosen: dict[str, Any] = {}
    for key, value in values.items():
        full = f"{prefix}.{key}" if prefix else key
        if key not in known:
            raise _UnknownKeyError(full, known)
        chosen[key] = _convert(value, hints[key], full)
    return kind(**chosen)


def _split_data_options(raw: dict[str, Any]) -> dict[str, Any]:
    """`[data.msrs]` tables become DataConfig.options; their keys are the adapters' own."""
    data = dict(raw.get("data", {})) if isinstance(raw.get("data", {}), Mapping) else {}
    options: dict[str, dict[str, Any]] = {}
    for key in [k for k, v in data.items() if isinstance(v, Mapping)]:
        table = data.pop(key)
        members = data_registry.expand((key,))
        for member in members:
            defaults = data_registry.options_of(member)
            known = tuple(defaults)
            for name in table:
                if name not in known and len(members) == 1:
                    raise _UnknownKeyError(f"data.{key}.{name}", known)
            options[member] = {
                **options.get(member, {}),
                **{
                    name: _like(value, defaults[name], f"data.{key}.{name}")
                    for name, value in table.items()
                    if name in known
                },
            }
    return {**raw, "data": {**data, "options": options}} if data or options else raw


def _like(value: Any, default: Any, key: str) -> Any:
    """`value` where it has the type of `default`; an empty list stands for a list of strings."""
    if isinstance(default, list):
        item = type(default[0]) if default else str
        return list(_convert(value, tuple[item, ...], key))  # type: ignore[valid-type]
    return _convert(value, type(default), key)


def _fold_detect_overrides(raw: dict[str, Any]) -> dict[str, Any]:
    detect = raw.get("detect")
    if not isinstance(detect, Mapping):
        return raw
    own = {field.name for field in fields(DetectConfig)} - {"overrides"}
    kept = {key: value for key, value in detect.items() if key in own}
    overrides = {key: value for key, value in detect.items() if key not in own}
    return {**raw, "detect": {**kept, "overrides": overrides}}


def read(path: Path | None, flags: Mapping[str, Any]) -> RunConfig:
    """The configuration file (or the defaults where `path` is None) with flags on top.

    flags: dotted keys ("fuse.output") to values. Raises UserError for an unreadable file, an
    unknown key ("did you mean"), a wrong type or value.
    """
    raw: dict[str, Any] = {}
    base = Path.cwd()
    if path is not None:
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path} can't be read: {error.strerror}.") from None
        except (ValueError, RecursionError) as error:
            # Besides broken syntax: no UTF-8, numbers of thousands of digits, endless nesting.
            raise UserError(f"{path} is not valid TOML: {error}.") from None
        base = path.resolve().parent
    return _resolved(raw, base, flags, path.name if path else "the configuration")


def _resolved(raw: dict[str, Any], base: Path, flags: Mapping[str, Any], place: str) -> RunConfig:
    """place: where `raw` stands, in words."""
    for dotted, value in flags.items():
        *parents, last = dotted.split(".")
        table = raw
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise UserError(f"'{dotted}' can't be set: {parent} is no table but {table!r}.")
        both_tables = isinstance(value, Mapping) and isinstance(table.get(last), Mapping)
        table[last] = {**table[last], **value} if both_tables else value
    try:
        config = _build(RunConfig, _split_data_options(_fold_detect_overrides(raw)), "")
    except _UnknownKeyError as error:
        hint = did_you_mean(error.key.rpartition(".")[2], error.known)
        given = any(f"{key}.".startswith(f"{error.key}.") for key in flags)
        where = "--set" if given else place
        raise UserError(
            f"Unknown key '{error.key}' in {where}{hint}; known here: {', '.join(error.known)}."
        ) from None
    return validate(replace(config, base=base))


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
