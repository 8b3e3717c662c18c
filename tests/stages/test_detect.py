"""The detect stage with a real detector, kept tiny: files, values, offline, and after a kill."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.errors import UserError
from bench.stages import values
from bench.stages.detect import DetectTask
from bench.stages.detect import run as detect
from bench.stages.detector import DetectorError, Labelled, OutOfMemoryError
from bench.stages.detector_recipe import BUNDLED_INIT, PRESETS, DetectRecipe, init_file
from bench.stages.train_detector import TrainTask
from bench.stages.train_detector import run as train

REPOSITORY = Path(__file__).resolve().parents[2]
CLASSES = ("red", "green", "blue")
TINY = DetectRecipe(imgsz=64, epochs=1, batch=4, nominal_batch=4, mosaic=0.0, close_mosaic=0)

# Stands in for the network inside the worker: whoever asks for a name or a connection is noted.
SPY = """
import os, socket
log = os.environ.get("NETWORK_SPY")
if log:
    def refuse(name):
        def function(*arguments, **options):
            with open(log, "a") as file:
                print(name, arguments, file=file)
            raise OSError("no network in this test")
        return function
    socket.socket.connect = refuse("connect")
    socket.socket.connect_ex = refuse("connect_ex")
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        setattr(socket, name, refuse(name))
"""


def make_task(folder: Path, recipe: DetectRecipe = TINY, seed: int = 0) -> TrainTask:
    """Eight 96x72 images with a red and (but for the test part) a green rectangle each."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    ids = tuple(f"im [{k}]*.v1" for k in range(8))
    for k, id_ in enumerate(ids):
        image = np.full((72, 96, 3), 90, np.uint8)
        lines = []
        for cls, colour in enumerate([(60, 60, 220), (60, 220, 60)][: 2 if k < 6 else 1]):
            x, y = int(rng.integers(0, 60)), int(rng.integers(0, 40))
            image[y : y + 30, x : x + 30] = colour
            lines.append(f"{cls} {(x + 15) / 96} {(y + 15) / 72} {30 / 96} {30 / 72}")
        assert cv2.imwrite(str(folder / f"{id_}.png"), image)
        (folder / f"{id_}.txt").write_text("\n".join(lines))
    labelled = Labelled(
        images={id_: folder / f"{id_}.png" for id_ in ids},
        boxes={id_: folder / f"{id_}.txt" for id_ in ids},
        sizes=dict.fromkeys(ids, (96, 72)),
        classes=CLASSES,
    )
    return TrainTask(labelled, train=ids[:5], val=ids[5:6], recipe=recipe, seed=seed)


def make_test(task: TrainTask, detectors: dict[int, Path]) -> DetectTask:
    """The test of these trained detectors on the last two images."""
    test = tuple(task.labelled.images)[6:]
    return DetectTask(task.labelled, test, detectors, task.recipe)


def ignore_progress(done: int, total: int) -> None:
    pass


