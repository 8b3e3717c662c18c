"""Writes a results folder as the jobs leave it, with numbers that tests can compute again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

LEVELS = {
    **{"EN": 6.5, "MI_ir": 1.2, "MI_vi": 1.6, "MI": 2.8, "AG": 3.1, "SD": 36.0},
    **{"VIF_ir": 0.3, "VIF_vi": 0.6, "VIF": 0.9, "SSIM_ir": 0.4, "SSIM_vi": 0.5, "SSIM": 0.9},
}
METRICS = tuple(LEVELS)
CLASSES = ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck")
IMAGES = tuple(f"{k:05d}" for k in range(40))
METHODS = {
    "visible": ("Visible", "rgb", "none", ()),
    "infrared": ("Infrared", "luma", "none", ()),
    "average": ("Average", "luma", "none", ()),
    "densefuse": ("DenseFuse", "luma8", "official", ("coco",)),
    "seafusion": ("SeAFusion", "luma", "official", ("msrs/train",)),
    "cddfuse": ("CDDFuse", "luma", "official", ("msrs/train",)),
    "odd_one": ("R&D_100% {#1} ~^\\ $α$ <Müller>", "rgb", "suite", ("roadscene",)),
    "dsifuse": ("DSIFuse", "luma", "suite", ("msrs/train",)),
}


def fuse_facts(method: str, **changes: Any) -> dict[str, Any]:
    title, colour, track, trained = METHODS[method]
    facts = {
        "title": title,
        "printed_name": title,
        "kind": "source" if method in ("visible", "infrared") else "cnn",
        "colour": colour,
        "output": "clip",
        "images": len(IMAGES),
        "pairs": len(IMAGES),
        "limit": None,
        "random_weights": False,
        "weights": {
            "name": f"{method}-1" if track != "none" else "",
            "track": track,
            "sha256": "" if track == "none" else (method.encode().hex() * 8)[:64],
            "trained_on": list(trained),
        },
        "dataset_footnotes": ["MSRS: the 40 test pairs."],
    }
    return {**facts, **changes}


def write_job(
    run: Path,
    place: str,
    *,
    status: str = "done",
    reason: str = "",
    facts: Mapping[str, Any] | None = None,
    values: Iterable[tuple[str, object, str, float]] | None = None,
) -> Path:
    """place: "dataset/method/stage", with ".partial" where the job has not finished."""
    dataset, method, stage = place.split("/")
    folder = run / dataset / method / (stage if status == "done" else f"{stage}.partial")
    folder.mkdir(parents=True)
    record = {
        "stage": stage,
        "dataset": dataset,
        "method": method,
        "part": "",
        "seed": None,
        "status": status,
        "reason": reason,
        "identity": "0" * 64,
        "options": {},
        "facts": dict(facts or {}),
        "provenance": {},
    }
    (folder / "job.json").write_text(json.dumps(record, sort_keys=True))
    if values is not None:
        lines = ["item,seed,name,value"] + [f"{i},{s},{n},{float(v)!r}" for i, s, n, v in values]
        (folder / "values.csv").write_text("\n".join(lines) + "\n")
    return folder


def scores(place: int, images: Iterable[str] = IMAGES) -> list[tuple[str, object, str, float]]:
    """Per-image values around `LEVELS`; every method's are 3 % above those of the one before."""
    random = np.random.default_rng(7)
    rows = []
    for image in images:
        shared = float(random.uniform(0.9, 1.1))
        own = np.random.default_rng(100 * place + int(image)).uniform(-0.005, 0.005, len(METRICS))
        for name, noise in zip(METRICS, own, strict=True):
            value = LEVELS[name] * shared * (1 + 0.03 * place + float(noise))
            rows.append((image, "", name, value))
    return rows


def write_run(run: Path) -> Path:
    """MSRS scored (one method without weights, one failed, one not run), M3FD detected, costs."""
    run.mkdir()
    asked = {
        "name": "demo",
        "methods": list(METHODS),
        "datasets": ["msrs", "m3fd-detection"],
        "stages": ["fuse", "score", "detect", "profile"],
    }
    (run / "run.json").write_text(json.dumps(asked))
    for level, method in enumerate(METHODS):
        if method == "cddfuse":
            reason = "CDDFuse has no weights on this machine: run `bench weights fetch cddfuse`."
            for dataset, stage in (("msrs", "score"), ("m3fd-detection", "detect")):
                lacking = f"{dataset}/{method}/fuse"
                write_job(run, lacking, status="no weights", reason=reason)
                place = f"{dataset}/{method}/{stage}"
                write_job(run, place, status="skipped", reason=f"needs {lacking}: {reason}")
            continue
        facts = fuse_facts(method)
        write_job(run, f"msrs/{method}/fuse", facts=facts)
        notes = ["M3FD_Detection: 4200 pairs."]
        other = {**facts, "dataset_footnotes": notes}
        write_job(run, f"m3fd-detection/{method}/fuse", facts=other)
        if method == "average":
            write_job(
                run, "msrs/average/score", status="failed", reason="OSError: disk quota exceeded"
            )
        else:
            score_facts = {"convention": "standard", "images": len(IMAGES)}
            write_job(run, f"msrs/{method}/score", facts=score_facts, values=scores(level))
        if method != "odd_one":
            write_detection(run, method, level)
        if method not in ("visible", "infrared"):
            write_costs(run, method, level)
    return run


def write_detection(run: Path, method: str, place: int, stage: str = "detect") -> None:
    rows: list[tuple[str, object, str, float]] = []
    for seed in (0, 1):
        per_class = [60 + 4 * k + place + 0.5 * seed for k in range(len(CLASSES))]
        rows += [(c, seed, "AP50", v) for c, v in zip(CLASSES, per_class, strict=True)]
        rows += [("all", seed, "AP50", float(np.mean(per_class)))]
        rows += [("all", seed, "AP50:95", float(np.mean(per_class)) - 20)]
    facts = {
        "recipe": {"model": "yolov8n", "epochs": 60, "imgsz": 640, "optimizer": "SGD", "lr0": 0.01},
        "split": "m3fd-public",
        "split_leakage": "of its 1260 test images 86.0 % have a near-duplicate in train",
        "split_sha256": "ab" * 32,
        "train": 2940,
        "test": 1260,
        "classes": list(CLASSES),
        "test_boxes": dict.fromkeys(CLASSES, 100),
        "average_precision": "pycocotools 2.0.11, boxes at full resolution",
        "recipe_open": "The source leaves the number of epochs open.",
        "halved_batch": {"1": 8} if place == 0 else {},
    }
    write_job(run, f"m3fd-detection/{method}/{stage}", facts=facts, values=rows)


def write_costs(run: Path, method: str, place: int) -> None:
    rows: list[tuple[str, object, str, float]] = []
    params = 0 if method == "average" else 74193 * place
    for size, scale in (("480x640", 1.0), ("768x1024", 2.56)):
        rows += [
            (size, "", "params", float(params)),
            (size, "", "macs", 87984.0 * 307200 * scale * place / 3),
            (size, "", "ms_median", 310.0 * scale * place),
            (size, "", "ms_q25", 300.0 * scale * place),
            (size, "", "ms_q75", 330.0 * scale * place),
            (size, "", "peak_bytes", 2**28 * scale * place),
        ]
    facts = {
        "device": "cpu",
        "threads": 1,
        "resolutions": ["480x640", "768x1024"],
        "memory": "growth of the resident set during one pass",
    }
    write_job(run, f"_cost/{method}/profile", facts=facts, values=rows)
