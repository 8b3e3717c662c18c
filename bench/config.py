"""`bench.toml` plus flags become one frozen, validated RunConfig: the only source of configuration.

Every key has its default here, its type here, and a flag of the same name where it is asked for
often. Relative paths are relative to the configuration file.
"""

from __future__ import annotations

import json
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bench.data import registry as data_registry
from bench.errors import UserError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STAGES = ("fuse", "score", "detect", "profile")
TRACKS = ("any", "official", "suite")
T = TypeVar("T")


@dataclass(frozen=True)
class DataConfig:
    """Where data sets lie: `root`/FOLDER each, unless a set has its own root; see `options`."""

    root: str = "data"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class FuseConfig:
    """output: "clip" (clamp and round, the rule) or "authors" (as the authors published)."""

    output: str = "clip"
    random_weights: bool = False


@dataclass(frozen=True)
class ScoreConfig:
    """Which metrics, under which convention."""

    convention: str = "standard"
    metrics: tuple[str, ...] = ("EN", "MI", "AG", "SD", "VIF", "SSIM")


@dataclass(frozen=True)
class DetectConfig:
    """A preset of the recipe, single keys that differ from it, and the seeds."""

    preset: str = "quick"
    seeds: tuple[int, ...] = (0,)
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProfileConfig:
    """Resolutions are HEIGHTxWIDTH; seconds bounds the timing of one method and resolution."""

    resolutions: tuple[str, ...] = ("480x640", "768x1024")
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


def from_record(record: Mapping[str, Any], base: Path, flags: Mapping[str, Any]) -> RunConfig:
    """The configuration that `as_record` wrote, with flags on top; see `read` for these."""
    raw = dict(record)
    data, detect = dict(raw.pop("data", {})), dict(raw.pop("detect", {}))
    options, overrides = data.pop("options", {}), detect.pop("overrides", {})
    raw |= {"data": {**data, **options}, "detect": {**detect, **overrides}}
    return _resolved(raw, base, flags)


def toml_value(text: str) -> Any:
    """`text` as a TOML value; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
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
    return value


def _build(kind: type[T], values: Any, prefix: str) -> T:
    if not isinstance(values, Mapping):
        raise UserError(f"{prefix} must be a table, not {values!r}.")
    hints = typing.get_type_hints(kind, None, {"types": types})
    known = [f.name for f in fields(kind) if f.name != "base"]  # type: ignore[arg-type]
    chosen: dict[str, Any] = {}
    for key, value in values.items():
        full = f"{prefix}.{key}" if prefix else key
        if key not in known:
            raise UserError(
                f"Unknown key '{full}' in bench.toml{did_you_mean(key, known)}; "
                f"known here: {', '.join(known)}."
            )
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
            known = ("root", *data_registry.adapter(member).options)
            for name in table:
                if name not in known and len(members) == 1:
                    raise UserError(
                        f"Unknown key 'data.{key}.{name}' in bench.toml{did_you_mean(name, known)};"
                        f" known here: {', '.join(known)}."
                    )
            options[member] = {
                **options.get(member, {}),
                **{name: value for name, value in table.items() if name in known},
            }
    return {**raw, "data": {**data, "options": options}} if data or options else raw


def _fold_detect_overrides(raw: dict[str, Any]) -> dict[str, Any]:
    detect = raw.get("detect")
    if not isinstance(detect, Mapping):
        return raw
    own = ("preset", "seeds")
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
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not valid TOML: {error}.") from None
        base = path.resolve().parent
    return _resolved(raw, base, flags)


def _resolved(raw: dict[str, Any], base: Path, flags: Mapping[str, Any]) -> RunConfig:
    for dotted, value in flags.items():
        *parents, last = dotted.split(".")
        table = raw
        for parent in parents:
            table = table.setdefault(parent, {})
        both_tables = isinstance(value, Mapping) and isinstance(table.get(last), Mapping)
        table[last] = {**table[last], **value} if both_tables else value
    config = _build(RunConfig, _split_data_options(_fold_detect_overrides(raw)), "")
    return validate(replace(config, base=base))


def _one_of(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(
            f"{key} is '{value}'{did_you_mean(value, known)}; known: {', '.join(known)}."
        )


def _is_plain(name: str) -> bool:
    return bool(name) and not name.startswith(".") and not any(c in name for c in "/\\")


def validate(config: RunConfig) -> RunConfig:
    """Values that no type can check; returns the config with families of data sets expanded."""
    for stage in config.stages:
        _one_of("stages", stage, STAGES)
    _one_of("weights.track", config.weights.track, TRACKS)
    _one_of("fuse.output", config.fuse.output, ("clip", "authors"))
    if not _is_plain(config.name):
        raise UserError(f"name is '{config.name}': a run's name is one plain folder name.")
    for name in config.fused:
        if not _is_plain(name):
            raise UserError(f"fused has the row '{name}': a row's name is one plain folder name.")
    if config.limit < 0:
        raise UserError(f"limit is {config.limit}: use 0 for all pairs or a positive number.")
    datasets = data_registry.expand(config.datasets)
    for name in datasets:
        data_registry.adapter(name)
    for resolution in config.profile.resolutions:
        height, _, width = resolution.partition("x")
        if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
            raise UserError(f"profile.resolutions has '{resolution}': write HEIGHTxWIDTH.")
    return replace(config, datasets=datasets)
