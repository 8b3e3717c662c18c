"""Train the bundled initialisation of the quick detection recipe on synthetic scenes.

`python -m bench.stages.train_detector_init --out FILE.safetensors --budget MINUTES` renders
scenes of seeds that no data set of the suite uses, each as one camera or a plain fusion shows it,
trains a small detector on them from random weights, and writes weights and card.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from bench.data.box import Box
from bench.data.synthetic import CLASSES, Scene, render
from bench.data.synthetic.scene import VERSION
from bench.stages.average_precision import score
from bench.stages.detect import ground_truth
from bench.stages.detector import Labelled, run_worker, write_part
from bench.stages.detector_recipe import DetectRecipe
from bench.stages.train_detector import WEIGHTS

TRAIN_SEED, TEST_SEED = 1000, 1001
SIZE = (384, 288)
LOOKS = ("visible", "infrared", "average", "maximum")
RECIPE = DetectRecipe(
    imgsz=320,
    nominal_batch=16,
    optimizer="AdamW",
    lr0=0.002,
    momentum=0.9,
    warmup_epochs=2.0,
    close_mosaic=6,
    translate=0.1,
    scale=0.4,
)


def look_of(scene: Scene, look: str) -> NDArray[np.uint8]:
    """The scene as a detector would get it, H×W×3 RGB; fusions are of the luma."""
    if look == "visible":
        return scene.visible
    infrared = scene.infrared.astype(np.float32)[..., None]
    if look == "infrared":
        return np.repeat(scene.infrared[..., None], 3, axis=2)
    visible = scene.visible.astype(np.float32)
    luma = visible @ np.array([[0.299], [0.587], [0.114]], np.float32)
    # Adding the same to R, G and B changes the luma alone.
    gain = (infrared - luma) / 2 if look == "average" else np.maximum(infrared - luma, 0)
    return np.clip(np.rint(visible + gain), 0, 255).astype(np.uint8)


def render_images(folder: Path, seed: int, count: int) -> tuple[dict[str, Path], dict[str, Any]]:
    """Images and boxes by id; each scene appears once, its look drawn at random."""
    draw = np.random.default_rng(seed)
    files: dict[str, Path] = {}
    boxes: dict[str, Any] = {}
    for index in range(count):
        scene = render(seed, "train", index, *SIZE)
        id_ = f"{seed}-{index:05d}"
        files[id_] = folder / f"{id_}.png"
        image = look_of(scene, str(draw.choice(LOOKS)))
        cv2.imwrite(str(files[id_]), image[..., ::-1])
        boxes[id_] = [Box(*box) for box in scene.boxes]
    return files, boxes


def train(out: Path, minutes: float, scenes: int, threads: int, work: Path) -> dict[str, Any]:
    """Write the weights to `out` and return their card."""
    (work / "images").mkdir()
    train_files, train_boxes = render_images(work / "images", TRAIN_SEED, scenes)
    test_files, test_boxes = render_images(work / "images", TEST_SEED, max(scenes // 10, 4))
    files = {**train_files, **test_files}
    sizes = dict.fromkeys(files, SIZE)
    train_ids, test_ids = tuple(train_files), tuple(test_files)
    labelled = Labelled(files, {}, sizes, CLASSES)
    images = write_part(work / "data", "train", labelled, train_boxes)
    config = {
        "train": str(images),
        "val": None,
        "classes": CLASSES,
        "recipe": asdict(RECIPE),
        "init": None,
        "seed": 0,
        "device": "cpu",
        "hours": minutes / 60,
    }
    questions: dict[str, Any] = {
        "test": [(number, str(files[id_])) for number, id_ in enumerate(test_ids, start=1)],
        "test_part": str(write_part(work / "data", "test", labelled, test_boxes)),
        "classes": CLASSES,
        "recipe": asdict(RECIPE),
        "device": "cpu",
    }
    start = time.monotonic()
    epochs = 0

    def report(epoch: int, in_all: int) -> None:
        nonlocal epochs
        epochs = epoch
        print(f"epoch {epoch}/{in_all}, {(time.monotonic() - start) / 60:.1f} min", flush=True)

    trained, asked = work / "trained", work / "asked"
    for folder in (trained, asked):
        folder.mkdir()
    run_worker("yolo_train", config, trained, threads, report)
    tensors = load_file(trained / WEIGHTS)
    halved = {k: v.astype(np.float16) if v.dtype.kind == "f" else v for k, v in tensors.items()}
    save_file(halved, work / "weights.safetensors")
    detector = {"weights": str(trained / WEIGHTS), "model": RECIPE.model, "batch": RECIPE.batch}
    questions["detectors"] = {0: detector}
    run_worker("yolo_ask", questions, asked, threads, lambda done, in_all: None)
    predictions = json.loads((asked / "predictions-seed0.json").read_text(encoding="utf-8"))
    result = score(ground_truth(labelled, test_boxes), predictions, CLASSES)
    facts = json.loads((trained / "facts.json").read_text(encoding="utf-8"))
    # A copy and not a move: safetensors makes files that only their owner can read.
    shutil.copyfile(work / "weights.safetensors", out)
    return {
        "model": RECIPE.model,
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        "bytes": out.stat().st_size,
        "licence": "AGPL-3.0 (architecture and training code are ultralytics')",
        "classes": list(CLASSES),
        "data": f"synthetic scenes, generator {VERSION}, {SIZE[0]}x{SIZE[1]}, part 'train'; "
        f"each scene once, as one of: {', '.join(LOOKS)} (luma), drawn at random",
        "seeds": {"train": TRAIN_SEED, "test": TEST_SEED, "training": 0},
        "images": {"train": len(train_ids), "test": len(test_ids)},
        "epochs": epochs,
        "recipe": {**asdict(RECIPE), "epochs": epochs},
        "held_out": {"AP50": result.mean_ap50, "AP50:95": result.mean_ap50_95},
        "hardware": f"CPU ({platform.machine()}), {threads} thread",
        "seconds": facts["seconds_train"],
        "versions": {name: facts[name] for name in ("ultralytics", "torch")},
        "command": f"python -m bench.stages.train_detector_init --out {out.name} "
        f"--budget {minutes:g} --scenes {scenes} --threads {threads}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: weights to --out, their card beside them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    parser.add_argument("--budget", type=float, default=40.0, help="minutes of training")
    parser.add_argument("--scenes", type=int, default=1200, help="scenes to render and train on")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work).resolve()
        card = train(options.out, options.budget, options.scenes, options.threads, folder)
    text = json.dumps(card, indent=1) + "\n"
    options.out.with_suffix(".json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
