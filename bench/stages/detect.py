"""The detect stage: train one detector per seed on fused images, and score it with COCO's AP.

One recipe for all methods, the last weights (never those chosen on a validation part), AP by
pycocotools at full resolution. The detector runs in a process of its own, `bench.stages.yolo`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.data.box import Box
from bench.data.labels import read_boxes
from bench.errors import UserError, did_you_mean
from bench.stages import values
from bench.stages.average_precision import AveragePrecision, score, write_curves
from bench.stages.detection_errors import count_errors, write_confusion, write_errors
from bench.stages.detector import OutOfMemoryError, Progress, run_worker, write_part
from bench.stages.values import Value

BUNDLED_INIT = Path(__file__).parent / "detector_init" / "yolov8n-synthetic.safetensors"
"""Weights trained by us on synthetic scenes (its card, a .json beside it, says how)."""


@dataclass(frozen=True)
class DetectRecipe:
    """How the detector is trained and queried; printed with the table.

    init: "yaml" (random weights), "bundled", or the path of a safetensors file.
    nominal_batch: gradients accumulate over nominal_batch / batch batches per step.
    validate: ultralytics' own AP on the val part after each epoch, for the curve only.
    workers: processes that load images; without effect on the CPU.
    """

    model: str = "yolov8n"
    init: str = "yaml"
    imgsz: int = 640
    epochs: int = 100
    batch: int = 16
    nominal_batch: int = 64
    optimizer: str = "SGD"
    lr0: float = 0.01
    lrf: float = 0.01
    momentum: float = 0.937
    weight_decay: float = 0.0005
    warmup_epochs: float = 3.0
    cos_lr: bool = False
    mosaic: float = 1.0
    close_mosaic: int = 10
    mixup: float = 0.0
    hsv_h: float = 0.015
    hsv_s: float = 0.7
    hsv_v: float = 0.4
    translate: float = 0.1
    scale: float = 0.5
    fliplr: float = 0.5
    amp: bool = False
    workers: int = 0
    deterministic: bool = True
    validate: bool = False
    confidence: float = 0.001
    nms_iou: float = 0.7
    detections_per_image: int = 300
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if self.optimizer.lower() == "auto":
            raise UserError(
                "detect: optimizer 'auto' ignores lr0 and changes with the number of images; "
                "name one, such as 'SGD'."
            )
        if self.epochs < 1 or self.batch < 1 or not self.seeds:
            raise UserError("detect: epochs and batch must be at least 1, and seeds not empty.")
        if self.imgsz < 32 or self.imgsz % 32:
            raise UserError(f"detect: imgsz must be a multiple of 32, not {self.imgsz}.")


PRESETS: Mapping[str, DetectRecipe] = {
    "quick": DetectRecipe(
        init="bundled",
        imgsz=320,
        epochs=2,
        nominal_batch=16,
        lr0=0.002,
        warmup_epochs=0.0,
        mosaic=0.0,
        close_mosaic=0,
        translate=0.05,
        scale=0.2,
    ),
    "standard": DetectRecipe(model="yolov8s", workers=8, validate=True),
    "paper": DetectRecipe(model="yolov8s", momentum=0.9, amp=True, workers=8, validate=True),
}
"""quick: minutes on a CPU; its epochs and rate were set with the synthetic test part in view, so it
is for showing the suite at work, not for published numbers. standard: for those, on a GPU. paper:
what Sensors 2026, 26(9), 2577 states, see `OPEN`."""

OPEN: Mapping[str, str] = {
    "paper": "The paper states YOLOv8 on M3FD and no more: model size, initialisation, image size, "
    "epochs, batch, optimiser, augmentation, seeds and split are left open, and are here "
    "ultralytics' defaults for a set of this size, from random weights."
}
"""What a preset's source leaves open and we chose; printed with the table."""


def recipe(preset: str, overrides: Mapping[str, Any], seeds: Sequence[int]) -> DetectRecipe:
    """A preset with single keys changed. Raises UserError for an unknown preset, key or type."""
    if preset not in PRESETS:
        raise UserError(
            f"detect.preset is '{preset}'{did_you_mean(preset, PRESETS)}; "
            f"known: {', '.join(PRESETS)}."
        )
    base = PRESETS[preset]
    known = [field.name for field in fields(DetectRecipe) if field.name != "seeds"]
    for key, value in overrides.items():
        if key not in known:
            raise UserError(f"Unknown key 'detect.{key}'{did_you_mean(key, known)}.")
        kind = type(getattr(base, key))
        whole_number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not kind and not whole_number:
            raise UserError(f"detect.{key} must be of type {kind.__name__}, not {value!r}.")
    return replace(base, **overrides, seeds=tuple(seeds))


