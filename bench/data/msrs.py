"""MSRS: 361 test and 1083 training pairs of 640×480, day (D) and night (N).

Tang et al., PIAFusion, Information Fusion 83-84, 2022. Boxes come from a third party in three
variants (drawn on the visible, the infrared or a fused image), which differ by more than most
fusion methods do: the one used is printed under every table of detection.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.adapter import (
    Adapter,
    files_by_stem,
    first_folder,
    matched_stems,
    missing,
)
from bench.data.pairs import Pair, PairSet, Split
from bench.data.split_files import read_split
from bench.errors import UserError

CLASSES = ("person", "bicycle", "car")
MASK_CLASSES = (
    "background", "car", "person", "bike", "curve", "car stop", "guardrail", "color cone", "bump",
)  # fmt: skip


def _labels(root: Path, variant: str, part: str) -> dict[str, Path]:
    folder = first_folder(
        root,
        (
            f"../MSRS-detection-label/{variant}/{part}",
            f"detection_labels/{variant}/{part}",
            f"MSRS-detection-label/{variant}/{part}",
        ),
    )
    return {} if folder is None else files_by_stem(folder, (".txt",))


def _pairs(root: Path, part: str, variant: str) -> list[Pair]:
    visible, infrared = root / part / "vi", root / part / "ir"
    if not (visible.is_dir() and infrared.is_dir()):
        return []
    vi, ir = files_by_stem(visible), files_by_stem(infrared)
    maps = root / part / "Segmentation_labels"
    masks = files_by_stem(maps) if maps.is_dir() else {}
    boxes = _labels(root, variant, part)
    return [
        Pair(stem, vi[stem], ir[stem], boxes.get(stem), masks.get(stem))
        for stem in matched_stems(vi, ir)
    ]


def load(root: Path, options: Mapping[str, Any]) -> PairSet:
    """`scored` is the test part. Options: labels (fusion, visible, infrared), split (name, file,
    "none" or "auto": train on train where it is there, else the test part's development split).
    """
    variant = str(options.get("labels", "fusion"))
    if variant not in ("fusion", "visible", "infrared"):
        raise UserError(f"data.msrs.labels is '{variant}': use fusion, visible or infrared.")
    test = _pairs(root, "test", variant)
    train = _pairs(root, "train", variant)
    if not test:
        raise missing(ADAPTER, root)
    scored = tuple(pair.id for pair in test)
    pairs = (*train, *test)
    day_night = {pair.id: "night" if pair.id.endswith("N") else "day" for pair in pairs}
    box_footnotes: tuple[str, ...] = ()
    split, no_split = None, ""
    name = str(options.get("split", "auto"))
    if not any(pair.boxes for pair in test):
        no_split = "no detection labels were found (expected ../MSRS-detection-label)"
    else:
        ids = [pair.id for pair in pairs if pair.boxes]
        if name == "none":
            no_split = "its option split is 'none'"
        elif name != "auto":
            split = read_split(name, ids, root)
        elif train and all(pair.boxes for pair in train):
            split = Split("released", tuple(p.id for p in train), (), scored)
        else:
            split = read_split("msrs-dev", ids, root)
        box_footnotes = (f"MSRS boxes: third-party labels, variant '{variant}'.",)
    return PairSet(
        name="msrs",
        pairs=pairs,
        scored=scored,
        split=split,
        no_split=no_split,
        classes=CLASSES,
        mask_classes=MASK_CLASSES,
        footnotes=(f"MSRS: the {len(test)} test pairs.",),
        box_footnotes=box_footnotes,
        attributes=day_night,
    )


ADAPTER = Adapter(
    name="msrs",
    title="MSRS",
    folder="MSRS",
    layout="test/{vi,ir}/NNNNN[DN].png\ntrain/{vi,ir,Segmentation_labels}/ (optional)\n"
    "../MSRS-detection-label/{fusion,visible,infrared}/{train,test}/*.txt (optional)",
    source="github.com/Linfeng-Tang/MSRS",
    terms="no licence stated; cite PIAFusion (Information Fusion 2022)",
    load=load,
    options={"labels": "fusion", "split": "auto"},
    stages=("fuse", "score", "detect", "profile"),
)
