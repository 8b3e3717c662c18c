"""`bench data split`: make a split or check one, and measure what it leaks."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from bench.config import RunConfig
from bench.console import progress_bar
from bench.data.coco import read_coco
from bench.data.images import image_size
from bench.data.labels import read_boxes
from bench.data.make_split import groups_by_content, groups_by_runs, random_split, scene_split
from bench.data.near_duplicates import Hashes, hashes, leakage
from bench.data.pairs import Pair, PairSet, Split
from bench.data.registry import adapter
from bench.data.split_files import read_split, write_split
from bench.errors import UserError, counted
from bench.jobs.data import data_root, load_data


@dataclass(frozen=True)
class SplitWish:
    """What to do: make "random", "scene" or "" (none); check: a packaged name, a file or folder;
    neither: the set's own split. annotations: a COCO file or folder to use instead of images.

    share: of the images, for testing. guard: see `make_split.scene_split`. name: of what is made.
    """

    make: str = ""
    check: str = ""
    annotations: str = ""
    out: str = ""
    name: str = ""
    seed: int = 0
    share: float = 0.2
    guard: int = 0


@dataclass(frozen=True)
class _Labelled:
    """The images to divide: boxes by class per image; pairs where there are images."""

    boxes: Mapping[str, Mapping[str, int]]
    pairs: tuple[Pair, ...]
    scenes: Mapping[str, tuple[int, int, int]]
    own: Split | None


def split(config: RunConfig, dataset: str, wish: SplitWish) -> int:
    """Make or check one split of `dataset`, print its parts and its leakage, write it to `out`."""
    if wish.make and wish.check:
        raise UserError("--make and --check exclude each other: give one of them.")
    if wish.guard < 0:
        raise UserError(f"--guard must be 0 or larger, not {wish.guard}.")
    if wish.out and Path(wish.out).suffix != ".json":
        raise UserError(f"--out {wish.out}: a split is written as JSON, name it FILE.json.")
    data = _annotated(wish.annotations) if wish.annotations else _opened(config, dataset, wish)
    ids = sorted(data.boxes)
    found = (ids, _hashes(data.pairs)) if data.pairs else None
    divided = _divided(config, dataset, wish, data, found)
    measured = leakage(divided, found)
    facts = {**_made(dataset, wish, ids), "leakage": measured.record()}
    _print(dataset, divided, data, measured.sentence())
    if wish.out:
        target = Path(wish.out)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_split(target, divided, facts)
        usable = "split" in adapter(dataset).options
        hint = f"; use it with --set data.{dataset}.split={target.absolute()}" if usable else ""
        print(f"  written to {target}{hint}")
    return 0


def _annotated(place: str) -> _Labelled:
    images = read_coco(Path(place), None)
    return _Labelled(
        boxes={stem: Counter(box.cls for box in image.boxes) for stem, image in images.items()},
        pairs=(),
        scenes={stem: (image.scene, *image.size) for stem, image in images.items()},
        own=None,
    )


def _opened(config: RunConfig, dataset: str, wish: SplitWish) -> _Labelled:
    wants_own = not (wish.make or wish.check)
    if "split" not in adapter(dataset).options or wants_own:
        pairs = load_data(config, dataset)
    else:
        # Without it, a set that its usual split does not fit could not be opened to make one.
        options = {**config.data.options.get(dataset, {}), "split": "none"}
        data = replace(config.data, options={**config.data.options, dataset: options})
        pairs = load_data(replace(config, data=data), dataset)
    if wants_own and pairs.split is None:
        raise UserError(f"{dataset} has no split ({pairs.no_split}): give --make or --check.")
    chosen = [pair for pair in pairs.pairs if pair.boxes] or list(pairs.pairs)
    chosen.sort(key=lambda pair: pair.id)
    return _Labelled(
        boxes={pair.id: _counts(pair, pairs) for pair in chosen},
        pairs=tuple(chosen),
        scenes={},
        own=pairs.split,
    )


def _counts(pair: Pair, pairs: PairSet) -> Mapping[str, int]:
    if pair.boxes is None:
        return {}
    size = image_size(pair.visible)
    boxes = read_boxes(pair.boxes, image=pair.id, size=size, classes=pairs.classes)
    return Counter(box.cls for box in boxes)


def _hashes(pairs: Sequence[Pair]) -> Hashes:
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("hashing", total=None)
        return hashes(pairs, functools.partial(_advance, bar, task))


def _advance(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _divided(
    config: RunConfig,
    dataset: str,
    wish: SplitWish,
    data: _Labelled,
    found: tuple[list[str], Hashes] | None,
) -> Split:
    ids = sorted(data.boxes)
    if wish.check:
        return read_split(wish.check, ids, data_root(config, adapter(dataset)))
    if not wish.make:
        if data.own is None:
            raise UserError("--annotations needs --make or --check: say what to do with them.")
        return data.own
    name = wish.name or (Path(wish.out).stem if wish.out else wish.make)
    if wish.make == "random":
        return random_split(ids, seed=wish.seed, share=wish.share, name=name)
    groups = groups_by_runs(data.scenes) if found is None else groups_by_content(*found)
    most = counted(max(map(len, groups)), "image")
    print(f"{dataset}: {counted(len(groups), 'scene')}, the largest has {most}")
    return scene_split(
        groups, data.boxes, seed=wish.seed, share=wish.share, guard=wish.guard, name=name
    )


def _made(dataset: str, wish: SplitWish, ids: Sequence[str]) -> dict[str, Any]:
    if not wish.make:
        return {"source": f"checked on {dataset}, {counted(len(ids), 'image')}"}
    words = [f"bench data split {dataset} --make {wish.make} --seed {wish.seed}"]
    words += [f"--share {wish.share:g}"]
    words += [f"--guard {wish.guard}"] if wish.guard else []
    words += ["--annotations COCO_FOLDER"] if wish.annotations else []
    return {"source": f"{' '.join(words)} ({counted(len(ids), 'image')})"}


def _print(dataset: str, divided: Split, data: _Labelled, leaked: str) -> None:
    parts = {part: getattr(divided, part) for part in ("train", "val", "test")}
    sizes = ", ".join(f"{len(ids)} {part}" for part, ids in parts.items())
    left_out = len(data.boxes) - sum(map(len, parts.values()))
    print(f"{dataset}: split {divided.name} (sha256 {divided.sha256[:12]}…): {sizes}", end="")
    print(f", {left_out} in no part" if left_out else "")
    total: Counter[str] = Counter()
    for counts in data.boxes.values():
        total.update(counts)
    if total:
        test: Counter[str] = Counter()
        for id_ in divided.test:
            test.update(data.boxes[id_])
        shares = (f"{cls} {test[cls]} of {count}" for cls, count in total.most_common())
        print(f"  boxes in test: {', '.join(shares)}")
    print(f"  {leaked}")
