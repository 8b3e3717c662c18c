"""The worker that trains one ultralytics detector; `yolo` says how workers run."""

from __future__ import annotations

import csv
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from bench.stages.yolo import advance, begin, peak_rss_mib, write_json

OF_ULTRALYTICS = (
    *("imgsz", "epochs", "batch", "optimizer", "lr0", "lrf", "momentum", "weight_decay"),
    *("warmup_epochs", "cos_lr", "close_mosaic"),
    *("mosaic", "mixup", "hsv_h", "hsv_s", "hsv_v", "translate", "scale", "fliplr"),
    *("amp", "workers", "deterministic"),
)
"""Fields of `DetectRecipe` that ultralytics knows under the same name."""


def main(config_file: str) -> None:
    """Train, and write curve.csv, detector.safetensors and facts.json beside the config.

    Optional keys of the config: "hours", which overrides the recipe's epochs; "checkpoint", a file
    to continue from and to write to, with "checkpoint_seconds", the fewest between two of them.
    """
    out = Path(config_file).parent
    start = time.perf_counter()
    config = begin(config_file)
    import torch
    from safetensors.torch import save_file
    from ultralytics import __version__

    imported = time.perf_counter()
    trainer, loaded = _train(config, out)
    model = trainer.ema.ema
    tensors = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    save_file(tensors, out / "detector.safetensors")
    facts = {
        "ultralytics": __version__,
        "torch": torch.__version__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "initialised_tensors": loaded,
        "seconds_import": round(imported - start, 2),
        "seconds_train": round(trainer.seconds_before + time.perf_counter() - imported, 2),
        "batch": config["recipe"]["batch"],
        "peak_rss_mib": peak_rss_mib(),
    }
    write_json(out / "facts.json", facts)


def _train(config: Mapping[str, Any], out: Path) -> tuple[Any, str]:
    """The trainer, whose `ema.ema` is the detector with its last weights, and how many tensors came
    from the init file."""
    import torch
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.nn.tasks import DetectionModel

    from bench.stages.yolo_resume import Resumed

    recipe = config["recipe"]
    names = dict(enumerate(config["classes"]))
    validates = recipe["validate"] and config["val"] is not None

    # The name must not contain "Trainer": ultralytics attaches its reporting integrations by name.
    class Training(Resumed, DetectionTrainer):  # type: ignore[misc]  # untyped base
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
            self.rows.append({"epoch": self.epoch + 1, **known})
            with (out / "curve.csv").open("w", newline="", encoding="utf-8") as file:
                header = list(self.rows[-1])
                writer = csv.DictWriter(file, header, restval="", extrasaction="ignore")
                writer.writeheader()
                writer.writerows(self.rows)
            self.keep()
            advance(self.epoch + 1, self.epochs)

    trainer = Training(
        overrides={
            **{name: recipe[name] for name in OF_ULTRALYTICS},
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
    if (file := config.get("checkpoint")) is not None:
        trainer.checkpoint = Path(file)
        trainer.every = config.get("checkpoint_seconds", trainer.every)
    trainer.listen(config["seed"])
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


if __name__ == "__main__":
    main(sys.argv[1])
