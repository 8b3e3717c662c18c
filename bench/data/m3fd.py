"""M3FD: the 300 fusion pairs and the detection set with six classes in VOC XML.

Liu et al., TarDAL, CVPR 2022. The official archives unpack to `M3FD_Fusion` and `M3FD_Detection`;
the 300 fusion stems are detection stems, so `m3fd-fusion` is no independent set.
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
from bench.data.coco import is_coco, label_files
from bench.data.pairs import Pair, PairSet
from bench.data.split_files import read_split
from bench.errors import UserError, counted

CLASSES = ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck")


def _images(folder: Path) -> tuple[dict[str, Path], dict[str, Path]] | None:
    visible = first_folder(folder, ("Vis", "vi", "vis", "VIS"))
    infrared = first_folder(folder, ("Ir", "ir", "IR"))
    if visible is None or infrared is None:
        return None
    return files_by_stem(visible), files_by_stem(infrared)


def _notes(options: Mapping[str, Any]) -> tuple[str, ...]:
    note = str(options.get("note", ""))
    return (note,) if note else ()


def load_fusion(root: Path, options: Mapping[str, Any]) -> PairSet:
    """The pairs of `M3FD_Fusion`; every pair is scored."""
    images = _images(root / "M3FD_Fusion")
    if images is None:
        raise missing(FUSION, root)
    stems = matched_stems(*images)
    return PairSet(
        name="m3fd-fusion",
        pairs=tuple(Pair(stem, images[0][stem], images[1][stem]) for stem in stems),
        scored=tuple(stems),
        no_split="boxes belong to m3fd-detection",
        footnotes=(f"M3FD_Fusion: {counted(len(stems), 'pair')}.", *_notes(options)),
    )


def load_detection(root: Path, options: Mapping[str, Any]) -> PairSet:
    """The pairs of `M3FD_Detection` with their boxes.

    Option labels: a folder of XML, a COCO file or a folder of train.json, val.json, test.json ("":
    the official `Annotation`). Option split: a name, a file, "none" or "auto" (the one
    folder under `splits/` where there is one, else `public-coco` for 4200 pairs and `public-300`
    for the 300 pairs of the fusion set).
    """
    folder = root / "M3FD_Detection"
    images = _images(folder) or _images(root / "m3fd")
    chosen = str(options.get("labels", ""))
    annotations = (
        root / chosen if chosen else first_folder(folder, ("Annotation", "Annotations", "labels"))
    )
    if images is None or annotations is None:
        raise missing(DETECTION, root)
    stems = matched_stems(*images)
    boxes = (
        label_files(annotations, CLASSES)
        if is_coco(annotations)
        else files_by_stem(annotations, (".xml", ".txt"))
    )
    lonely = [stem for stem in stems if stem not in boxes]
    if lonely:
        raise UserError(f"{images[0][lonely[0]]} has no annotation in {annotations}: add it.")
    name = str(options.get("split", "auto"))
    if name == "auto":
        own = sorted(path for path in root.glob("splits/*") if (path / "train.txt").is_file())
        if len(own) == 1:
            name = str(own[0].relative_to(root))
        else:
            name = "public-coco" if len(stems) == 4200 else "public-300"
    return PairSet(
        name="m3fd-detection",
        pairs=tuple(Pair(s, images[0][s], images[1][s], boxes[s]) for s in stems),
        scored=(),
        split=None if name == "none" else read_split(name, stems, root),
        no_split="its option split is 'none'" if name == "none" else "",
        classes=CLASSES,
        footnotes=(f"M3FD_Detection: {counted(len(stems), 'pair')}.", *_notes(options)),
    )


_SOURCE = "github.com/JinyuanLiu-CV/TarDAL (M3FD)"
_TERMS = "research use; cite TarDAL (CVPR 2022)"

FUSION = Adapter(
    name="m3fd-fusion",
    title="M3FD_Fusion",
    folder="M3FD",
    layout="M3FD_Fusion/{Vis,Ir}/NNNNN.png",
    source=_SOURCE,
    terms=_TERMS,
    load=load_fusion,
    options={"note": ""},
)
DETECTION = Adapter(
    name="m3fd-detection",
    title="M3FD_Detection",
    folder="M3FD",
    layout="M3FD_Detection/{Vis,Ir}/NNNNN.png\nM3FD_Detection/Annotation/NNNNN.xml",
    source=_SOURCE,
    terms=_TERMS,
    load=load_detection,
    options={"note": "", "split": "auto", "labels": ""},
    stages=("fuse", "detect", "profile"),
)
