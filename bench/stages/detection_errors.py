"""What a detector gets wrong: the six kinds of error of TIDE (Bolya et al., ECCV 2020) by class,
and a confusion matrix; both count detections above a score, as a user of the detector sees them.

An image's detections take objects in the order of their scores, at IoU 0.5 and of their own class.
What is left is, in this order: `localisation` (own class, IoU 0.1 to 0.5), `class` (another class,
IoU at least 0.5), `duplicate` (own class, taken already), `background` (IoU below 0.1 with
everything), `both` (another class, IoU 0.1 to 0.5). `missed` are objects that no detection took and
that no error of localisation or class was about.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOREGROUND, BACKGROUND = 0.5, 0.1
SCORE = 0.25
KINDS = ("class", "localisation", "both", "duplicate", "background", "missed")
NOTHING = "background"
"""Row and column of the confusion matrix for "no object" and "no detection"."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """Counts over all images with scores of at least `SCORE`.

    counts: class -> "objects", "found" and each of `KINDS`. An error counts for the class that was
    detected, `missed` for that of the object.
    confusion: [object's class, detected class], `NOTHING` last in both.
    """

    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    confusion: NDArray[np.int64]


def count_errors(
    ground_truth: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]
) -> Errors:
    """The errors of COCO-format `predictions` against a COCO-format `ground_truth`."""
    names = {int(entry["id"]): str(entry["name"]) for entry in ground_truth["categories"]}
    classes = tuple(names.values())
    place = {category: k for k, category in enumerate(names)}
    counts = {name: dict.fromkeys(("objects", "found", *KINDS), 0) for name in classes}
    confusion = np.zeros((len(classes) + 1, len(classes) + 1), np.int64)
    objects = _by_image(ground_truth["annotations"])
    found = _by_image([one for one in predictions if one["score"] >= SCORE])
    for image in ground_truth["images"]:
        truth = objects.get(image["id"], [])
        seen = sorted(found.get(image["id"], []), key=lambda one: -float(one["score"]))
        overlap = iou(_edges(seen), _edges(truth))
        of_truth = [place[one["category_id"]] for one in truth]
        of_seen = [place[one["category_id"]] for one in seen]
        for kind, index in _judged(overlap, of_seen, of_truth):
            counts[classes[index]][kind] += 1
        for index in of_truth:
            counts[classes[index]]["objects"] += 1
        _confuse(confusion, overlap, of_seen, of_truth)
    return Errors(classes, counts, confusion)


def _by_image(entries: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    grouped: dict[int, list[Mapping[str, Any]]] = {}
    for entry in entries:
        grouped.setdefault(entry["image_id"], []).append(entry)
    return grouped


def _edges(entries: Sequence[Mapping[str, Any]]) -> Floats:
    """N×4: left, top, right, bottom."""
    boxes = np.array([entry["bbox"] for entry in entries], float).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def iou(one: Floats, other: Floats) -> Floats:
    """N×M intersection over union of boxes given by their edges."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - common
    shares: Floats = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return shares


def _judged(
    overlap: Floats, of_seen: Sequence[int], of_truth: Sequence[int]
) -> list[tuple[str, int]]:
    """(kind or "found", class index) of every detection and missed object of one image."""
    truth = np.array(of_truth, int)
    taken = np.zeros(len(truth), bool)
    judged: list[tuple[str, int]] = []
    left: list[int] = []
    for row, index in enumerate(of_seen):
        free = np.where((truth == index) & ~taken, overlap[row], 0.0)
        if len(truth) and free.max() >= FOREGROUND:
            taken[int(free.argmax())] = True
            judged.append(("found", index))
        else:
            left.append(row)
    excused = np.zeros(len(truth), bool)
    for row in left:
        index = of_seen[row]
        own = np.where(truth == index, overlap[row], 0.0)
        foreign = np.where(truth != index, overlap[row], 0.0)
        best_own = own.max(initial=0.0)
        best_foreign = foreign.max(initial=0.0)
        if BACKGROUND <= best_own < FOREGROUND:
            kind = "localisation"
            excused[int(own.argmax())] = True
        elif best_foreign >= FOREGROUND:
            kind = "class"
            excused[int(foreign.argmax())] = True
        elif best_own >= FOREGROUND:
            kind = "duplicate"
        elif max(best_own, best_foreign) < BACKGROUND:
            kind = "background"
        else:
            kind = "both"
        judged.append((kind, index))
    missed = truth[~taken & ~excused]
    return judged + [("missed", int(index)) for index in missed]


def _confuse(
    confusion: NDArray[np.int64], overlap: Floats, of_seen: Sequence[int], of_truth: Sequence[int]
) -> None:
    """Count one image: each detection takes the free object it overlaps most, of any class."""
    nothing = len(confusion) - 1
    free = np.ones(len(of_truth), bool)
    for row, index in enumerate(of_seen):
        best = np.where(free, overlap[row], 0.0)
        if len(of_truth) and best.max() >= FOREGROUND:
            hit = int(best.argmax())
            free[hit] = False
            confusion[of_truth[hit], index] += 1
        else:
            confusion[nothing, index] += 1
    for left in np.flatnonzero(free):
        confusion[of_truth[int(left)], nothing] += 1


def write_errors(errors: Errors, path: Path) -> None:
    """One row per class and one for all: objects, found, and the kinds of error."""
    columns = ["objects", "found", *KINDS]
    total = {c: sum(own[c] for own in errors.counts.values()) for c in columns}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item", *columns])
        for name, own in (*errors.counts.items(), ("all", total)):
            writer.writerow([name, *(own[column] for column in columns)])


def write_confusion(errors: Errors, path: Path) -> None:
    """Rows: the object's class, columns: the detected one."""
    names = [*errors.classes, NOTHING]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["object", *names])
        for name, row in zip(names, errors.confusion.tolist(), strict=True):
            writer.writerow([name, *row])
