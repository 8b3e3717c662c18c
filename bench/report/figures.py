"""The qualitative figure: pairs in rows, sources and methods in columns, two enlarged crops each.

Crops are given, or chosen where the methods differ most, never by hand after the fact; what was
drawn is written beside the figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.errors import UserError
from bench.report.style import FRAMES, PAGE, new_figure, plain, save, styled

Pixels = npt.NDArray[np.uint8]
Panel = tuple[str, Mapping[str, Path]]

SOURCES = ("visible", "infrared")
# Of the image's sides; large enough to recognise things, small enough to enlarge them twice.
CROP = 0.2
# Images beside each other at most; more would be smaller than what they show.
COLUMNS = 8
# Of a column's width.
GAP = 0.04
LABEL_INCHES = 0.15


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
) -> tuple[Path, ...]:
    """Draw `out`.pdf and .png, and write `out`.csv with the ids, columns and crops drawn.

    panels: (id, {label: image}); every pair shows the labels in order of appearance, `COLUMNS`
    beside each other, and a label that a pair lacks is an empty frame that says so.
    Labels "visible" and "infrared" (in any case) are sources. crops: two boxes per id; ids without
    boxes get `most_different`.
    """
    if not panels:
        raise UserError("No pair to draw: name at least one that every wanted method has fused.")
    labels = tuple(dict.fromkeys(label for _, images in panels for label in images))
    rows = [(name, decoded(name, images)) for name, images in panels]
    boxes = {name: tuple((crops or {}).get(name, ())) or _chosen(images) for name, images in rows}
    for name, images in rows:
        _check(name, boxes[name], next(iter(images.values())))
    with styled():
        figure = _drawn(rows, labels, boxes)
    return save(figure, out, _record(rows, labels, boxes))


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


def decoded(name: str, images: Mapping[str, Path]) -> dict[str, Pixels]:
    """The images of one pair as H×W×3. UserError for one that can't be read or has another size."""
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
    """As wide as a page; heights follow from the images and their crops."""
    bands = math.ceil(len(labels) / COLUMNS)
    across = math.ceil(len(labels) / bands)
    side = PAGE / (across + (across + 1) * GAP)
    gap = side * GAP
    heights = [_heights(images, boxes[name]) for name, images in rows]
    band_heights = [LABEL_INCHES + (full + crop) * side + 2 * gap for full, crop in heights]
    total = sum(bands * height + 2 * gap for height in band_heights)
    figure = new_figure(PAGE, total)

    def place(left: float, top: float, wide: float, high: float) -> Any:
        area = (left / PAGE, 1 - (top + high) / total, wide / PAGE, high / total)
        axes = figure.add_axes(area, xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(True)
        return axes

    top = 0.0
    for (name, images), (full, crop), height in zip(rows, heights, band_heights, strict=True):
        for position, label in enumerate(labels):
            band, column = divmod(position, across)
            left = gap + column * (side + gap)
            head = top + band * height
            figure.text(
                (left + side / 2) / PAGE,
                1 - (head + LABEL_INCHES / 2) / total,
                plain(label),
                ha="center",
                va="center",
                fontsize=_fitting(label, side),
            )
            axes = place(left, head + LABEL_INCHES, side, full * side)
            if label not in images:
                axes.text(0.5, 0.5, "not available", ha="center", va="center")
                continue
            axes.imshow(images[label], aspect="auto")
            axes.axis("off")
            below = head + LABEL_INCHES + full * side + gap
            _crops(axes, images[label], boxes[name], place, (left, below, side, crop * side, gap))
        top += bands * height + 2 * gap
    return figure


def _crops(
    axes: Any,
    image: Pixels,
    boxes: Sequence[Box],
    place: Any,
    room: tuple[float, float, float, float, float],
) -> None:
    """Frames in the image, and enlarged crops in equal frames below it; room in inches."""
    left, top, side, high, gap = room
    wide = (side - gap * (len(boxes) - 1)) / max(1, len(boxes))
    for number, box in enumerate(boxes):
        edge, line = FRAMES[number % len(FRAMES)]
        corner = (box.x - 0.5, box.y - 0.5)
        for width, style, tone in ((1.8, "solid", "black"), (0.9, line, edge)):
            frame = Rectangle(corner, box.width, box.height, fill=False)
            frame.set(edgecolor=tone, linewidth=width, linestyle=style)
            axes.add_patch(frame)
        zoomed = place(left + number * (wide + gap), top, wide, high)
        zoomed.imshow(box.of(image), aspect="auto", interpolation="bilinear")
        for spine in zoomed.spines.values():
            spine.set(edgecolor=edge, linestyle=line, linewidth=1.4)


def _fitting(label: str, side: float) -> float:
    """Points at which a name still fits over its image; a glyph is 0.6 times its size wide."""
    return max(3.5, min(7.0, 72 * side / (0.62 * max(1, len(plain(label))))))


def _heights(images: Mapping[str, Pixels], boxes: Sequence[Box]) -> tuple[float, float]:
    """Heights of image and crops where an image is one wide; the first crop decides the shape."""
    height, width = next(iter(images.values())).shape[:2]
    if not boxes:
        return height / width, 0.0
    side = (1 - GAP * (len(boxes) - 1)) / len(boxes)
    return height / width, side * boxes[0].height / boxes[0].width


def _record(
    rows: Sequence[tuple[str, Mapping[str, Pixels]]],
    labels: Sequence[str],
    boxes: Mapping[str, Sequence[Box]],
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (
                *(name, label, "yes" if label in images else "not available", number + 1),
                *(FRAMES[number % len(FRAMES)][0], box.x, box.y, box.width, box.height),
            )
            for name, images in rows
            for label in labels
            for number, box in enumerate(boxes[name])
        ],
        columns=["id", "column", "drawn", "crop", "colour", "x", "y", "width", "height"],
    )
