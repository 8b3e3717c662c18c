"""How far AP depends on the drawing of the test images: bootstrap intervals over them.

A resampled test part has whole images, some of them several times. pycocotools matches detections
to objects image by image, so its matches are kept and only its last step, the precision over recall
of each class, is computed anew with the images' counts as weights; for any counts the result is
that of pycocotools on a test part with so many copies of the images.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from bench.stages.average_precision import IOU50, evaluated

RESAMPLES = 500
LEVEL = 0.95
MEASURES = ("AP50", "AP50:95")
FILE = "bootstrap.csv"

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Matches:
    """One class of one detector, its detections by falling score.

    image: place of each detection's image, D. right, wrong: 10 IoU thresholds × D, false in both
    where the detection is not to be counted. objects: number in each image.
    """

    image: Array
    right: Array
    wrong: Array
    objects: Array

    def average_precision(self, counts: Array, recalls: Array) -> Array:
        """AP at the ten thresholds, 0..1, with `counts` copies of each image; nan without objects.

        recalls: where precision is read, as pycocotools does.
        """
        objects = int(counts @ self.objects)
        if not objects:
            return np.full(len(self.right), math.nan)
        weights = counts[self.image]
        hits = np.cumsum(self.right * weights, axis=1)
        shown = hits + np.cumsum(self.wrong * weights, axis=1)
        precision = hits / (shown + np.spacing(1))
        best_after = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        # Beyond the last recall that is reached, precision is 0.
        padded = np.pad(best_after, ((0, 0), (0, 1)))
        recall = hits / objects
        read = [np.searchsorted(row, recalls, side="left") for row in recall]
        return np.array([line[at].mean() for line, at in zip(padded, read, strict=True)])


def matches(evaluation: COCOeval, images: Sequence[int]) -> list[Matches]:
    """Those of every category, in their order; `images` in the order of the counts."""
    place = {image: k for k, image in enumerate(images)}
    found = []
    for category in evaluation.params.catIds:
        of_class = [
            e
            for e in evaluation.evalImgs
            if e is not None
            and e["category_id"] == category
            and e["aRng"] == evaluation.params.areaRng[0]
        ]
        objects = np.zeros(len(images), dtype=np.int64)
        for e in of_class:
            objects[place[e["image_id"]]] = np.count_nonzero(np.asarray(e["gtIgnore"]) == 0)
        thresholds = len(evaluation.params.iouThrs)
        empty = np.zeros((thresholds, 0))
        scores = np.concatenate([np.zeros(0), *(e["dtScores"] for e in of_class)])
        matched = np.concatenate([empty, *(e["dtMatches"] for e in of_class)], axis=1) > 0
        ignored = np.concatenate([empty, *(e["dtIgnore"] for e in of_class)], axis=1) > 0
        image = np.concatenate(
            [
                np.zeros(0, dtype=np.int64),
                *(np.full(len(e["dtScores"]), place[e["image_id"]]) for e in of_class),
            ]
        )
        order = np.argsort(-scores, kind="mergesort")
        found.append(
            Matches(
                image[order],
                (matched & ~ignored)[:, order],
                (~matched & ~ignored)[:, order],
                objects,
            )
        )
    return found


Draws = dict[tuple[str, str], Array]
"""By (class or "all", AP50 or AP50:95): the value in per cent of each draw, nan where undefined."""


def bootstrap(
    ground_truth: Mapping[str, Any],
    predictions: Sequence[Sequence[Mapping[str, Any]]],
    classes: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Draws:
    """The mean over detectors in each of `resamples` redrawn test parts.

    predictions: of each detector (seed), in COCO's format. All detectors, and all methods with the
    same number of test images, meet the same draws, so that differences can be taken draw by draw.
    A draw without an object of a class says nothing of it.
    """
    images = [int(image["id"]) for image in ground_truth["images"]]
    evaluations = [evaluated(ground_truth, found) for found in predictions]
    detectors = [matches(evaluation, images) for evaluation in evaluations]
    recalls = np.asarray(evaluations[0].params.recThrs)
    drawn = {
        (item, measure): np.full(resamples, math.nan)
        for item in (*classes, "all")
        for measure in MEASURES
    }
    for k, counts in enumerate(_counts(len(images), resamples, seed)):
        # classes × thresholds, the mean over detectors
        precision = np.mean(
            [[c.average_precision(counts, recalls) for c in detector] for detector in detectors],
            axis=0,
        )
        for measure, of_class in zip(
            MEASURES, (precision[:, IOU50], precision.mean(axis=1)), strict=True
        ):
            for name, value in zip(classes, of_class, strict=True):
                drawn[name, measure][k] = 100 * value
            present = of_class[~np.isnan(of_class)]
            drawn["all", measure][k] = 100 * present.mean() if present.size else math.nan
    return drawn


def _counts(images: int, resamples: int, seed: int) -> Iterator[Array]:
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(random.integers(0, images, images), minlength=images)


def interval(values: Array) -> tuple[float, float]:
    """The 95 % percentile interval of the defined draws; (nan, nan) where there are none."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return math.nan, math.nan
    low, high = np.percentile(defined, (50 * (1 - LEVEL), 50 * (1 + LEVEL)))
    return float(low), float(high)


def write_draws(folder: Path, draws: Draws) -> None:
    """`folder`/bootstrap.csv: item, name, and a column for each draw."""
    with (folder / FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        count = len(next(iter(draws.values())))
        writer.writerow(["item", "name", *range(count)])
        for (item, name), values in draws.items():
            writer.writerow([item, name, *(f"{value:.6f}" for value in values)])


def read_draws(folder: Path) -> Draws:
    """What `write_draws` left in a finished test's folder, {} where it left nothing."""
    try:
        with (folder / FILE).open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))[1:]
    except OSError:
        return {}
    return {(item, name): np.array(values, dtype=float) for item, name, *values in lines}
