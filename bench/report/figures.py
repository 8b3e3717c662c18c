"""The qualitative figure: pairs in rows, sources and methods in columns, two enlarged crops each.

Crops are given, or chosen where the methods differ most, never by hand after the fact; what was
drawn is written beside the figure.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.errors import UserError

Pixels = npt.NDArray[np.uint8]
Panel = tuple[str, Mapping[str, Path]]

COLOURS = ("#ff2020", "#20d020")
SOURCES = ("visible", "infrared")
# Of the image's sides; large enough to recognise things, small enough to enlarge them twice.
CROP = 0.2
COLUMN_INCHES = 1.5
GAP = 0.03


@dataclass(frozen=True)
class Box:
    """A crop in pixels, from the upper left corner."""

    x: int
    y: int
    width: int
    height: int

    def of(self, image: Pixels) -> Pixels:
        """The part of the image inside the box."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


def qualitative(
    panels: Sequence[Panel],
    out: Path,
    crops: Mapping[str, Sequence[Box]] | None = None,
    *,
    dpi: int = 200,
) -> tuple[Path, Path, Path]:
    """Draw `out`.pdf and .png, and write `out`.csv with the ids, columns and crops drawn.

    panels: (id, {label: image}); the columns are the labels in order of appearance, and a label
    that a pair lacks is drawn as an empty frame that says so. Labels "visible" and "infrared" (in
    any case) are sources. crops: two boxes per id; ids without boxes get `most_different`.
    """
    if not panels:
        raise UserError("No pair to draw: name at least one that every wanted method has fused.")
    labels = tuple(dict.fromkeys(label for _, images in panels for label in images))
    rows = [(name, _decoded(name, images)) for name, images in panels]
    boxes = {name: tuple((crops or {}).get(name, ())) or _chosen(images) for name, images in rows}
    for name, images in rows:
        _check(name, boxes[name], next(iter(images.values())))
    figure = _drawn(rows, labels, boxes)
    out.parent.mkdir(parents=True, exist_ok=True)
    files = tuple(out.with_name(f"{out.name}.{suffix}") for suffix in ("pdf", "png", "csv"))
    # Without dates and versions the same images give the same files.
    figure.savefig(files[0], dpi=dpi, metadata={"CreationDate": None, "Producer": None})
    figure.savefig(files[1], dpi=dpi, metadata={"Software": None})
    _record(files[2], rows, labels, boxes)
    return files[0], files[1], files[2]


