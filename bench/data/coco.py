"""COCO JSON files as a source of boxes and of facts about images: classes by name, ids as they come
(numbers or strings), `bbox` as left, top, width, height from 0 at the image's edge.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.data.box import Box, RawBox, checked_box
from bench.errors import UserError, named

PARTS = ("train.json", "val.json", "test.json")


@dataclass(frozen=True)
class Image:
    """One image of a COCO file. size: (width, height) in pixels. scene: its code, 0 without one."""

    name: str
    size: tuple[int, int]
    scene: int = 0
    boxes: tuple[Box, ...] = field(default=())


def read_coco(path: Path, classes: Sequence[str] | None) -> dict[str, Image]:
    """Images by the stem of their file name, from one file or a folder of train.json, val.json and
    test.json. classes: the known names; None: whatever the file has.

    Raises UserError that names file and annotation.
    """
    images: dict[str, Image] = {}
    for file in _files(path):
        found = _image_by_stem(file, classes)
        if twice := sorted(images.keys() & found.keys()):
            raise UserError(f"{file}: another file of {path} has {named(twice)} too: keep one.")
        images |= found
    return images


def label_files(path: Path, classes: Sequence[str]) -> dict[str, Path]:
    """Which of the files at `path` (one file, or a folder) has the boxes of an image, by stem."""
    read_coco(path, classes)
    return {stem: file for file in _files(path) for stem in _image_by_stem(file, classes)}


def is_coco(path: Path) -> bool:
    """Whether `path` is a COCO file or a folder of them."""
    return path.suffix.lower() == ".json" if path.is_file() else (path / PARTS[0]).is_file()


def boxes_of(path: Path, image: str, size: tuple[int, int], classes: Sequence[str]) -> list[Box]:
    """The boxes of the image with the stem `image`; size: (width, height), as the file must say."""
    found = _image_by_stem(path, classes).get(image)
    if found is None:
        raise UserError(f"{path} has no image {image}: it belongs to other images, or add it.")
    if found.size != size:
        raise UserError(
            f"{path}: image {image} is {found.size[0]}×{found.size[1]} there, but its file is "
            f"{size[0]}×{size[1]}: do the labels belong to this image?"
        )
    return list(found.boxes)


def _files(path: Path) -> list[Path]:
    files = [path / part for part in PARTS if (path / part).is_file()] if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} holds none of {', '.join(PARTS)}: give a COCO file or its folder.")
    return files


def _image_by_stem(path: Path, classes: Sequence[str] | None) -> dict[str, Image]:
    try:
        state = path.stat()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from None
    known = None if classes is None else tuple(classes)
    return _read_file(path, known, (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=8)
def _read_file(
    path: Path, classes: tuple[str, ...] | None, state: tuple[int, int]
) -> dict[str, Image]:
    """Read once for all images of a file, as long as its `state` (time, bytes) is the same."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read as JSON: {error}.") from None
    try:
        # As strings: some files count images with numbers, others name them "00000".
        images = {str(image["id"]): _image(image) for image in record["images"]}
        names = {str(entry["id"]): str(entry["name"]) for entry in record["categories"]}
        entries = [_entry(entry) for entry in record["annotations"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is no COCO file with images, annotations and categories ({error!r})."
        ) from None
    if len(images) < len(record["images"]):
        raise UserError(f"{path} has two images of one id: every image needs its own.")
    boxes: dict[str, list[Box]] = {}
    for number, (id_, image_id, category, edges, crowd) in enumerate(entries, start=1):
        where = f"{path}: annotation {id_}"
        if image_id not in images or category not in names:
            raise UserError(f"{where} is of image {image_id}, category {category}: not in the file")
        if crowd:
            raise UserError(f"{where} is a crowd, which no detector is trained on: remove it.")
        raw = RawBox(number, names[category], edges)
        known = tuple(names.values()) if classes is None else classes
        box = checked_box(where, raw, images[image_id].size, known)
        boxes.setdefault(image_id, []).append(box)
    stems = {Path(image.name).stem for image in images.values()}
    if len(stems) < len(images):
        raise UserError(f"{path} has two images with the same file stem: rename one.")
    return {
        Path(image.name).stem: Image(
            image.name, image.size, image.scene, tuple(boxes.get(image_id, ()))
        )
        for image_id, image in images.items()
    }


def _image(entry: dict[str, Any]) -> Image:
    size = int(entry["width"]), int(entry["height"])
    return Image(str(entry["file_name"]), size, int(entry.get("scene", 0)))


def _entry(
    entry: dict[str, Any],
) -> tuple[str, str, str, tuple[float, float, float, float], bool]:
    x, y, w, h = (float(edge) for edge in entry["bbox"])
    if not math.isfinite(w + h):
        w, h = math.nan, math.nan
    edges = x, y, x + w, y + h
    crowd = bool(entry.get("iscrowd", 0))
    return str(entry.get("id")), str(entry["image_id"]), str(entry["category_id"]), edges, crowd
