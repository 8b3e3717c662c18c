"""How a detector is trained and queried: a recipe of named numbers, its presets, and the weights it
starts from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from bench.errors import UserError, did_you_mean

BUNDLED_INIT = Path(__file__).parent / "detector_init" / "yolov8n-synthetic.safetensors"
"""Weights trained by us on synthetic scenes (its card, a .json beside it, says how)."""


QUERY = ("confidence", "nms_iou", "detections_per_image")
"""Keys of the recipe that no training depends on."""


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

    def of_training(self) -> dict[str, Any]:
        """What decides how one training ends, its seed aside."""
        return {k: v for k, v in asdict(self).items() if k not in (*QUERY, "seeds")}

    def of_query(self) -> dict[str, Any]:
        """What a finished detector is asked with."""
        return {k: v for k, v in asdict(self).items() if k in (*QUERY, "imgsz")}

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
        if sha256(path) != card["sha256"] or recipe.model != card["model"]:
            raise UserError(
                f"{path}: these are not the weights of its card (sha256 {card['sha256'][:12]}..., "
                f"model {card['model']}); restore the file, and use the card's model."
            )
    return path


def sha256(path: Path) -> str:
    """Hex hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
