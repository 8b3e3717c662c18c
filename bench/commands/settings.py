"""What a command line means: its flags as keys of the configuration, and the run that it names."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.arguments import CONFIG
from bench.config import RunConfig
from bench.config_file import from_record, read, toml_value
from bench.data.contents import read_object
from bench.data.pairs import PairSet
from bench.errors import UserError, named

RUN = "run.json"


def absolute(path: str) -> str:
    """The path as seen from the current folder."""
    # A path on the command line belongs to the current folder, one in bench.toml to that file's.
    return str(Path(path).expanduser().absolute())


def flags(args: argparse.Namespace) -> dict[str, Any]:
    """What the flags of a command line say, by the keys of bench.toml."""
    chosen: dict[str, Any] = {}
    plain = {
        "name": "name",
        "limit": "limit",
        "device": "device",
        "threads": "threads",
        "seed": "seed",
        "methods": "methods",
        "datasets": "datasets",
        "stages": "stages",
        "output": "fuse.output",
        "convention": "score.convention",
        "preset": "detect.preset",
        "seeds": "detect.seeds",
        "track": "weights.track",
        "jobs": "run.jobs",
        "executor": "run.executor",
    }
    for flag, key in plain.items():
        value = getattr(args, flag, None)
        if value is not None:
            chosen[key] = list(value) if isinstance(value, tuple) else value
    if getattr(args, "ablation", None):
        from bench.methods import registry

        rows = [*chosen.get("methods", []), *registry.ablation(args.ablation)]
        chosen["methods"] = list(dict.fromkeys(rows))
    for flag, key in {
        "results": "results",
        "data_root": "data.root",
        "weights_folder": "weights.folder",
    }.items():
        value = getattr(args, flag, None)
        if value is not None:
            chosen[key] = absolute(value)
    if getattr(args, "random_weights", False):
        chosen["fuse.random_weights"] = True
    for name, folder in getattr(args, "data", None) or ():
        chosen[f"data.{name}.root"] = absolute(folder)
    for name, file in getattr(args, "weights", None) or ():
        chosen[f"weights.use.{name}"] = absolute(file)
    ready_made: dict[str, str] = {}
    for name, folder in getattr(args, "ready_made", None) or ():
        if name in ready_made:
            raise UserError(f"--fused {name} is given twice: every row needs a name of its own.")
        ready_made[name] = absolute(folder)
    if ready_made:
        chosen["fused"] = ready_made
    for key, value in getattr(args, "set", None) or ():
        chosen[key] = toml_value(value)
    return chosen


def configuration(args: argparse.Namespace) -> RunConfig:
    """bench.toml, or the file given, with the flags over it."""
    path = Path(args.config) if args.config else Path(CONFIG)
    if not args.config and not path.is_file():
        return read(None, flags(args))
    return read(path, flags(args))


def run_folder(args: argparse.Namespace) -> Path:
    """The folder of the run that is meant. Raises UserError where none lies there."""
    if args.run and any(getattr(args, flag, None) for flag in ("results", "name")):
        raise UserError("--run names the folder itself: leave out --results and --name.")
    folder = Path(args.run) if args.run else configuration(args).run_folder
    if not (folder / RUN).is_file():
        others = sorted(path.parent for path in folder.parent.glob(f"*/{RUN}"))
        names = named([str(near(path)) for path in others])
        here = f"the runs beside it are {names}" if others else "there is no other one beside it"
        raise UserError(
            f"{near(folder)} is no run (it has no {RUN}): name the folder of a bench run with "
            f"--run; {here}."
        )
    return Path(folder)


def near(path: Path) -> Path:
    """The path as seen from the current folder where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def sources(run: Path, args: argparse.Namespace) -> Callable[[str], PairSet]:
    """How the pairs of a run's data set are found: where the run had them unless flags say another
    place, else where the configuration says. Raises UserError for a set that is at neither.
    """
    from bench.jobs.data import load_data

    places = [configuration(args)]
    if not args.config:
        chosen = {key: value for key, value in flags(args).items() if key.startswith("data.")}
        # A damaged or older run.json says nothing; the configuration does.
        with contextlib.suppress(UserError, KeyError, TypeError):
            places.insert(0, from_record(read_object(run / RUN), run / RUN, chosen))

    def load(name: str) -> PairSet:
        problems = []
        for place in places:
            try:
                return load_data(place, name)
            except UserError as problem:
                problems.append(problem)
        raise problems[0]

    return load
