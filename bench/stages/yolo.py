"""The worker of the detect stage: trains one ultralytics detector and exports its detections.

It is a process of its own (`python -m bench.stages.yolo CONFIG.json`) because importing ultralytics
changes the process: thread counts, `torch.save`, OpenCV's settings. It talks through its stdout
("epoch 3/100") and its files; it ends when its stdin closes, that is, with its parent.
Detector: YOLOv8 (Jocher, Chaurasia, Qiu 2023), github.com/ultralytics/ultralytics, AGPL-3.0.
"""

from __future__ import annotations

import copy
import csv
import json
import math
import os
import statistics
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

# Fields of `DetectRecipe` that ultralytics knows under the same name.
SCHEDULE = ("imgsz", "epochs", "batch", "optimizer", "lr0", "lrf", "momentum", "weight_decay")
SCHEDULE_ENDS = ("warmup_epochs", "cos_lr", "close_mosaic")
AUGMENTATION = ("mosaic", "mixup", "hsv_h", "hsv_s", "hsv_v", "translate", "scale", "fliplr")
MACHINE = ("amp", "workers", "deterministic")


def main(config_file: str) -> None:
    """Train, predict, and write curve.csv, predictions.json and facts.json beside the config.

    Optional keys of the config: "weights", a safetensors file to write; "hours", which overrides
    the recipe's epochs.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    out = Path(config_file).parent

    start = time.perf_counter()
    # An installed albumentations would silently add augmentations to the recipe.
    sys.modules["albumentations"] = None  # type: ignore[assignment]
    import torch
    from ultralytics import SETTINGS, __version__

    SETTINGS.update({key: False for key, value in SETTINGS.items() if value is True})
    imported = time.perf_counter()

    trainer, loaded = _train(config, out)
    model = trainer.ema.ema
    trained = time.perf_counter()
    if config.get("weights"):
        _save_weights(model, Path(config["weights"]))
    untouched = copy.deepcopy(model)
    detections, seconds = _predict(model, config)
    _write_json(out / "predictions.json", detections)
    predicted = time.perf_counter()
    # Prediction fuses layers in place.
    trainer.ema.ema = untouched
    own = _own_scores(trainer, config) if config.get("test_part") else {}
    facts = {
        "ultralytics": __version__,
        "torch": torch.__version__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "initialised_tensors": loaded,
        "seconds_import": round(imported - start, 2),
        "seconds_train": round(trained - imported, 2),
        "seconds_predict": round(predicted - trained, 2),
        "seconds_per_image": seconds,
        "batch": config["recipe"]["batch"],
        "own_scores": own,
        "peak_rss_mib": _peak_rss_mib(),
    }
    _write_json(out / "facts.json", facts)


def _end_with_parent() -> None:
    # A killed parent cannot stop us; without this an orphan would go on beside the next attempt.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _train(config: Mapping[str, Any], out: Path) -> tuple[Any, str]:
    """The trainer, whose `ema.ema` is the detector with its last weights, and how many tensors came
    from the init file."""
    import torch
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.nn.tasks import DetectionModel

    recipe = config["recipe"]
    names = dict(enumerate(config["classes"]))
    validates = recipe["validate"] and config["val"] is not None
    rows: list[dict[str, Any]] = []

    # The name must not contain "Trainer": ultralytics attaches its reporting integrations by name.
    class Training(DetectionTrainer):  # type: ignore[misc]  # untyped base
        def get_dataset(self) -> dict[str, Any]:
            # Not from a YAML file: ultralytics' check of one downloads a font, even when offline.
            val = config["val"] if validates else config["train"]
            return {
                "train": config["train"],
                "val": val,
                "names": names,
                "nc": len(names),
                "channels": 3,
            }

        def _build_train_pipeline(self) -> None:
            # ultralytics rebuilds it with half the batch when memory runs out, several times.
            if self.batch_size != recipe["batch"]:
                _stop("out of memory", f"batch {recipe['batch']} does not fit into memory")
            super()._build_train_pipeline()

        def _handle_nan_recovery(self, epoch: int) -> bool:
            # It would go on from a checkpoint, and we keep none; `save_metrics` ends the training.
            return False

        def validate(self) -> tuple[Any, Any]:
            return super().validate() if validates else ({}, 0.0)

        def save_model(self) -> bool:
            return False

        def save_metrics(self, metrics: Mapping[str, Any]) -> None:
            # Without validation ultralytics reports zeros for it.
            kinds = ("train/", "lr/", "metrics/", "val/") if validates else ("train/", "lr/")
            known = {
                name: float(value) for name, value in metrics.items() if name.startswith(kinds)
            }
            if bad := [n for n, v in known.items() if n[:6] == "train/" and not math.isfinite(v)]:
                _stop(
                    "failed",
                    f"{bad[0][6:]} of the training became {known[bad[0]]} in epoch "
                    f"{self.epoch + 1}: lower detect.lr0, or check the labels",
                )
            rows.append({"epoch": self.epoch + 1, **known})
            with (out / "curve.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[-1]), restval="", extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
            print(f"epoch {self.epoch + 1}/{self.epochs}", flush=True)

    trainer = Training(
        overrides={
            **{name: recipe[name] for name in (*SCHEDULE, *SCHEDULE_ENDS, *AUGMENTATION, *MACHINE)},
            "nbs": recipe["nominal_batch"],
            "task": "detect",
            "mode": "train",
            "model": f"{recipe['model']}.yaml",
            "seed": config["seed"],
            "device": config["device"],
            "patience": 0,
            "time": config.get("hours"),
            "val": validates,
            "save": False,
            "plots": False,
            "verbose": False,
            "save_dir": str(out / "training"),
        }
    )
    # ultralytics sets its own number of threads whenever it selects the CPU.
    torch.set_num_threads(config["threads"])
    model = DetectionModel(f"{recipe['model']}.yaml", nc=len(names), verbose=False)
    loaded = _initialise(model, config["init"])
    trainer.model = model
    trainer.train()
    return trainer, loaded


def _stop(kind: str, reason: str) -> NoReturn:
    """End this process with a line that the parent knows as the reason."""
    print(f"{kind}: {reason}", flush=True)
    os._exit(1)


def _own_scores(trainer: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """ultralytics' own AP on the test part, in per cent, as its validation after an epoch."""
    trainer.test_loader = trainer.get_dataloader(
        config["test_part"], batch_size=config["recipe"]["batch"], rank=-1, mode="val"
    )
    validator = trainer.get_validator()
    validator(trainer)
    box = validator.metrics.box
    by_class = {
        config["classes"][int(index)]: {
            "AP50": 100 * float(box.ap50[k]),
            "AP50:95": 100 * float(box.ap[k]),
        }
        for k, index in enumerate(box.ap_class_index)
    }
    return {**by_class, "all": {"AP50": 100 * float(box.map50), "AP50:95": 100 * float(box.map)}}


