"""Where the files of a generated pair go: our own folder layout, M3FD's and MSRS's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.data.synthetic.scene import PARTS, Box, Scene
from bench.data.synthetic.world import CLASSES

Writer = Callable[[Scene], bytes]


@dataclass(frozen=True)
class Slot:
    """One pair of the set: its part, its index in the part, its number over all parts."""

    part: str
    index: int
    number: int

    @property
    def stem(self) -> str:
        """Five digits, unique over the parts."""
        return f"{self.number:05d}"


def slots(pairs: Sequence[int]) -> tuple[Slot, ...]:
    """All pairs in their order: train, val, test."""
    out: list[Slot] = []
    for part, count in zip(PARTS, pairs, strict=True):
        out += [Slot(part, k, len(out) + k) for k in range(count)]
    return tuple(out)


def png(image: NDArray[np.uint8]) -> bytes:
    """PNG bytes of an 8-bit picture (H×W, or H×W×3 RGB)."""
    samples = image if image.ndim == 2 else np.ascontiguousarray(image[:, :, ::-1])
    done, data = cv2.imencode(".png", samples, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise RuntimeError("OpenCV could not encode a PNG")
    return bytes(data.tobytes())


def voc(stem: str, width: int, height: int, boxes: Sequence[Box]) -> bytes:
    """VOC XML as in M3FD: 1-based, inclusive pixel indices."""
    lines = [
        "<annotation>",
        f"\t<filename>{stem}.png</filename>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "\t<segmented>0</segmented>",
    ]
    for name, x0, y0, x1, y1 in boxes:
        lines += [
            "\t<object>",
            f"\t\t<name>{name}</name><pose>Unspecified</pose>",
            "\t\t<truncated>0</truncated><difficult>0</difficult>",
            f"\t\t<bndbox><xmin>{int(x0) + 1}</xmin><ymin>{int(y0) + 1}</ymin>"
            f"<xmax>{int(x1)}</xmax><ymax>{int(y1)}</ymax></bndbox>",
            "\t</object>",
        ]
    return ("\n".join([*lines, "</annotation>"]) + "\n").encode()


def yolo(width: int, height: int, boxes: Sequence[Box]) -> bytes:
    """YOLO text: class, centre and size relative to the picture."""
    lines = [
        f"{CLASSES.index(name)} {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} "
        f"{(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}\n"
        for name, x0, y0, x1, y1 in boxes
    ]
    return "".join(lines).encode()


def _visible(scene: Scene) -> bytes:
    return png(scene.visible)


def _infrared(scene: Scene) -> bytes:
    return png(scene.infrared)


def _mask(scene: Scene) -> bytes:
    return png(scene.mask)


def _annotation(stem: str) -> Writer:
    def write(scene: Scene) -> bytes:
        height, width = scene.mask.shape
        return voc(stem, width, height, scene.boxes)

    return write


def _relative(scene: Scene) -> bytes:
    height, width = scene.mask.shape
    return yolo(width, height, scene.boxes)


def folder(dest: Path, slot: Slot) -> Mapping[Path, Writer]:
    """dest/{train,val,test}/{visible,infrared,labels,masks}/NNNNN.*"""
    base = dest / slot.part
    return {
        base / "visible" / f"{slot.stem}.png": _visible,
        base / "infrared" / f"{slot.stem}.png": _infrared,
        base / "masks" / f"{slot.stem}.png": _mask,
        base / "labels" / f"{slot.stem}.xml": _annotation(slot.stem),
    }


def m3fd(dest: Path, slot: Slot) -> Mapping[Path, Writer]:
    """dest/M3FD_Detection/{Vis,Ir,Annotation}; the test pairs in dest/M3FD_Fusion as well."""
    base = dest / "M3FD_Detection"
    out: dict[Path, Writer] = {
        base / "Vis" / f"{slot.stem}.png": _visible,
        base / "Ir" / f"{slot.stem}.png": _infrared,
        base / "Annotation" / f"{slot.stem}.xml": _annotation(slot.stem),
    }
    if slot.part == "test":
        out[dest / "M3FD_Fusion" / "Vis" / f"{slot.stem}.png"] = _visible
        out[dest / "M3FD_Fusion" / "Ir" / f"{slot.stem}.png"] = _infrared
    return out


def msrs(dest: Path, slot: Slot) -> Mapping[Path, Writer]:
    """dest/{train,test}/{vi,ir,Segmentation_labels}/NNNNN{D,N}.png and YOLO labels beside them.

    The validation pairs go into train, for MSRS has none; N stands for night and challenge.
    """
    part = "test" if slot.part == "test" else "train"
    stem = slot.stem + ("D" if slot.index % 4 < 2 else "N")
    base = dest / part
    return {
        base / "vi" / f"{stem}.png": _visible,
        base / "ir" / f"{stem}.png": _infrared,
        base / "Segmentation_labels" / f"{stem}.png": _mask,
        dest / "detection_labels" / "fusion" / part / f"{stem}.txt": _relative,
    }


def extras(layout: str, dest: Path, all_slots: Sequence[Slot]) -> Mapping[Path, bytes]:
    """Files of a layout that belong to no single pair."""
    if layout == "m3fd":
        return {
            dest / "splits" / "synthetic" / f"{part}.txt": "".join(
                f"{slot.stem}\n" for slot in all_slots if slot.part == part
            ).encode()
            for part in PARTS
        }
    if layout == "msrs":
        names = "".join(f"{k} {name}\n" for k, name in enumerate(CLASSES)).encode()
        return {dest / "detection_labels" / "fusion" / "classes.txt": names}
    return {}


LAYOUTS: Mapping[str, Callable[[Path, Slot], Mapping[Path, Writer]]] = {
    "folder": folder,
    "m3fd": m3fd,
    "msrs": msrs,
}
