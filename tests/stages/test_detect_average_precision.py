"""AP against values worked out by hand, and against pycocotools called directly on the files."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bench.stages.average_precision import score

CLASSES = ("a", "b")


def truth(*boxes: tuple[int, int, tuple[float, float, float, float]]) -> dict[str, Any]:
    """Two 200x200 images; boxes are (image, category, x y w h)."""
    return {
        "images": [{"id": k, "file_name": f"{k}.png", "width": 200, "height": 200} for k in (1, 2)],
        "categories": [{"id": k, "name": name} for k, name in enumerate(CLASSES, start=1)],
        "annotations": [
            {
                "id": k,
                "image_id": image,
                "category_id": category,
                "bbox": list(box),
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for k, (image, category, box) in enumerate(boxes, start=1)
        ],
    }


def found(
    image: int, category: int, box: tuple[float, float, float, float], confidence: float
) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": list(box), "score": confidence}


BOX, OTHER = (10.0, 10.0, 50.0, 50.0), (100.0, 100.0, 50.0, 50.0)


def test_perfect_detections() -> None:
    result = score(
        truth((1, 1, BOX), (2, 2, BOX)), [found(1, 1, BOX, 0.9), found(2, 2, BOX, 0.8)], CLASSES
    )
    everything = (result.mean_ap50, result.mean_ap50_95, result.mean_recall, result.mean_medium)
    assert everything == pytest.approx((100.0,) * 4, abs=1e-9)
    assert math.isnan(result.mean_small) and math.isnan(result.mean_large)
    assert set(result.absent) == {"AP_small", "AP_large"}


def test_iou_decides_at_which_thresholds_a_box_counts() -> None:
    # 50 of 50 rows, 36 of 50 columns: IoU 0.72, a hit at 0.50, 0.55, 0.60, 0.65 and 0.70.
    result = score(truth((1, 1, BOX)), [found(1, 1, (10.0, 10.0, 36.0, 50.0), 0.9)], CLASSES)
    assert result.ap50["a"] == pytest.approx(100.0, abs=1e-9)
    assert result.ap50_95["a"] == pytest.approx(50.0, abs=1e-9)


def test_a_false_alarm_above_the_hit_halves_precision() -> None:
    detections = [found(1, 1, OTHER, 0.9), found(1, 1, BOX, 0.8)]
    assert score(truth((1, 1, BOX)), detections, CLASSES).ap50["a"] == pytest.approx(50.0, abs=1e-9)


def test_half_of_the_objects_found_is_51_of_101_recall_points() -> None:
    result = score(truth((1, 1, BOX), (1, 1, OTHER)), [found(1, 1, BOX, 0.9)], CLASSES)
    assert result.ap50["a"] == pytest.approx(100 * 51 / 101, abs=1e-9)
    assert result.mean_recall == pytest.approx(50.0, abs=1e-9)


def test_a_class_without_ground_truth_is_nan_and_not_in_the_mean() -> None:
    result = score(truth((1, 1, BOX)), [found(1, 1, BOX, 0.9), found(1, 2, OTHER, 0.9)], CLASSES)
    assert math.isnan(result.ap50["b"]) and math.isnan(result.ap50_95["b"])
    assert result.mean_ap50 == pytest.approx(100.0, abs=1e-9)
    assert result.absent["b"] == "no ground truth in the test part"


def test_no_detection_is_zero_and_no_ground_truth_is_nan() -> None:
    nothing = score(truth((1, 1, BOX), (2, 2, BOX)), [], CLASSES)
    assert nothing.mean_ap50 == nothing.mean_ap50_95 == nothing.mean_recall == 0.0
    unlabelled = score(truth(), [found(1, 1, BOX, 0.9)], CLASSES)
    assert math.isnan(unlabelled.mean_ap50) and set(unlabelled.absent) >= set(CLASSES)


def test_equals_pycocotools_on_the_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    boxes, detections = [], []
    for _ in range(60):
        x, y, w, h = (float(v) for v in rng.uniform((0, 0, 8, 8), (80, 80, 120, 120)))
        image, category = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        boxes.append((image, category, (x, y, w, h)))
        dx, dy, dw, dh = (float(v) for v in rng.normal(0, 4, 4))
        moved = (x + dx, y + dy, max(w + dw, 1.0), max(h + dh, 1.0))
        detections.append(found(image, category, moved, float(rng.uniform())))
    ground_truth = truth(*boxes)
    before = json.dumps(ground_truth)
    result = score(ground_truth, detections, CLASSES)
    assert json.dumps(ground_truth) == before
    assert capfd.readouterr().out == ""

    (tmp_path / "truth.json").write_text(before)
    (tmp_path / "found.json").write_text(json.dumps(detections))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(tmp_path / "truth.json"))
        evaluation = COCOeval(coco, coco.loadRes(str(tmp_path / "found.json")), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ours = (
        result.mean_ap50_95,
        result.mean_ap50,
        result.mean_small,
        result.mean_medium,
        result.mean_large,
        result.mean_recall,
    )
    theirs = 100 * evaluation.stats[[0, 1, 3, 4, 5, 8]]
    assert 5 < result.mean_ap50_95 < 95
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