@dataclass(frozen=True)
class DetectTask:
    """One detection job: fused images with their boxes, the split, and the recipe.

    images: id -> fused PNG; boxes: id -> label file; sizes: id -> (width, height) in pixels.
    device: "cpu", "cuda" or "cuda:N". threads: CPU threads of the detector.
    """

    images: Mapping[str, Path]
    boxes: Mapping[str, Path]
    sizes: Mapping[str, tuple[int, int]]
    classes: tuple[str, ...]
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    recipe: DetectRecipe
    device: str = "cpu"
    threads: int = 1


def run(task: DetectTask, folder: Path, progress: Progress) -> dict[str, Any]:
    """Write ground-truth.json, per seed predictions and curve, and values.csv into `folder`.

    progress: called with (epochs done, epochs in all) over the seeds. Returns facts for people.
    Called again after an interruption, seeds that are finished stay; an unfinished one starts from
    scratch, because ultralytics' resume is not the same training (half-precision moments, no
    random state).
    """
    init = init_file(task.recipe)
    boxes = _read_all_boxes(task)
    truth = ground_truth(task, boxes)
    _replace(folder / "ground-truth.json", json.dumps(truth, separators=(",", ":")))
    identity = _identity(task, boxes, init)

    work = folder / "work"
    # Whatever lies here is of an interrupted attempt.
    shutil.rmtree(work, ignore_errors=True)
    total = task.recipe.epochs * len(task.recipe.seeds)
    seeds: dict[str, Any] = {}
    scores: dict[int, AveragePrecision] = {}
    for done, seed in enumerate(task.recipe.seeds):
        before = done * task.recipe.epochs
        marker = folder / f"seed{seed}.json"
        if not _is_finished(marker, identity):
            _train_seed(
                task, boxes, init, seed, folder, identity, _shifted(progress, before, total)
            )
        progress(before + task.recipe.epochs, total)
        seeds[str(seed)] = json.loads(marker.read_text(encoding="utf-8"))["facts"]
        predictions = json.loads((folder / f"predictions-seed{seed}.json").read_text("utf-8"))
        scores[seed] = score(truth, predictions, task.classes)
        write_curves(scores[seed], folder / f"precision-recall-seed{seed}.csv")
        errors = count_errors(truth, predictions)
        write_errors(errors, folder / f"errors-seed{seed}.csv")
        write_confusion(errors, folder / f"confusion-seed{seed}.csv")
    values.write(folder, _values(scores, seeds))
    shutil.rmtree(work, ignore_errors=True)
    return _facts(task, truth, init, seeds, scores)


def init_file(recipe: DetectRecipe) -> Path | None:
    """The checked safetensors file that the detector starts from, None for random weights."""
    if recipe.init == "yaml":
        return None
    path = BUNDLED_INIT if recipe.init == "bundled" else Path(recipe.init)
    if path.suffix != ".safetensors" or not path.is_file():
        raise UserError(
            f"detect: init '{recipe.init}' is not a safetensors file; "
            "use 'yaml', 'bundled' or the path of one."
        )
    if path == BUNDLED_INIT:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if _sha256(path) != card["sha256"] or recipe.model != card["model"]:
            raise UserError(
                f"{path}: these are not the weights of its card (sha256 {card['sha256'][:12]}..., "
                f"model {card['model']}); restore the file, and use the card's model."
            )
    return path


def _read_all_boxes(task: DetectTask) -> dict[str, list[Box]]:
    if not task.train or not task.test:
        raise UserError("detect: the split needs at least one train and one test image.")
    missing = [id_ for id_ in (*task.train, *task.val, *task.test) if id_ not in task.boxes]
    if missing:
        raise UserError(f"detect: image '{missing[0]}' has no label file ({len(missing)} in all).")
    return {
        id_: read_boxes(task.boxes[id_], image=id_, size=task.sizes[id_], classes=task.classes)
        for id_ in (*task.train, *task.val, *task.test)
    }


