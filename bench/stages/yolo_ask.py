"""The worker that asks trained detectors for their detections; `yolo` says how workers run."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.stages.yolo import advance, begin, peak_rss_mib, write_json


def main(config_file: str) -> None:
    """Write predictions-seedS.json of each detector, and facts.json, beside the config."""
    out = Path(config_file).parent
    config = begin(config_file)
    facts = {}
    for done, (seed, detector) in enumerate(config["detectors"].items(), start=1):
        start = time.perf_counter()
        model = _load(detector, config)
        own = _own_scores(model, config, out, detector["batch"])
        scored = time.perf_counter()
        # Prediction fuses layers in place.
        detections, seconds = _predict(model, config)
        write_json(out / f"predictions-seed{seed}.json", detections)
        facts[seed] = {
            "own_scores": own,
            "seconds_own_scores": round(scored - start, 2),
            "seconds_predict": round(time.perf_counter() - scored, 2),
            "seconds_per_image": seconds,
            "peak_rss_mib": peak_rss_mib(),
        }
        advance(done, len(config["detectors"]))
    write_json(out / "facts.json", facts)


def _load(detector: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
    """The trained network on its device, ready to be asked."""
    import torch
    from safetensors.torch import load_file
    from ultralytics.nn.tasks import DetectionModel

    torch.set_num_threads(config["threads"])
    classes = config["classes"]
    model = DetectionModel(f"{detector['model']}.yaml", nc=len(classes), verbose=False)
    model.load_state_dict(load_file(detector["weights"]))
    model.names = dict(enumerate(classes))
    return model.to(config["device"]).float().eval()


def _own_scores(model: Any, config: Mapping[str, Any], out: Path, batch: int) -> dict[str, Any]:
    """ultralytics' own AP on the test part, in per cent, as its validation after an epoch."""
    import torch
    from ultralytics.cfg import get_cfg
    from ultralytics.data.build import build_dataloader, build_yolo_dataset
    from ultralytics.models.yolo.detect import DetectionValidator

    recipe = config["recipe"]
    cfg = get_cfg(
        overrides={
            "task": "detect",
            "mode": "val",
            "imgsz": recipe["imgsz"],
            "batch": batch,
            "workers": 0,
            "plots": False,
            "verbose": False,
            "save_dir": str(out / "own"),
        }
    )
    data = {"names": model.names, "nc": len(model.names), "channels": 3, "val": config["test_part"]}
    images = build_yolo_dataset(
        cfg, config["test_part"], batch, data, mode="val", rect=True, stride=32
    )
    device = torch.device(config["device"])
    loader = build_dataloader(images, batch=batch, workers=0, shuffle=False, rank=-1, device=device)
    validator = DetectionValidator(loader, save_dir=out / "own", args=cfg)
    validator.device, validator.data = device, data
    validator.init_metrics(model)
    with torch.inference_mode():
        for images_and_boxes in loader:
            ready = validator.preprocess(images_and_boxes)
            validator.update_metrics(validator.postprocess(model(ready["img"])), ready)
    validator.get_stats()
    box = validator.metrics.box
    by_class = {
        config["classes"][int(index)]: {
            "AP50": 100 * float(box.ap50[k]),
            "AP50:95": 100 * float(box.ap[k]),
        }
        for k, index in enumerate(box.ap_class_index)
    }
    return {**by_class, "all": {"AP50": 100 * float(box.map50), "AP50:95": 100 * float(box.map)}}


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


if __name__ == "__main__":
    main(sys.argv[1])