def most_different(fused: Sequence[Pixels], count: int = 2) -> tuple[Box, ...]:
    """Boxes, not overlapping, where the variance between the images is largest on average.

    fused: H×W×3 or H×W of equal size; with fewer than two images, where the one varies most.
    """
    luma = np.stack([_detail(_luma(image)) for image in fused])
    height, width = luma.shape[1:]
    box = Box(0, 0, max(1, round(CROP * width)), max(1, round(CROP * height)))
    spread = luma.var(axis=0) if len(luma) > 1 else (luma[0] - luma[0].mean()) ** 2
    # Sums over all boxes from one table of cumulated sums.
    cumulated = np.pad(spread.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    h, w = box.height, box.width
    total = cumulated[h:, w:] - cumulated[:-h, w:] - cumulated[h:, :-w] + cumulated[:-h, :-w]
    found = []
    for _ in range(count):
        y, x = (int(k) for k in np.unravel_index(int(total.argmax()), total.shape))
        found.append(Box(x, y, w, h))
        total[max(0, y - h + 1) : y + h, max(0, x - w + 1) : x + w] = -1
    return tuple(found)


def _chosen(images: Mapping[str, Pixels]) -> tuple[Box, ...]:
    fused = [image for label, image in images.items() if label.lower() not in SOURCES]
    return most_different(fused or list(images.values()))


def _luma(image: Pixels) -> npt.NDArray[np.float64]:
    if image.ndim == 2:
        return image.astype(np.float64)
    weighted: npt.NDArray[np.float64] = image[..., :3] @ np.array([0.299, 0.587, 0.114])
    return weighted


def _detail(luma: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What is left without the slow part: a sky of another brightness shows nothing in a crop."""
    slow: npt.NDArray[np.float64] = gaussian_filter(luma, CROP * min(luma.shape) / 4)
    return luma - slow


def _decoded(name: str, images: Mapping[str, Path]) -> dict[str, Pixels]:
    decoded = {}
    for label, path in images.items():
        try:
            with Image.open(path) as image:
                decoded[label] = np.asarray(image.convert("RGB"))
        except OSError as error:
            raise UserError(f"{path} can't be drawn for pair {name}: {error}.") from None
    sizes = {image.shape[:2] for image in decoded.values()}
    if len(sizes) != 1:
        raise UserError(
            f"The images of pair {name} have no common size ({len(sizes)} sizes in "
            f"{len(decoded)} images): a fused image has the size of its pair."
        )
    return decoded


def _check(name: str, boxes: Sequence[Box], image: Pixels) -> None:
    height, width = image.shape[:2]
    for box in boxes:
        inside = 0 <= box.x < box.x + box.width <= width
        if not (inside and 0 <= box.y < box.y + box.height <= height):
            raise UserError(f"The crop {box} of pair {name} leaves its {width}×{height} image.")


def _drawn(
    rows: Sequence[tuple[str, Mapping[str, Pixels]]],
    labels: Sequence[str],
    boxes: Mapping[str, Sequence[Box]],
) -> Figure:
    """Every column is one unit wide; heights follow from the images and their crops."""
    heights = [_row_heights(images, boxes[name]) for name, images in rows]
    head = 0.22
    total = head + sum(full + crop + 3 * GAP for full, crop in heights)
    width = len(labels) * (1 + GAP) + GAP
    figure = Figure(figsize=(width * COLUMN_INCHES, total * COLUMN_INCHES))
    FigureCanvasAgg(figure)

    def place(left: float, top: float, wide: float, high: float) -> Any:
        axes = figure.add_axes((left / width, 1 - (top + high) / total, wide / width, high / total))
        axes.set_xticks([])
        axes.set_yticks([])
        return axes

    for column, label in enumerate(labels):
        x = (GAP + column * (1 + GAP) + 0.5) / width
        y = 1 - head / 2 / total
        # Names are text: dollar signs in them are no formula.
        figure.text(x, y, label, ha="center", va="center", fontsize=9, parse_math=False)
    top = head
    for (name, images), (full, crop) in zip(rows, heights, strict=True):
        for column, label in enumerate(labels):
            left = GAP + column * (1 + GAP)
            axes = place(left, top, 1, full)
            if label not in images:
                axes.text(0.5, 0.5, "not available", ha="center", va="center", fontsize=7)
                continue
            image = images[label]
            axes.imshow(image, aspect="auto")
            axes.axis("off")
            side = (1 - GAP * (len(boxes[name]) - 1)) / max(1, len(boxes[name]))
            for number, box in enumerate(boxes[name]):
                colour = COLOURS[number % len(COLOURS)]
                corner = (box.x - 0.5, box.y - 0.5)
                axes.add_patch(
                    Rectangle(corner, box.width, box.height, fill=False, edgecolor=colour, lw=1)
                )
                zoomed = place(left + number * (side + GAP), top + full + GAP, side, crop)
                zoomed.imshow(box.of(image), aspect="auto", interpolation="bilinear")
                for spine in zoomed.spines.values():
                    spine.set_edgecolor(colour)
                    spine.set_linewidth(1.5)
        top += full + crop + 3 * GAP
    return figure


def _row_heights(images: Mapping[str, Pixels], boxes: Sequence[Box]) -> tuple[float, float]:
    """Heights of image and crops where a column is one wide; the first crop decides the shape."""
    height, width = next(iter(images.values())).shape[:2]
    if not boxes:
        return height / width, 0.0
    side = (1 - GAP * (len(boxes) - 1)) / len(boxes)
    return height / width, side * boxes[0].height / boxes[0].width


def _record(
    path: Path,
    rows: Sequence[tuple[str, Mapping[str, Pixels]]],
    labels: Sequence[str],
    boxes: Mapping[str, Sequence[Box]],
) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("id", "column", "drawn", "crop", "colour", "x", "y", "width", "height"))
        for name, images in rows:
            for label in labels:
                drawn = "yes" if label in images else "not available"
                for number, box in enumerate(boxes[name]):
                    colour = COLOURS[number % len(COLOURS)]
                    place = (box.x, box.y, box.width, box.height)
                    writer.writerow((name, label, drawn, number + 1, colour, *place))
