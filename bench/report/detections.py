"""Figure 8: what the detectors found on each method's images, with their errors marked.

A detection counts as in COCO at IoU 0.5: best score first, each takes the free object of its class
that it overlaps most. Drawn is what scores at least `SCORE`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import patheffects
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Rectangle

from bench.errors import UserError
from bench.report.figures import Pixels, decoded
from bench.report.frame import Job
from bench.report.rows import ordered, title_of
from bench.report.source import Source
from bench.report.style import PAGE, legend_below, new_figure, plain, save, styled

IOU, SCORE = 0.5, 0.25
ROWS = 2
# Images beside each other: larger ones while there are few rows.
FEW, COLUMNS_OF_FEW, COLUMNS = 8, 4, 6
HIT, FALSE, MISS = "hit", "false positive", "miss"
# Colour, line and shape each tell the three apart.
LOOKS: dict[str, tuple[str, Any]] = {
    HIT: ("#ffffff", "-"),
    FALSE: ("#00e5ff", "-"),
    MISS: ("#ffe600", "--"),
}
Edges = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mark:
    """One object or detection; box: left, top, width, height in pixels. score: nan for a miss."""

    kind: str
    cls: str
    box: Edges
    score: float


def iou(a: Edges, b: Edges) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(0.0, wide) * max(0.0, high)
    union = a[2] * a[3] + b[2] * b[3] - common
    return common / union if union > 0 else 0.0


def matched(
    objects: Sequence[tuple[str, Edges]], found: Sequence[tuple[str, Edges, float]]
) -> list[Mark]:
    """Hits, false positives and misses of one image. found: class, box, score."""
    free = list(objects)
    marks = []
    for cls, box, score in sorted(found, key=lambda one: -one[2]):
        overlaps = [(iou(box, other), k) for k, (c, other) in enumerate(free) if c == cls]
        best, place = max(overlaps, default=(0.0, -1))
        if best >= IOU:
            free.pop(place)
        marks.append(Mark(HIT if best >= IOU else FALSE, cls, box, score))
    return marks + [Mark(MISS, cls, box, math.nan) for cls, box in free]


def read_marks(folder: Path, seed: int) -> dict[str, list[Mark]]:
    """Image id -> its marks, from what the detect stage keeps: ground truth and predictions."""
    truth = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    predictions = json.loads((folder / f"predictions-seed{seed}.json").read_text(encoding="utf-8"))
    names = {category["id"]: str(category["name"]) for category in truth["categories"]}
    objects: dict[int, list[tuple[str, Edges]]] = {}
    for one in truth["annotations"]:
        place = (names[one["category_id"]], _edges(one["bbox"]))
        objects.setdefault(one["image_id"], []).append(place)
    found: dict[int, list[tuple[str, Edges, float]]] = {}
    for one in predictions:
        if one["score"] >= SCORE:
            entry = (names[one["category_id"]], _edges(one["bbox"]), float(one["score"]))
            found.setdefault(one["image_id"], []).append(entry)
    return {
        Path(image["file_name"]).stem: matched(
            objects.get(image["id"], ()), found.get(image["id"], ())
        )
        for image in truth["images"]
    }


def _edges(box: Sequence[float]) -> Edges:
    left, top, width, height = (float(edge) for edge in box)
    return left, top, width, height


def detections(source: Source, dataset: str) -> tuple[Path, ...]:
    """`detections-<data set>`: every row's detector on the same test images, its first seed.

    pairs: test images; without any those on which the rows' numbers of errors differ most.
    """
    wanted = source.methods or ordered(source.jobs, dataset)
    jobs = {m: job for m in wanted if (job := source.jobs.get(dataset, m, "detect")).finished}
    if not jobs:
        raise UserError(f"{source.run} has no detection on {dataset}: run the detect stage first.")
    marks = {m: read_marks(source.run / dataset / m / "detect", _seed(j)) for m, j in jobs.items()}
    common = [
        id_ for id_ in next(iter(marks.values())) if all(id_ in own for own in marks.values())
    ]
    for id_ in source.pairs:
        if id_ not in common:
            raise UserError(f"{dataset} has no test image '{id_}' that all rows were tested on.")
    shown = list(source.pairs) or _most_different(marks, common)
    panels = {
        id_: decoded(id_, {m: _image(source, dataset, m, id_) for m in jobs}) for id_ in shown
    }
    names = {method: source.name(dataset, method) for method in jobs}
    data = pd.DataFrame(
        [
            (id_, m, mark.kind, mark.cls, mark.score, *mark.box, _seed(jobs[m]))
            for id_ in shown
            for m in jobs
            for mark in marks[m][id_]
        ],
        columns=["image", "method", "kind", "class", "score", "x", "y", "width", "height", "seed"],
    )
    with styled():
        figure = _drawn(panels, marks, names, dataset)
    return save(figure, source.out(f"detections-{dataset}"), data)


def _seed(job: Job) -> int:
    recipe = job.facts.get("recipe") or {}
    return int((recipe.get("seeds") or [0])[0])


def _image(source: Source, dataset: str, method: str, id_: str) -> Path:
    for folder in source.images(dataset, method):
        if (folder / f"{id_}.png").is_file():
            return folder / f"{id_}.png"
    raise UserError(
        f"{source.run} has no fused image {id_} of {method} on {dataset}: run the fuse stage again."
    )


def _most_different(
    marks: Mapping[str, Mapping[str, Sequence[Mark]]], ids: Sequence[str]
) -> list[str]:
    """Images where the rows' error counts spread most, then those with most objects."""

    def spread(id_: str) -> tuple[float, int]:
        errors = [sum(mark.kind != HIT for mark in own[id_]) for own in marks.values()]
        mean = sum(errors) / len(errors)
        objects = sum(mark.kind != FALSE for mark in next(iter(marks.values()))[id_])
        return sum((error - mean) ** 2 for error in errors), objects

    chosen = set(sorted(ids, key=spread, reverse=True)[:ROWS])
    return [id_ for id_ in ids if id_ in chosen]