def test_two_seeds_offline_and_without_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, spy, results = tmp_path / "home", tmp_path / "spy", tmp_path / "results"
    for folder in (home, spy, results):
        folder.mkdir()
    (spy / "sitecustomize.py").write_text(SPY)
    # Installed or not, these must not change the training: they would fail if they were imported.
    (spy / "albumentations.py").write_text("raise RuntimeError('albumentations was imported')")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(spy))
    monkeypatch.setenv("NETWORK_SPY", str(tmp_path / "network.log"))
    # ultralytics is quieter when it believes itself under test.
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(variable, raising=False)
    before = sorted(tmp_path.rglob("*"))
    recipe = dataclasses.replace(TINY, validate=True)
    task = make_task(tmp_path / "data", recipe)
    data = sorted((tmp_path / "data").iterdir())
    detectors = {seed: tmp_path / f"trained-{seed}" for seed in (0, 3)}
    trained = {}
    for seed, folder in detectors.items():
        folder.mkdir()
        trained[seed] = train(dataclasses.replace(task, seed=seed), folder, ignore_progress)
    seen: list[tuple[int, int]] = []

    facts = detect(
        make_test(task, detectors), results, lambda done, total: seen.append((done, total))
    )

    assert not (tmp_path / "network.log").exists()
    assert list(home.iterdir()) == []
    assert sorted((tmp_path / "data").iterdir()) == data
    left = ["curve.csv", "detector.json", "detector.safetensors"]
    assert all(sorted(p.name for p in folder.iterdir()) == left for folder in detectors.values())
    assert sorted(path.name for path in results.iterdir()) == [
        "bootstrap.csv",
        *(f"{kind}-seed{s}.csv" for kind in ("confusion", "errors") for s in (0, 3)),
        "ground-truth.json",
        "precision-recall-seed0.csv",
        "precision-recall-seed3.csv",
        "predictions-seed0.json",
        "predictions-seed3.json",
        "values.csv",
    ]
    ours = (tmp_path / "data", results, *detectors.values())
    outside = [p for p in tmp_path.rglob("*") if not any(p.is_relative_to(o) for o in ours)]
    assert sorted([*outside, results]) == before
    assert seen == [(1, 2), (2, 2)]

    every = values.read(results)
    # The intervals over test images are those of both seeds together.
    bounds = {(row.item, row.name) for row in every if row.seed is None}
    assert bounds == {
        (c, f"{n} {end}")
        for c in (*CLASSES, "all") for n in ("AP50", "AP50:95") for end in ("low", "high")
    }  # fmt: skip
    rows = [row for row in every if row.seed is not None]
    names = {(row.item, row.name) for row in rows}
    assert names == {(c, n) for c in (*CLASSES, "all") for n in ("AP50", "AP50:95")} | {
        ("all", n) for n in ("AR", "AP_small", "AP_medium", "AP_large")
    } | {(item, f"{n} (ultralytics)") for item in ("all", "red") for n in ("AP50", "AP50:95")}
    assert all(0 <= row.value <= 100 for row in rows if "ultralytics" in row.name)
    assert {row.seed for row in rows} == {0, 3}
    assert all(
        math.isnan(row.value) == (row.item in CLASSES[1:]) for row in rows if row.name == "AP50"
    )
    assert facts["absent"]["blue"] == facts["absent"]["green"] == "no ground truth in the test part"
    assert facts["test_boxes"] == {"red": 2, "green": 0, "blue": 0}
    assert trained[0]["initialised_tensors"].startswith("0 of")
    assert trained[0]["peak_rss_mib"] < 3000
    assert facts["halved_batch"] == {} and trained[0]["batch"] == 4
    recalls = (results / "precision-recall-seed0.csv").read_text().splitlines()
    assert len(recalls) == 102 and recalls[1].startswith("red,0.00,")
    assert (results / "errors-seed0.csv").read_text().splitlines()[1].startswith("red,2,")
    header = (detectors[0] / "curve.csv").read_text().splitlines()[0]
    assert header.startswith("epoch,train/box_loss") and "metrics/mAP50(B)" in header

    truth = json.loads((results / "ground-truth.json").read_text())
    assert [image["file_name"] for image in truth["images"]] == [
        f"{i}.png" for i in tuple(task.labelled.images)[6:]
    ]
    detections = json.loads((results / "predictions-seed0.json").read_text())
    assert 0 < len(detections) <= 2 * TINY.detections_per_image
    boxes = np.array([found["bbox"] for found in detections])
    assert boxes[:, :2].min() >= 0
    assert (boxes[:, 0] + boxes[:, 2]).max() <= 96.001 and boxes[:, 2].max() > 64

    # A failing worker says why.
    test = make_test(task, {0: detectors[0]})
    task.labelled.images[test.test[0]].write_bytes(b"not a PNG")
    with pytest.raises(DetectorError, match="the fused image cannot be decoded"):
        detect(test, tmp_path / "home", ignore_progress)
    assert not (home / "values.csv").exists()


