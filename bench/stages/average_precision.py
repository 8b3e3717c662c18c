"""Average precision by pycocotools, per class and over all classes, in per cent.

The measure is COCO's (Lin et al., ECCV 2014): AP50:95 is the mean over ten IoU thresholds, at most
100 detections per image count, areas are those of the boxes at full resolution.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IOU50, IOU75 = 0, 5
"""Indices of IoU 0.5 and 0.75 among COCO's ten thresholds."""
AREAS = ("all", "small", "medium", "large")
"""COCO's area ranges in its own order: below 32², 32² to 96², above 96² pixels."""
MOST_DETECTIONS = -1
"""Index of 100 detections per image among COCO's three limits."""


@dataclass(frozen=True)
class AveragePrecision:
    """Percentages 0..100; nan where there is no ground truth, and `absent` says so in words.

    ap50, ap50_95: by class name, in the order of the classes; the means are over the classes with
    ground truth.
    precision: by class, 10 IoU thresholds × 101 recalls 0, 0.01 ... 1; -1 without ground truth.
    """

    ap50: Mapping[str, float]
    ap50_95: Mapping[str, float]
    mean_ap50: float
    mean_ap50_95: float
    mean_small: float
    mean_medium: float
    mean_large: float
    mean_recall: float
    absent: Mapping[str, str]
    precision: Mapping[str, np.ndarray[Any, Any]]

    def rows(self) -> list[tuple[str, str, float]]:
        """(item, name, value), item being a class or "all"."""
        rows = [(name, "AP50", value) for name, value in self.ap50.items()]
        rows += [(name, "AP50:95", value) for name, value in self.ap50_95.items()]
        return [
            *rows,
            ("all", "AP50", self.mean_ap50),
            ("all", "AP50:95", self.mean_ap50_95),
            ("all", "AR", self.mean_recall),
            ("all", "AP_small", self.mean_small),
            ("all", "AP_medium", self.mean_medium),
            ("all", "AP_large", self.mean_large),
        ]


def score(
    ground_truth: Mapping[str, Any],
    predictions: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
) -> AveragePrecision:
    """AP of COCO-format `predictions` against a COCO-format `ground_truth`.

    classes: names in the order of the categories' ids, which count from 1.
    """
    evaluation = evaluated(ground_truth, predictions)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    # precision: 10 IoUs × 101 recalls × classes × 4 areas × 3 limits; recall: without the recalls.
    precision = evaluation.eval["precision"][..., MOST_DETECTIONS]
    recall = evaluation.eval["recall"][..., AREAS.index("all"), MOST_DETECTIONS]
    everywhere = precision[..., AREAS.index("all")]
    means = {area: _percent(precision[..., index]) for index, area in enumerate(AREAS)}
    ap50 = {name: _percent(everywhere[IOU50, :, k]) for k, name in enumerate(classes)}
    absent = {
        name: "no ground truth in the test part" for name, ap in ap50.items() if math.isnan(ap)
    }
    for area in AREAS[1:]:
        if math.isnan(means[area]):
            absent[f"AP_{area}"] = "no ground truth of this size in the test part"
    return AveragePrecision(
        ap50=ap50,
        ap50_95={name: _percent(everywhere[:, :, k]) for k, name in enumerate(classes)},
        mean_ap50=_percent(everywhere[IOU50]),
        mean_ap50_95=means["all"],
        mean_small=means["small"],
        mean_medium=means["medium"],
        mean_large=means["large"],
        mean_recall=_percent(recall),
        absent=absent,
        precision={name: everywhere[:, :, k] for k, name in enumerate(classes)},
    )


def write_curves(result: AveragePrecision, path: Path) -> None:
    """Precision over recall of each class with objects, as pycocotools interpolates it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["class", "recall", "precision_50", "precision_75", "precision_50:95"])
        for name, precision in result.precision.items():
            if precision.max() < 0:
                continue
            for step in range(precision.shape[1]):
                column = precision[:, step]
                shown = (column[IOU50], column[IOU75], column.mean())
                writer.writerow([name, f"{step / 100:.2f}", *(f"{value:.6f}" for value in shown)])


def _percent(values: np.ndarray[Any, Any]) -> float:
    """Mean of the defined values (pycocotools writes -1 for "no ground truth"), in per cent."""
    defined = values[values > -1]
    return 100.0 * float(defined.mean()) if defined.size else math.nan


def evaluated(
    ground_truth: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]
) -> COCOeval:
    """pycocotools' matches of detections with objects, image by image, not yet accumulated."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _indexed(dict(ground_truth))
        # loadRes reads the first prediction's keys, so it cannot take an empty list.
        found = (
            truth.loadRes([dict(prediction) for prediction in predictions])
            if predictions
            else _indexed({**ground_truth, "annotations": []})
        )
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
    return evaluation


def _indexed(dataset: dict[str, Any]) -> COCO:
    coco = COCO()
    # pycocotools marks annotations in place ("ignore"): the caller's dictionaries stay as they are.
    coco.dataset = {**dataset, "annotations": [dict(a) for a in dataset["annotations"]]}
    coco.createIndex()
    return coco