def ground_truth(task: DetectTask, boxes: Mapping[str, Sequence[Box]]) -> dict[str, Any]:
    """The test part in COCO's format; ids count from 1, because pycocotools reads 0 as "none"."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, id_ in enumerate(task.test, start=1):
        width, height = task.sizes[id_]
        name = task.images[id_].name
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for box in boxes[id_]:
            w, h = box.xmax - box.xmin, box.ymax - box.ymin
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": task.classes.index(box.cls) + 1,
                    "bbox": [box.xmin, box.ymin, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": k, "name": name} for k, name in enumerate(task.classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _identity(task: DetectTask, boxes: Mapping[str, Sequence[Box]], init: Path | None) -> str:
    """What a finished seed must agree with; the images' content is the caller's to vouch for."""
    recipe = {**asdict(task.recipe), "seeds": None, "init": _sha256(init) if init else "yaml"}
    parts = [task.classes, task.train, task.val, task.test]
    labels = {id_: [asdict(box) for box in found] for id_, found in boxes.items()}
    content = json.dumps([recipe, parts, labels], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _is_finished(marker: Path, identity: str) -> bool:
    if not marker.is_file():
        return False
    return bool(json.loads(marker.read_text(encoding="utf-8"))["identity"] == identity)


def _train_seed(
    task: DetectTask,
    boxes: Mapping[str, Sequence[Box]],
    init: Path | None,
    seed: int,
    folder: Path,
    identity: str,
    progress: Progress,
) -> None:
    """Train and predict in a fresh subfolder; seed{S}.json appears last and means "finished"."""
    (folder / f"seed{seed}.json").unlink(missing_ok=True)
    (folder / "work").mkdir(parents=True, exist_ok=True)
    batch = task.recipe.batch
    try:
        work = _train_in_process(task, boxes, init, seed, folder / "work", batch, progress)
    except OutOfMemoryError:
        if batch < 2:
            raise
        # Gradients are still of nominal_batch images; the facts say with which batch it ran.
        work = _train_in_process(task, boxes, init, seed, folder / "work", batch // 2, progress)
    (work / "curve.csv").replace(folder / f"curve-seed{seed}.csv")
    (work / "predictions.json").replace(folder / f"predictions-seed{seed}.json")
    facts = json.loads((work / "facts.json").read_text(encoding="utf-8"))
    _replace(folder / f"seed{seed}.json", json.dumps({"identity": identity, "facts": facts}))
    shutil.rmtree(work)


def _train_in_process(
    task: DetectTask,
    boxes: Mapping[str, Sequence[Box]],
    init: Path | None,
    seed: int,
    parent: Path,
    batch: int,
    progress: Progress,
) -> Path:
    """The fresh folder below `parent` in which one training with this batch left its results."""
    work = Path(tempfile.mkdtemp(prefix=f"seed{seed}-", dir=parent)).resolve()
    train, val, test = (
        write_part(work / "data", part, ids, task.images, task.sizes, task.classes, boxes)
        for part, ids in (("train", task.train), ("val", task.val), ("test", task.test))
    )
    config = {
        "train": str(train),
        "val": str(val) if task.val else None,
        "test": [(k, str(task.images[id_].resolve())) for k, id_ in enumerate(task.test, start=1)],
        "test_part": str(test),
        "classes": task.classes,
        "recipe": {**asdict(task.recipe), "batch": batch},
        "init": str(init.resolve()) if init else None,
        "seed": seed,
        "device": task.device,
    }
    run_worker(config, work, task.threads, progress)
    return work


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    return lambda epoch, _epochs: progress(before + epoch, total)


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


def _facts(
    task: DetectTask,
    truth: Mapping[str, Any],
    init: Path | None,
    seeds: Mapping[str, Any],
    scores: Mapping[int, AveragePrecision],
) -> dict[str, Any]:
    counts = dict.fromkeys(task.classes, 0)
    for annotation in truth["annotations"]:
        counts[task.classes[annotation["category_id"] - 1]] += 1
    return {
        "recipe": asdict(task.recipe),
        "init_sha256": _sha256(init) if init else None,
        "images": {"train": len(task.train), "val": len(task.val), "test": len(task.test)},
        "test_boxes": counts,
        "absent": dict(next(iter(scores.values())).absent),
        "weights": "last epoch, moving average; no checkpoint is kept",
        "average_precision": f"pycocotools {version('pycocotools')}, boxes at full resolution",
        "detector_licence": "AGPL-3.0 (ultralytics)",
        "device": task.device,
        "threads": task.threads,
        "halved_batch": {
            seed: facts["batch"]
            for seed, facts in seeds.items()
            if facts["batch"] != task.recipe.batch
        },
        "seeds": dict(seeds),
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _replace(path: Path, text: str) -> None:
    """Write the whole file or leave the old one."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
