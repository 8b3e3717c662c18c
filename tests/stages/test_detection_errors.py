"""Kinds of error and the confusion matrix, against scenes worked out by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.stages.detection_errors import (
    KINDS,
    count_errors,
    iou,
    write_confusion,
    write_errors,
)

Box = tuple[float, float, float, float]
CAR, BUS = 1, 2


def counted(objects: list[tuple[int, Box]], found: list[tuple[int, Box, float]]) -> Any:
    """One image with these objects and detections (class, x y w h, score)."""
    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": CAR, "name": "car"}, {"id": BUS, "name": "bus"}],
        "annotations": [{"image_id": 1, "category_id": c, "bbox": list(b)} for c, b in objects],
    }
    predictions = [
        {"image_id": 1, "category_id": c, "bbox": list(b), "score": s} for c, b, s in found
    ]
    return count_errors(truth, predictions)


A: Box = (0, 0, 10, 10)
FAR: Box = (100, 100, 10, 10)
HALF: Box = (0, 0, 10, 4)  # IoU 0.4 with A
SLIVER: Box = (0, 0, 10, 0.5)  # IoU 0.05 with A
SHIFTED: Box = (2, 0, 10, 10)  # 80 of 120: IoU 2/3 with A


def test_iou() -> None:
    edges = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [100, 100, 110, 110]], float)
    np.testing.assert_allclose(iou(edges[:1], edges), [[1, 2 / 3, 0]])


@pytest.mark.parametrize(
    ("objects", "found", "expected"),
    [
        ([(CAR, A)], [(CAR, SHIFTED, 0.9)], {"car": {"objects": 1, "found": 1}}),
        ([(CAR, A)], [(BUS, SHIFTED, 0.9)], {"car": {"objects": 1}, "bus": {"class": 1}}),
        ([(CAR, A)], [(CAR, HALF, 0.9)], {"car": {"objects": 1, "localisation": 1}}),
        (
            [(CAR, A)],
            [(BUS, HALF, 0.9)],
            {"car": {"objects": 1, "missed": 1}, "bus": {"both": 1}},
        ),
        (
            [(CAR, A)],
            [(CAR, A, 0.9), (CAR, SHIFTED, 0.8)],
            {"car": {"objects": 1, "found": 1, "duplicate": 1}},
        ),
        # The better score takes the object, whatever the order of the list or the overlap.
        (
            [(CAR, A)],
            [(CAR, A, 0.5), (CAR, SHIFTED, 0.8)],
            {"car": {"objects": 1, "found": 1, "duplicate": 1}},
        ),
        (
            [(CAR, A)],
            [(CAR, SLIVER, 0.9), (BUS, FAR, 0.9)],
            {"car": {"objects": 1, "background": 1, "missed": 1}, "bus": {"background": 1}},
        ),
        ([(CAR, A)], [(CAR, A, 0.2)], {"car": {"objects": 1, "missed": 1}}),
        (
            [(CAR, A), (BUS, FAR)],
            [],
            {"car": {"objects": 1, "missed": 1}, "bus": {"objects": 1, "missed": 1}},
        ),
        ([], [(CAR, A, 0.9)], {"car": {"background": 1}}),
        # A detection of the wrong class on an object that another one took is still of a class.
        (
            [(CAR, A)],
            [(CAR, A, 0.9), (BUS, A, 0.8)],
            {"car": {"objects": 1, "found": 1}, "bus": {"class": 1}},
        ),
    ],
)
def test_every_kind_of_error(
    objects: list[tuple[int, Box]],
    found: list[tuple[int, Box, float]],
    expected: dict[str, dict[str, int]],
) -> None:
    counts = counted(objects, found).counts
    zero = dict.fromkeys(("objects", "found", *KINDS), 0)
    assert counts == {name: zero | expected.get(name, {}) for name in ("car", "bus")}


def test_confusion_and_the_files(tmp_path: Path) -> None:
    errors = counted(
        [(CAR, A), (BUS, FAR)], [(BUS, A, 0.9), (CAR, (50, 50, 5, 5), 0.8), (CAR, A, 0.7)]
    )
    # The bus on the car takes it; both cars are on nothing; the bus far away is missed.
    assert errors.confusion.tolist() == [[0, 1, 0], [0, 0, 1], [2, 0, 0]]
    write_confusion(errors, tmp_path / "confusion.csv")
    write_errors(errors, tmp_path / "errors.csv")
    with (tmp_path / "confusion.csv").open() as file:
        assert list(csv.reader(file))[:2] == [
            ["object", "car", "bus", "background"],
            ["car", "0", "1", "0"],
        ]
    with (tmp_path / "errors.csv").open() as file:
        rows = {row["item"]: row for row in csv.DictReader(file)}
    assert {k: rows["all"][k] for k in ("objects", "found", "class", "background", "missed")} == {
        "objects": "2", "found": "1", "class": "1", "background": "1", "missed": "1",
    }  # fmt: skip
