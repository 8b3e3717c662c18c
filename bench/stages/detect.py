"""The detect stage: ask trained detectors about test images, and score them with COCO's AP.

Which detectors is the caller's matter: those trained on the same row's images, or on another's. AP
is pycocotools', on boxes at full resolution.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.data.box import Box
from bench.errors import UserError
from bench.stages import values
from bench.stages.average_precision import AveragePrecision, score, write_curves
from bench.stages.detection_errors import count_errors, write_confusion, write_errors
from bench.stages.detection_intervals import Draws, bootstrap, interval, write_draws
from bench.stages.detector import Labelled, Progress, run_worker, write_part
from bench.stages.detector_recipe import DetectRecipe
from bench.stages.train_detector import CARD, WEIGHTS
from bench.stages.values import Value


@dataclass(frozen=True)
class DetectTask:
    """test: ids of images. detectors: seed -> folder of a finished training by `recipe`.

    device: "cpu", "cuda" or "cuda:N". threads: CPU threads.
    """

    labelled: Labelled
    test: tuple[str, ...]
    detectors: Mapping[int, Path]
    recipe: DetectRecipe
    device: str = "cpu"
    threads: int = 1


def run(task: DetectTask, folder: Path, progress: Progress) -> dict[str, Any]:
    """Write ground-truth.json, values.csv, the bootstrap over test images, and per seed
    predictions, curves and errors.

    progress: called with (detectors done, in all). Returns facts for people.
    """
    if not task.test or not task.detectors:
        raise UserError("detect: the split needs at least one test image, and a detector.")
    boxes = task.labelled.read(task.test)
    truth = ground_truth(task.labelled, boxes)
    (folder / "ground-truth.json").write_text(json.dumps(truth, separators=(",", ":")), "utf-8")
    work = (folder / "work").resolve()
    # Whatever lies here is of an interrupted attempt.
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    cards = {
        seed: json.loads((trained / CARD).read_text(encoding="utf-8"))
        for seed, trained in task.detectors.items()
    }
    _ask(task, boxes, cards, work, progress)
    seeds = json.loads((work / "facts.json").read_text(encoding="utf-8"))
    scores: dict[int, AveragePrecision] = {}
    found = []
    for seed in task.detectors:
        file = folder / f"predictions-seed{seed}.json"
        (work / file.name).replace(file)
        predictions = json.loads(file.read_text(encoding="utf-8"))
        found.append(predictions)
        scores[seed] = score(truth, predictions, task.labelled.classes)
        write_curves(scores[seed], folder / f"precision-recall-seed{seed}.csv")
        errors = count_errors(truth, predictions)
        write_errors(errors, folder / f"errors-seed{seed}.csv")
        write_confusion(errors, folder / f"confusion-seed{seed}.csv")
    draws = bootstrap(truth, found, task.labelled.classes)
    write_draws(folder, draws)
    values.write(folder, [*_values(scores, seeds), *_bounds(draws)])
    shutil.rmtree(work)
    return {**_facts(task, truth, cards, scores), "seeds": seeds}


def _ask(
    task: DetectTask,
    boxes: Mapping[str, Sequence[Box]],
    cards: Mapping[int, Mapping[str, Any]],
    work: Path,
    progress: Progress,
) -> None:
    """Leave each detector's predictions, and facts.json, in `work`."""
    test = write_part(work / "data", "test", task.labelled, boxes)
    paths = (str(task.labelled.images[id_].resolve()) for id_ in task.test)
    config = {
        "test": list(enumerate(paths, start=1)),
        "test_part": str(test),
        "classes": task.labelled.classes,
        "recipe": task.recipe.of_query(),
        "detectors": {
            seed: {
                "weights": str((trained / WEIGHTS).resolve()),
                "model": cards[seed]["model"],
                "batch": cards[seed]["batch"],
            }
            for seed, trained in task.detectors.items()
        },
        "device": task.device,
    }
    run_worker("yolo_ask", config, work, task.threads, progress)


def ground_truth(labelled: Labelled, boxes: Mapping[str, Sequence[Box]]) -> dict[str, Any]:
    """Images with these boxes in COCO's format.

    Ids count from 1, because pycocotools reads 0 as "none".
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, id_ in enumerate(boxes, start=1):
        width, height = labelled.sizes[id_]
        name = labelled.images[id_].name
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for box in boxes[id_]:
            w, h = box.xmax - box.xmin, box.ymax - box.ymin
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": labelled.classes.index(box.cls) + 1,
                    "bbox": [box.xmin, box.ymin, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": k, "name": name} for k, name in enumerate(labelled.classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _values(
    scores: Mapping[int, AveragePrecision], seeds: Mapping[str, Mapping[str, Any]]
) -> list[Value]:
    """Percentages by class and over "all", seed after seed; then ultralytics' own."""
    found = []
    for seed, result in scores.items():
        facts = seeds[str(seed)]
        found += [Value(item, name, value, seed) for item, name, value in result.rows()]
        found += [
            Value(item, f"{name} (ultralytics)", value, seed)
            for item, own in facts["own_scores"].items()
            for name, value in own.items()
        ]
    return found


def _bounds(draws: Draws) -> list[Value]:
    return [
        Value(item, f"{name} {end}", value)
        for (item, name), drawn in draws.items()
        for end, value in zip(("low", "high"), interval(drawn), strict=True)
    ]


def _facts(
    task: DetectTask,
    truth: Mapping[str, Any],
    cards: Mapping[int, Mapping[str, Any]],
    scores: Mapping[int, AveragePrecision],
) -> dict[str, Any]:
    counts = dict.fromkeys(task.labelled.classes, 0)
    for annotation in truth["annotations"]:
        counts[task.labelled.classes[annotation["category_id"] - 1]] += 1
    return {
        "test_boxes": counts,
        "absent": dict(next(iter(scores.values())).absent),
        "average_precision": f"pycocotools {version('pycocotools')}, boxes at full resolution",
        "device": task.device,
        "threads": task.threads,
        "halved_batch": {
            str(seed): card["batch"]
            for seed, card in cards.items()
            if card["batch"] != task.recipe.batch
        },
    }