def _initialise(model: Any, init: str | None) -> str:
    """Copy the tensors of the file `init` whose names and shapes fit; says "n of m" fitted."""
    own = model.state_dict()
    if init is None:
        return f"0 of {len(own)}"
    from safetensors.torch import load_file

    fitting = {
        name: tensor
        for name, tensor in load_file(init).items()
        if name in own and own[name].shape == tensor.shape
    }
    model.load_state_dict(fitting, strict=False)
    return f"{len(fitting)} of {len(own)}"


def _save_weights(model: Any, path: Path) -> None:
    """All tensors of the detector as a half-precision safetensors file."""
    from safetensors.torch import save_file

    tensors = model.state_dict().items()
    save_file({k: v.half() if v.is_floating_point() else v for k, v in tensors}, path)


def _predict(model: Any, config: Mapping[str, Any]) -> tuple[list[dict[str, Any]], float | None]:
    """COCO-format detections on the test images, boxes at the images' full resolution; and the
    median seconds per image for network and suppression, the first three not counted.

    One image at a time, so that no result depends on its neighbours in a batch. Each class of an
    anchor is a detection of its own, as in ultralytics' validation.
    """
    import torch
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.nms import non_max_suppression
    from ultralytics.utils.ops import scale_boxes
    from ultralytics.utils.patches import imread

    recipe = config["recipe"]
    device = next(model.parameters()).device
    letterbox = LetterBox((recipe["imgsz"], recipe["imgsz"]), auto=True, stride=32)
    model = model.float().eval().fuse(verbose=False)
    detections: list[dict[str, Any]] = []
    seconds: list[float] = []
    with torch.inference_mode():
        for image_id, path in config["test"]:
            image = imread(path)
            if image is None:
                raise RuntimeError(f"{path}: the fused image cannot be decoded")
            fitted = letterbox(image=image)[..., ::-1].transpose(2, 0, 1).copy()
            batch = torch.from_numpy(fitted).to(device).float().div(255).unsqueeze(0)
            before = _now(device)
            (found,) = non_max_suppression(
                model(batch),
                recipe["confidence"],
                recipe["nms_iou"],
                multi_label=True,
                max_det=recipe["detections_per_image"],
                nc=len(config["classes"]),
                end2end=getattr(model, "end2end", False),
            )
            seconds.append(_now(device) - before)
            edges = scale_boxes(batch.shape[2:], found[:, :4], image.shape).cpu().tolist()
            scored = found[:, 4:6].cpu().tolist()
            for (xmin, ymin, xmax, ymax), (confidence, index) in zip(edges, scored, strict=True):
                box = [round(value, 3) for value in (xmin, ymin, xmax - xmin, ymax - ymin)]
                detections.append(
                    {
                        "image_id": image_id,
                        "category_id": int(index) + 1,
                        "bbox": box,
                        "score": round(confidence, 6),
                    }
                )
    counted = seconds[3:] or seconds
    return detections, round(statistics.median(counted), 5) if counted else None


def _now(device: Any) -> float:
    """Seconds, after the device has done what it was given."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
    return time.perf_counter()


def _peak_rss_mib() -> int | None:
    """Largest resident memory of this process so far, or None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
