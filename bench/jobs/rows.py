"""The rows of a run. A row answers two questions of the plan: how are these pairs fused, and what
does that cost? Networks and folders of ready-made images are rows alike, so that nothing after the
fused images knows which one it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.config import RunConfig
from bench.data import fused
from bench.data.fingerprint import Inventory
from bench.errors import UserError
from bench.jobs.data import DataPart, OpenedData
from bench.jobs.identity import code_hash, code_hashes
from bench.methods import registry as method_registry
from bench.methods.contract import Method
from bench.methods.weights import MissingWeightsError, ResolvedWeights, resolve

Progress = Callable[[int, int], None]
Work = Callable[[Path, Progress], Mapping[str, Any]]

_SHARED_CODE = ("bench.data.images", "bench.methods.protocol")


@dataclass(frozen=True)
class Step:
    """What a row does in one job. made: all that can change its result, for the identity.

    work(folder, progress) returns facts. unready: (status, reason) where it can't be done at all.
    facts: known before, for the row of a job that never runs.
    """

    made: Mapping[str, Any]
    work: Work
    options: Mapping[str, Any] = field(default_factory=dict)
    unready: tuple[str, str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One row of the tables. fuse: one part of a data set; profile: the cost of one pair."""

    name: str
    fuse: Callable[[OpenedData, DataPart], Step]
    profile: Callable[[], Step]


def network_row(config: RunConfig, name: str, device: str, threads: int) -> Row:
    """A registered method with its weights, or with the reason why it has none."""
    method = method_registry.method(name)
    weights, problem = _weights(config, method)

    def fuse(_: OpenedData, part: DataPart) -> Step:
        return _fused_by_network(config, method, weights, problem, part, device)

    def profile() -> Step:
        return _profiled(config, method, device, threads)

    return Row(name, fuse, profile)


def folder_row(config: RunConfig, name: str) -> Row:
    """Ready-made images under the configured folder. Raises UserError for a method's name."""
    if name in method_registry.names():
        raise UserError(
            f"The row '{name}' of ready-made images has the name of a method: choose another, "
            f"such as {name}-theirs."
        )
    root = config.path(config.fused[name])

    def fuse(data: OpenedData, part: DataPart) -> Step:
        return _taken_from_folder(config, name, root, data, part)

    return Row(name, fuse, _no_network)


def _weights(config: RunConfig, method: Method) -> tuple[ResolvedWeights | None, str]:
    chosen = config.weights.use.get(method.name)
    try:
        found = resolve(
            method,
            config.path(config.weights.folder),
            chosen=config.path(chosen) if chosen else None,
            random=config.fuse.random_weights and not chosen,
            track=config.weights.track,
        )
    except MissingWeightsError as problem:
        return None, str(problem)
    return found, ""


def _method_code(name: str) -> dict[str, str]:
    return {
        "method": code_hash(method_registry.module_of(name)),
        **code_hashes(_SHARED_CODE),
    }


def _other_ways(config: RunConfig) -> dict[str, Any]:
    """What changes pixels where it is asked for; absent otherwise."""
    fuse = config.fuse
    tiles = {"tile": fuse.tile, "overlap": fuse.overlap} if fuse.tile else {}
    faster = {"bfloat16": fuse.bfloat16, "compile": fuse.compile, "batch": fuse.batch}
    code = ("bench.methods.tiling", "bench.methods.speed")
    chosen = {**tiles, **{key: wanted for key, wanted in faster.items() if wanted}}
    return {**chosen, "code": code_hashes(code)} if chosen else {}


def _fused_by_network(
    config: RunConfig,
    method: Method,
    weights: ResolvedWeights | None,
    problem: str,
    part: DataPart,
    device: str,
) -> Step:
    from bench.stages import fuse

    name = method.name
    options = {
        "output": config.fuse.output,
        "device": device,
        "seed": config.seed,
        **_other_ways(config),
    }
    unready = ("no weights", problem) if weights is None else None
    if config.fuse.output == "authors" and method.protocol.authors is None:
        unready = ("not applicable", f"{name}: the authors' output habit is not known")
    made = {
        "stage": "fuse",
        "code": {**_method_code(name), "stage": code_hash("bench.stages.fuse")},
        "weights": weights.facts() if weights else None,
        "options": options,
        "data": part.fingerprint,
    }

    def work(folder: Path, progress: Progress) -> Mapping[str, Any]:
        assert weights is not None
        task = fuse.FuseTask(
            pairs=part.pairs,
            method=name,
            weights=weights,
            output="authors" if config.fuse.output == "authors" else "clip",
            device=device,
            seed=config.seed,
            tile=config.fuse.tile,
            overlap=config.fuse.overlap,
            bfloat16=config.fuse.bfloat16,
            compiled=config.fuse.compile,
            batch=config.fuse.batch,
        )
        return fuse.run(task, folder, progress)

    return Step(made, work, options, unready, {"printed_name": method.card.title})


def _profiled(config: RunConfig, method: Method, device: str, threads: int) -> Step:
    from bench.stages import profile

    options = {**asdict(config.profile), "device": device, "threads": threads}
    made = {
        "stage": "profile",
        "code": {**_method_code(method.name), "stage": code_hash("bench.stages.profile")},
        "options": options,
    }

    def work(folder: Path, progress: Progress) -> Mapping[str, Any]:
        def sizes(names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
            return tuple((int(n.partition("x")[0]), int(n.partition("x")[2])) for n in names)

        task = profile.ProfileTask(
            method=method,
            resolutions=sizes(config.profile.resolutions),
            batches=config.profile.batches,
            scaling=sizes(config.profile.scaling),
            device=device,
            seconds=float(config.profile.seconds),
            threads=threads,
        )
        return profile.run(task, folder, progress)

    return Step(made, work, options)


def _taken_from_folder(
    config: RunConfig, name: str, root: Path, data: OpenedData, part: DataPart
) -> Step:
    from bench.stages import ready_made

    dataset = data.pairs.name
    folder = fused.folder_of(root, dataset, config.datasets)
    if folder is None:
        return _impossible("skipped", f"{root.name} has no folder {dataset}")
    images = fused.images_of(folder, part.pairs, dataset)
    inventory = Inventory("fused", folder)
    sha256 = fused.images_fingerprint(images, data.sizes, inventory)
    inventory.save()
    made = {
        "stage": "fuse",
        "code": code_hashes(("bench.data.images", "bench.stages.ready_made")),
        "images": sha256,
        "data": part.fingerprint,
    }

    def work(target: Path, progress: Progress) -> Mapping[str, Any]:
        return ready_made.run(ready_made.ReadyMadeTask(name, images, sha256), target, progress)

    return Step(made, work)


def _no_network() -> Step:
    return _impossible("not applicable", "no network: its images are ready-made")


def _impossible(status: str, reason: str) -> Step:
    def work(folder: Path, progress: Progress) -> Mapping[str, Any]:
        raise UserError(reason)

    return Step({"unready": reason}, work, unready=(status, reason))
