"""The plan: which jobs a configuration asks for, in order, each with its identity and its task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.config import RunConfig
from bench.data import registry as data_registry
from bench.data.adapter import Adapter
from bench.data.fingerprint import Inventory, fingerprint
from bench.data.pairs import Pair, PairSet
from bench.errors import UserError
from bench.jobs.identity import code_hash, code_hashes, identity
from bench.jobs.store import Key, Store
from bench.methods import registry as method_registry
from bench.methods.contract import Method
from bench.methods.weights import MissingWeightsError, ResolvedWeights, resolve, sha256_of

Progress = Callable[[int, int], None]
Work = Callable[[Path, Progress], Mapping[str, Any]]

COST = "_cost"
_SHARED_CODE = ("bench.data.images", "bench.methods.protocol")


@dataclass(frozen=True)
class Job:
    """One job. work(folder, progress) returns facts. needs: keys that must be done first.

    unready: (status, reason) of a job that can't run at all, or None.
    """

    key: Key
    stage: str
    identity: str
    work: Work
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Key, ...] = ()
    unready: tuple[str, str] | None = None

    def record(self) -> dict[str, Any]:
        """The part of job.json that is known before the job runs."""
        return {
            "stage": self.stage,
            "dataset": self.key.dataset,
            "method": self.key.method,
            "part": self.key.folder,
            "identity": self.identity,
            "options": dict(self.options),
            "facts": dict(self.facts),
        }


@dataclass(frozen=True)
class DataPart:
    """The pairs of one data set that one fuse job takes, with their fingerprint."""

    folder: str
    pairs: tuple[Pair, ...]
    fingerprint: str


@dataclass(frozen=True)
class OpenedData:
    """A data set, cut to the limit: its set, its parts (scored; rest of the split), image sizes."""

    pairs: PairSet
    parts: tuple[DataPart, ...]
    sizes: Mapping[str, tuple[int, int]]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """All jobs of a run in an order in which each comes after what it needs."""

    jobs: tuple[Job, ...]
    datasets: Mapping[str, Mapping[str, Any]]
    methods: tuple[str, ...]


def data_root(config: RunConfig, adapter: Adapter) -> Path:
    """Where a data set lies by configuration."""
    options = config.data.options.get(adapter.name, {})
    if "root" in options:
        return config.path(str(options["root"]))
    return config.path(config.data.root) / adapter.folder


def load_data(config: RunConfig, name: str) -> PairSet:
    """The pairs of one data set at its configured place."""
    adapter = data_registry.adapter(name)
    root = data_root(config, adapter)
    options = {**adapter.options, **config.data.options.get(name, {})}
    options.pop("root", None)
    return adapter.load(root, options)


def _limited(pairs: PairSet, limit: int) -> PairSet:
    if not limit:
        return pairs
    split = pairs.split and replace(
        pairs.split,
        train=pairs.split.train[:limit],
        val=pairs.split.val[:limit],
        test=pairs.split.test[:limit],
    )
    return replace(pairs, scored=pairs.scored[:limit], split=split)


def open_data(config: RunConfig, name: str) -> OpenedData:
    """Load a set, cut it to the limit, fingerprint its parts."""
    pairs = _limited(load_data(config, name), config.limit)
    by_id = pairs.by_id()
    in_split = (
        dict.fromkeys((*pairs.split.train, *pairs.split.val, *pairs.split.test))
        if pairs.split
        else {}
    )
    scored = tuple(by_id[id_] for id_ in pairs.scored)
    rest = tuple(by_id[id_] for id_ in in_split if id_ not in set(pairs.scored))
    inventory = Inventory(pairs)
    parts = tuple(
        DataPart(folder, members, fingerprint(members, inventory))
        for folder, members in (("fuse", scored), ("fuse-rest", rest))
        if members
    )
    sizes = {}
    for part in parts:
        for pair in part.pairs:
            record = inventory.entry(pair.visible, image=True)
            sizes[pair.id] = (int(record[3]), int(record[4]))
    inventory.save()
    facts = {
        "pairs": len(scored),
        "limit": config.limit or None,
        "dataset_footnotes": list(pairs.footnotes),
        "fingerprints": {part.folder: part.fingerprint for part in parts},
    }
    return OpenedData(pairs, parts, sizes, facts)


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


@dataclass(frozen=True)
class _Row:
    """A method of this run with its weights, or why it has none."""

    method: Method
    weights: ResolvedWeights | None
    problem: str = ""


def _row(config: RunConfig, name: str) -> _Row:
    method = method_registry.method(name)
    chosen = config.weights.use.get(name)
    try:
        found = resolve(
            method,
            config.path(config.weights.folder),
            chosen=config.path(chosen) if chosen else None,
            random=config.fuse.random_weights and not chosen,
        )
    except MissingWeightsError as problem:
        return _Row(method, None, str(problem))
    return _Row(method, found)


def _method_code(name: str) -> dict[str, str]:
    return {
        "method": code_hash(method_registry.module_of(name)),
        **code_hashes(_SHARED_CODE),
    }


def _fuse_jobs(config: RunConfig, data: OpenedData, row: _Row, device: str) -> list[Job]:
    from bench.stages import fuse

    name, jobs = row.method.name, []
    for part in data.parts:
        key = Key(data.pairs.name, name, part.folder)
        options = {"output": config.fuse.output, "device": device, "seed": config.seed}
        unready = ("no weights", row.problem) if row.weights is None else None
        if config.fuse.output == "authors" and row.method.protocol.authors is None:
            unready = ("not applicable", f"{name}: the authors' output habit is not known")
        weights = row.weights
        made = {
            "stage": "fuse",
            "code": {**_method_code(name), "stage": code_hash("bench.stages.fuse")},
            "weights": weights.facts() if weights else None,
            "options": options,
            "data": part.fingerprint,
        }

        def work(
            folder: Path,
            progress: Progress,
            part: DataPart = part,
            weights: ResolvedWeights | None = weights,
        ) -> Mapping[str, Any]:
            assert weights is not None
            task = fuse.FuseTask(
                pairs=part.pairs,
                method=name,
                weights=weights,
                output="authors" if config.fuse.output == "authors" else "clip",
                device=device,
                seed=config.seed,
            )
            return fuse.run(task, folder, progress)

        jobs.append(Job(key, "fuse", identity(made), work, options, data.facts, unready=unready))
    return jobs


def _fused_paths(store: Store, data: OpenedData, method: str) -> dict[str, Path]:
    return {
        pair.id: store.final(Key(data.pairs.name, method, part.folder)) / f"{pair.id}.png"
        for part in data.parts
        for pair in part.pairs
    }


def _score_job(
    config: RunConfig, data: OpenedData, method: str, fused: Sequence[Job], store: Store
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
            threads=cpu_threads(config),
        )
        return score.run(task, folder, progress)

    key = Key(data.pairs.name, method, "score")
    return Job(key, "score", identity(made), work, options, data.facts, (source.key,))


def _detect_job(
    config: RunConfig,
    data: OpenedData,
    method: str,
    fused: Sequence[Job],
    store: Store,
    device: str,
) -> Job:
    from bench.stages import detect

    split = data.pairs.split
    recipe = detect.recipe(config.detect.preset, config.detect.overrides, config.detect.seeds)
    ids = (*split.train, *split.val, *split.test) if split else ()
    options = {"recipe": asdict(recipe), "device": device}
    facts = {**data.facts, "recipe": asdict(recipe)}
    if split:
        facts["split"] = split.name
        facts["split_sha256"] = identity(asdict(split))
    made = {
        "stage": "detect",
        "code": code_hashes(
            (
                "bench.stages.detect",
                "bench.stages.detector",
                "bench.stages.yolo",
                "bench.stages.average_precision",
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
            threads=cpu_threads(config),
        )
        return detect.run(task, folder, progress)

    unready = None if split else ("not applicable", data.pairs.no_split)
    key = Key(data.pairs.name, method, "detect")
    needs = tuple(job.key for job in fused)
    return Job(key, "detect", identity(made), work, options, facts, needs, unready)


def _profile_job(config: RunConfig, row: _Row, device: str) -> Job:
    from bench.stages import profile

    name = row.method.name
    options = {**asdict(config.profile), "device": device, "threads": cpu_threads(config)}
    made = {
        "stage": "profile",
        "code": {**_method_code(name), "stage": code_hash("bench.stages.profile")},
        "options": options,
    }

    def work(folder: Path, progress: Progress) -> Mapping[str, Any]:
        task = profile.ProfileTask(
            method=row.method,
            resolutions=tuple(
                (int(r.partition("x")[0]), int(r.partition("x")[2]))
                for r in config.profile.resolutions
            ),
            device=device,
            seconds=float(config.profile.seconds),
            threads=cpu_threads(config),
        )
        return profile.run(task, folder, progress)

    return Job(Key(COST, name, "profile"), "profile", identity(made), work, options)


def cpu_threads(config: RunConfig) -> int:
    """Threads for CPU work: the configured number, or all cores."""
    import torch

    return config.threads or torch.get_num_threads()


def make_plan(config: RunConfig, store: Store) -> Plan:
    """Every job of the configuration. Raises UserError for anything that can't be planned."""
    from bench.metrics.conventions import find_convention
    from bench.metrics.registry import find_metrics

    methods = method_registry.expand(config.methods)
    find_metrics(config.score.metrics, find_convention(config.score.convention))
    stages = set(config.stages)
    device = resolve_device(config.device)
    rows = {name: _row(config, name) for name in methods}
    jobs: list[Job] = []
    datasets: dict[str, Mapping[str, Any]] = {}
    for dataset in config.datasets:
        supported = data_registry.adapter(dataset).stages
        if not stages & {"fuse", "score", "detect"} & set(supported):
            continue
        data = open_data(config, dataset)
        datasets[dataset] = data.facts
        for name in methods:
            fused = _fuse_jobs(config, data, rows[name], device)
            wanted = [job for job in fused if job.key.folder == "fuse" or "detect" in stages]
            if not data.pairs.scored and "detect" not in stages:
                continue
            jobs += wanted
            if "score" in stages and data.pairs.scored:
                jobs.append(_score_job(config, data, name, fused, store))
            if "detect" in stages and "detect" in supported:
                jobs.append(_detect_job(config, data, name, fused, store, device))
    if "profile" in stages:
        jobs += [_profile_job(config, rows[name], device) for name in methods]
    return Plan(tuple(jobs), datasets, methods)
