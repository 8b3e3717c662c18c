"""Any folder of pairs: `visible/` + `infrared/` (+ `labels/`, `masks/`), matched by stem."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.adapter import Adapter, files_by_stem, matched_stems, missing
from bench.data.coco import is_coco, label_files
from bench.data.pairs import Pair, PairSet, Split
from bench.data.split_files import read_split
from bench.errors import UserError, counted

OPTIONS: Mapping[str, Any] = {
    "visible": "visible",
    "infrared": "infrared",
    "labels": "labels",
    "masks": "masks",
    "classes": [],
    "split": "",
}


def load(root: Path, options: Mapping[str, Any]) -> PairSet:
    """Pairs of one folder; every pair is scored.

    Options: the four folder names (`labels` may be a COCO file), `classes` (names of the labels'
    classes, in the order of YOLO indices), `split` (file or folder with train, val,
    test) for detection.
    """
    chosen = {**OPTIONS, **options}
    visible, infrared = root / str(chosen["visible"]), root / str(chosen["infrared"])
    if not (visible.is_dir() and infrared.is_dir()):
        raise missing(ADAPTER, root)
    vi, ir = files_by_stem(visible), files_by_stem(infrared)
    stems = matched_stems(vi, ir)
    if not stems:
        raise UserError(f"{visible} holds no images.")
    labels, masks = root / str(chosen["labels"]), root / str(chosen["masks"])
    maps = files_by_stem(masks) if masks.is_dir() else {}
    classes = tuple(map(str, chosen["classes"]))
    if is_coco(labels):
        boxes = label_files(labels, classes) if classes else {}
    else:
        boxes = files_by_stem(labels, (".xml", ".txt")) if labels.is_dir() else {}
    split: Split | None = None
    no_split = "[data.folder] names no split"
    if chosen["split"] not in ("", "none"):
        if not classes:
            raise UserError("[data.folder] has a split but no classes: name the labels' classes.")
        split, no_split = read_split(str(chosen["split"]), boxes, root), ""
    return PairSet(
        name="folder",
        pairs=tuple(Pair(s, vi[s], ir[s], boxes.get(s), maps.get(s)) for s in stems),
        scored=tuple(stems),
        split=split,
        no_split=no_split,
        classes=classes,
        footnotes=(f"{root.name}: {counted(len(stems), 'pair')}.",),
    )


ADAPTER = Adapter(
    name="folder",
    title="A folder of pairs",
    folder="folder",
    layout="visible/STEM.png\ninfrared/STEM.png\nlabels/STEM.{xml,txt} or COCO (optional)",
    source="your own images",
    terms="yours",
    load=load,
    options=OPTIONS,
    stages=("fuse", "score", "detect", "profile"),
)