def _drawn(
    panels: Mapping[str, Mapping[str, Pixels]],
    marks: Mapping[str, Mapping[str, Sequence[Mark]]],
    names: Mapping[str, str],
    dataset: str,
) -> Any:
    methods = list(names)
    across = min(COLUMNS_OF_FEW if len(methods) <= FEW else COLUMNS, len(methods))
    bands = math.ceil(len(methods) / across)
    first = next(iter(next(iter(panels.values())).values()))
    side = PAGE / across
    height = side * first.shape[0] / first.shape[1] + 0.2
    figure = new_figure(PAGE, height * bands * len(panels) + 0.5, layout="constrained")
    axes = figure.subplots(bands * len(panels), across, squeeze=False)
    for own in axes.ravel():
        own.axis("off")
    for row, (id_, images) in enumerate(panels.items()):
        for place, method in enumerate(methods):
            band, column = divmod(place, across)
            own = axes[row * bands + band][column]
            own.imshow(images[method])
            found = marks[method][id_]
            for mark in found:
                _draw_mark(own, mark)
            counts = [sum(mark.kind == kind for mark in found) for kind in (HIT, FALSE, MISS)]
            words = (
                f"{plain(names[method])}: {counts[0]} found, {counts[1]} false, {counts[2]} missed"
            )
            own.set_title(words, fontsize=max(3.5, min(6.5, 72 * side / (0.6 * len(words)))), pad=2)
    looks = [(kind, *LOOKS[kind]) for kind in LOOKS]
    lines = [
        Line2D([], [], color=tone, linestyle=line, linewidth=1.6, label=_LEGEND[kind],
               path_effects=_outlined(1.6))
        for kind, tone, line in looks
    ]  # fmt: skip
    figure.suptitle(
        plain(f"Detections on {title_of(dataset)}: score at least {SCORE}, IoU {IOU}"), fontsize=7.5
    )
    legend_below(figure, lines, 3)
    return figure


_LEGEND = {HIT: "object found", FALSE: "false positive (circled)", MISS: "missed object"}


def _draw_mark(axes: Any, mark: Mark) -> None:
    tone, line = LOOKS[mark.kind]
    left, top, width, height = mark.box
    if mark.kind == FALSE:
        centre = (left + width / 2, top + height / 2)
        # A circle around the box touches its corners.
        shape: Any = Ellipse(centre, width * math.sqrt(2), height * math.sqrt(2), fill=False)
    else:
        shape = Rectangle((left, top), width, height, fill=False)
    wide = 0.5 if mark.kind == HIT else 1.0
    shape.set(edgecolor=tone, linestyle=line, linewidth=wide, clip_on=True)
    if mark.kind != HIT:
        shape.set_path_effects(_outlined(wide))
    axes.add_patch(shape)


def _outlined(wide: float) -> list[Any]:
    """A dark rim, without which a bright line is lost on a bright image."""
    return [patheffects.Stroke(linewidth=wide + 0.8, foreground="black"), patheffects.Normal()]
