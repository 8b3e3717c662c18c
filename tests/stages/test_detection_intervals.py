"""Bootstrap of AP over test images: exact for any counts, and as wide as it has to be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.stages.average_precision import evaluated, score
from bench.stages.detection_intervals import (
    bootstrap,
    interval,
    matches,
    read_draws,
    write_draws,
)

CLASSES = ("a", "b", "never")
SIDE = 200


def world(images: int, seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ground truth and detections: some exact, some shifted, some missed, some of nothing."""
    random = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for image in range(1, images + 1):
        for _ in range(int(random.integers(0, 4))):
            category = int(random.integers(1, 3))
            x, y, w, h = (float(v) for v in random.uniform((0, 0, 20, 20), (120, 120, 70, 70)))
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image, "category_id": category,
                    "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0,
                }
            )  # fmt: skip
            if random.random() < 0.8:
                shift = float(random.normal(0, 6))
                found.append(detection(image, category, [x + shift, y, w, h], random.random()))
        if random.random() < 0.5:
            found.append(detection(image, 1, [5.0, 5.0, 30.0, 30.0], random.random() / 2))
    truth = {
        "images": [
            {"id": k, "file_name": f"{k}.png", "width": SIDE, "height": SIDE}
            for k in range(1, images + 1)
        ],
        "categories": [{"id": k, "name": name} for k, name in enumerate(CLASSES, start=1)],
        "annotations": annotations,
    }
    return truth, found


def detection(image: int, category: int, box: list[float], confidence: float) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": box, "score": float(confidence)}


def copied(
    truth: Mapping[str, Any], found: Sequence[Mapping[str, Any]], counts: Sequence[int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The same with `counts` copies of each image, as images of their own."""
    images, annotations, detections = [], [], []
    for image, count in zip(truth["images"], counts, strict=True):
        for _ in range(count):
            new = len(images) + 1
            images.append({**image, "id": new})
            annotations += [
                {**a, "id": len(annotations) + k, "image_id": new}
                for k, a in enumerate(
                    (a for a in truth["annotations"] if a["image_id"] == image["id"]), start=1
                )
            ]
            detections += [{**d, "image_id": new} for d in found if d["image_id"] == image["id"]]
    return {**truth, "images": images, "annotations": annotations}, detections


@pytest.mark.parametrize("seed", range(4))
def test_weighted_matches_equal_pycocotools_on_copied_images(seed: int) -> None:
    truth, found = world(12, seed)
    counts = np.random.default_rng(seed).multinomial(12, np.full(12, 1 / 12))
    if seed == 0:
        counts = np.ones(12, dtype=int)
    expected = score(*copied(truth, found, counts.tolist()), CLASSES)
    evaluation = evaluated(truth, found)
    recalls = evaluation.params.recThrs
    ours = [
        100 * m.average_precision(counts, recalls)
        for m in matches(evaluation, [image["id"] for image in truth["images"]])
    ]
    for name, by_threshold in zip(CLASSES, ours, strict=True):
        assert by_threshold[0] == pytest.approx(expected.ap50[name], abs=1e-9, nan_ok=True)
        mean = by_threshold.mean()
        assert mean == pytest.approx(expected.ap50_95[name], abs=1e-9, nan_ok=True)
    assert math.isnan(ours[2][0])


def test_intervals_hold_the_value_and_shrink_with_more_images() -> None:
    widths = []
    for images in (20, 180):
        truth, found = world(images)
        value = score(truth, found, CLASSES)
        draws = bootstrap(truth, [found], CLASSES, resamples=200)
        low, high = interval(draws["all", "AP50"])
        assert low < value.mean_ap50 < high
        low_a, high_a = interval(draws["a", "AP50:95"])
        assert low_a < value.ap50_95["a"] < high_a
        assert all(math.isnan(end) for end in interval(draws["never", "AP50"]))
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def test_detectors_are_averaged_within_each_draw_and_draws_are_kept(tmp_path: Path) -> None:
    truth, found = world(30)
    alone = bootstrap(truth, [found], CLASSES, resamples=50)
    twice = bootstrap(truth, [found, found], CLASSES, resamples=50)
    half = bootstrap(truth, [found, []], CLASSES, resamples=50)
    for key, values in alone.items():
        np.testing.assert_allclose(twice[key], values)
    np.testing.assert_allclose(half["all", "AP50"], alone["all", "AP50"] / 2)
    write_draws(tmp_path, alone)
    again = read_draws(tmp_path)
    assert list(again) == list(alone)
    np.testing.assert_allclose(again["b", "AP50:95"], alone["b", "AP50:95"], atol=1e-6)
    assert read_draws(tmp_path / "nowhere") == {}
