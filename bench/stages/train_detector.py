"""The training of one detector: on one row's images, with one seed, by one recipe.

The last weights are kept, never those chosen on a validation part. Whoever tests a detector takes
what lies in its folder, so that one training serves every set of test images.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.box import Box
from bench.errors import UserError
from bench.stages.detector import Labelled, OutOfMemoryError, Progress, run_worker, write_part
from bench.stages.detector_recipe import DetectRecipe, init_file, sha256

WEIGHTS, CARD = "detector.safetensors", "detector.json"


@dataclass(frozen=True)
class TrainTask:
    """train, val: ids of images. device: "cpu", "cuda" or "cuda:N". threads: CPU threads.

    val: for the curve, where the recipe validates; nothing is chosen by it. checkpoint_seconds: the
    fewest between two checkpoints, which are written after epochs.
    """

    labelled: Labelled
    train: tuple[str, ...]
    val: tuple[str, ...]
    recipe: DetectRecipe
    seed: int
    device: str = "cpu"
    threads: int = 1
    checkpoint_seconds: float = 20.0


def run(task: TrainTask, folder: Path, progress: Progress) -> dict[str, Any]:
    """Write detector.safetensors, detector.json and curve.csv into `folder`.

    progress: called with (epochs done, epochs in all). Returns facts for people. Called again after
    an interruption, it continues from the last checkpoint; on the CPU the weights are those of an
    undisturbed training, bit for bit.
    """
    if not task.train:
        raise UserError("detect: the split needs at least one train image.")
    init = init_file(task.recipe)
    boxes = task.labelled.read((*task.train, *task.val))
    parent = folder / "work"
    parent.mkdir(exist_ok=True)
    # Of an interrupted attempt; the checkpoints beside them are what it leaves us.
    for left in parent.glob("training-*"):
        shutil.rmtree(left, ignore_errors=True)
    batch = task.recipe.batch
    try:
        work = _train(task, boxes, init, parent, batch, progress)
    except OutOfMemoryError:
        if batch < 2:
            raise
        # Gradients are still of nominal_batch images; the facts say with which batch it ran.
        batch //= 2
        work = _train(task, boxes, init, parent, batch, progress)
    (work / "curve.csv").replace(folder / "curve.csv")
    (work / WEIGHTS).replace(folder / WEIGHTS)
    # Without times: equal trainings leave equal files.
    card = {"model": task.recipe.model, "batch": batch, "classes": task.labelled.classes}
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")
    facts = json.loads((work / "facts.json").read_text(encoding="utf-8"))
    shutil.rmtree(parent)
    return {
        "recipe": task.recipe.of_training(),
        "seed": task.seed,
        "init_sha256": sha256(init) if init else None,
        "images": {"train": len(task.train), "val": len(task.val)},
        "kept": "weights of the last epoch, moving average",
        "detector_licence": "AGPL-3.0 (ultralytics)",
        "device": task.device,
        "threads": task.threads,
        **facts,
    }


def _train(
    task: TrainTask,
    boxes: Mapping[str, Sequence[Box]],
    init: Path | None,
    parent: Path,
    batch: int,
    progress: Progress,
) -> Path:
    """The fresh folder below `parent` in which one training with this batch left its results."""
    work = Path(tempfile.mkdtemp(prefix="training-", dir=parent)).resolve()
    train, val = (
        write_part(work / "data", part, task.labelled, {id_: boxes[id_] for id_ in ids})
        for part, ids in (("train", task.train), ("val", task.val))
    )
    config = {
        "train": str(train),
        "val": str(val) if task.val else None,
        "classes": task.labelled.classes,
        "recipe": {**task.recipe.of_training(), "batch": batch},
        "init": str(init.resolve()) if init else None,
        "seed": task.seed,
        "device": task.device,
        "checkpoint": str(parent.resolve() / f"checkpoint-batch{batch}.pt"),
        "checkpoint_seconds": task.checkpoint_seconds,
    }
    run_worker("yolo_train", config, work, task.threads, progress)
    return work