def test_a_kill_during_training_then_again(tmp_path: Path) -> None:
    # Mosaics of images loaded before, and gradients that wait for three batches of two an epoch.
    recipe = dataclasses.replace(TINY, epochs=4, mosaic=1.0, warmup_epochs=0.0, nominal_batch=12)
    task = make_task(tmp_path / "data", recipe, seed=1)
    task = dataclasses.replace(task, checkpoint_seconds=0.0)
    (tmp_path / "task.pickle").write_bytes(pickle.dumps(task))
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    for folder in (calm, killed):
        folder.mkdir()
    program = (
        "import pickle, pathlib; from bench.stages.train_detector import run\n"
        f"task = pickle.loads(pathlib.Path({str(tmp_path / 'task.pickle')!r}).read_bytes())\n"
        f"run(task, pathlib.Path({str(killed)!r}), lambda d, t: print(d, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    victim = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    )
    assert victim.stdout is not None
    while victim.stdout.readline() != b"2\n":
        assert victim.poll() is None
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    (orphan,) = (killed / "work").glob("training-*")
    assert not (killed / "detector.safetensors").exists()
    wait_for_worker_to_end(str(orphan))

    seen: list[int] = []
    train(task, killed, lambda done, _: seen.append(done))
    assert seen[-2:] == [3, 4] and 1 not in seen
    curve = (killed / "curve.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curve] == ["epoch", "1", "2", "3", "4"]
    assert "metrics" not in curve[0] and len({line.count(",") for line in curve}) == 1

    # The same training undisturbed: the same detector, so the same AP.
    train(task, calm, ignore_progress)
    assert sorted(p.name for p in killed.iterdir()) == sorted(p.name for p in calm.iterdir())
    for file in calm.iterdir():
        assert (killed / file.name).read_bytes() == file.read_bytes()
    results = tmp_path / "results"
    results.mkdir()
    detect(make_test(task, {1: calm, 2: killed}), results, ignore_progress)
    rows = [row for row in values.read(results) if row.seed is not None]
    scored = {(row.seed, row.item, row.name): repr(row.value) for row in rows}
    assert len(scored) > 20
    for (_, item, name), value in scored.items():
        assert scored[1, item, name] == scored[2, item, name] == value

    # The file of an initialisation is used where its tensors fit.
    short = dataclasses.replace(task, recipe=dataclasses.replace(task.recipe, epochs=1))
    facts = train(with_init(short, tmp_path / "init.safetensors"), killed, ignore_progress)
    assert facts["initialised_tensors"].startswith("1 of ")
    assert len(facts["init_sha256"]) == 64


def with_init(task: TrainTask, path: Path) -> TrainTask:
    """The task from a weight file in which one tensor fits the detector and one does not."""
    fitting = {"model.0.conv.weight": np.full((16, 3, 3, 3), 0.01, np.float16)}
    misfit = {"model.1.conv.weight": np.zeros((1, 1), np.float16)}
    save_file({**fitting, **misfit}, path)
    return dataclasses.replace(task, recipe=dataclasses.replace(task.recipe, init=str(path)))


def wait_for_worker_to_end(folder: str) -> None:
    """The worker of a killed run notices by itself; look for its command line."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("needs /proc to look for the worker")
    for _ in range(200):
        alive = False
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                alive = alive or folder.encode() in process.read_bytes()
            except OSError:
                continue
        if not alive:
            return
        time.sleep(0.05)
    raise AssertionError("the worker outlived its killed parent")


# Stands in for a device with little memory: the first step fails with a batch above the limit.
LITTLE_MEMORY = """
import json, os, sys, torch
original = torch.Tensor.backward
def backward(self, *arguments, **options):
    batch = json.load(open(sys.argv[1]))["recipe"]["batch"]
    if batch > int(os.environ["LARGEST_BATCH"]):
        raise RuntimeError("CUDA out of memory. Tried to allocate 1.00 GiB")
    return original(self, *arguments, **options)
torch.Tensor.backward = backward
"""


def test_out_of_memory_halves_the_batch_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LITTLE_MEMORY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    task = make_task(tmp_path / "data")
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("LARGEST_BATCH", "2")
    facts = train(task, tmp_path / "results", ignore_progress)
    assert facts["batch"] == 2 and facts["recipe"]["batch"] == 4
    card = json.loads((tmp_path / "results" / "detector.json").read_text())
    assert card["batch"] == 2

    monkeypatch.setenv("LARGEST_BATCH", "1")
    with pytest.raises(OutOfMemoryError, match="batch 2 does not fit into memory"):
        train(task, tmp_path / "results", ignore_progress)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    save_file({"model.0.conv.weight": np.full((16, 3, 3, 3), np.nan, np.float32)}, broken)
    task = make_task(tmp_path / "data", dataclasses.replace(TINY, epochs=3, init=str(broken)))
    (tmp_path / "results").mkdir()
    with pytest.raises(DetectorError, match=r"loss of the training became nan in epoch 1"):
        train(task, tmp_path / "results", ignore_progress)
    assert not (tmp_path / "results" / "detector.safetensors").exists()


def test_user_errors(tmp_path: Path) -> None:
    task = make_task(tmp_path / "data")
    with pytest.raises(UserError, match="optimizer 'auto' ignores lr0"):
        DetectRecipe(optimizer="auto")
    with pytest.raises(UserError, match="imgsz must be a multiple of 32, not 300"):
        DetectRecipe(imgsz=300)
    with pytest.raises(UserError, match="init 'coco' is not a safetensors file"):
        init_file(dataclasses.replace(TINY, init="coco"))
    with pytest.raises(UserError, match="at least one train image"):
        train(dataclasses.replace(task, train=()), tmp_path, ignore_progress)
    with pytest.raises(UserError, match="at least one test image, and a detector"):
        detect(make_test(task, {}), tmp_path, ignore_progress)
    unlabelled = dataclasses.replace(task, labelled=dataclasses.replace(task.labelled, boxes={}))
    with pytest.raises(UserError, match=r"image 'im \[0\]\*\.v1' has no label file \(6 in all\)"):
        train(unlabelled, tmp_path, ignore_progress)


def test_the_bundled_weights_are_those_of_their_card() -> None:
    assert init_file(PRESETS["quick"]) == BUNDLED_INIT
    assert BUNDLED_INIT.stat().st_size <= 7_000_000
    card = json.loads(BUNDLED_INIT.with_suffix(".json").read_text())
    assert card["bytes"] == BUNDLED_INIT.stat().st_size
    assert "--out yolov8n-synthetic.safetensors" in card["command"]
    with pytest.raises(UserError, match=r"use the card's model"):
        init_file(dataclasses.replace(PRESETS["quick"], model="yolov8s"))
