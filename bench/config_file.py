"""`bench.toml`, or the manifest of a run, plus flags become one frozen, validated RunConfig."""

from __future__ import annotations

import copy
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bench.config import DetectConfig, RunConfig
from bench.config_rules import validate
from bench.data import registry as data_registry
from bench.errors import UserError, did_you_mean, is_control

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


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
