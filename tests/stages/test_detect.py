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
from bench.stages.detect import BUNDLED_INIT, PRESETS, DetectRecipe, DetectTask, init_file, run
from bench.stages.detector import DetectorError, OutOfMemoryError

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


def make_task(folder: Path, recipe: DetectRecipe = TINY) -> DetectTask:
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
    return DetectTask(
        images={id_: folder / f"{id_}.png" for id_ in ids},
        boxes={id_: folder / f"{id_}.txt" for id_ in ids},
        sizes=dict.fromkeys(ids, (96, 72)),
        classes=CLASSES,
        train=ids[:5],
        val=ids[5:6],
        test=ids[6:],
        recipe=recipe,
    )


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
    task = make_task(tmp_path / "data", dataclasses.replace(TINY, seeds=(0, 3), validate=True))
    data = sorted((tmp_path / "data").iterdir())
    seen: list[tuple[int, int]] = []

    facts = run(task, results, lambda done, total: seen.append((done, total)))

    assert not (tmp_path / "network.log").exists()
    assert list(home.iterdir()) == []
    assert sorted((tmp_path / "data").iterdir()) == data
    assert sorted(path.name for path in results.iterdir()) == [
        *(f"{kind}-seed{s}.csv" for kind in ("confusion", "curve", "errors") for s in (0, 3)),
        "ground-truth.json",
        "precision-recall-seed0.csv",
        "precision-recall-seed3.csv",
        "predictions-seed0.json",
        "predictions-seed3.json",
        "seed0.json",
        "seed3.json",
        "values.csv",
    ]
    ours = (tmp_path / "data", results)
    outside = [p for p in tmp_path.rglob("*") if not any(p.is_relative_to(o) for o in ours)]
    assert sorted([*outside, results]) == before
    assert seen[0] == (1, 2) and seen[-1] == (2, 2) and seen == sorted(seen)

    rows = values.read(results)
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
    assert facts["seeds"]["0"]["initialised_tensors"].startswith("0 of")
    assert facts["seeds"]["0"]["peak_rss_mib"] < 3000
    assert facts["halved_batch"] == {} and facts["seeds"]["0"]["batch"] == 4
    recalls = (results / "precision-recall-seed0.csv").read_text().splitlines()
    assert len(recalls) == 102 and recalls[1].startswith("red,0.00,")
    assert (results / "errors-seed0.csv").read_text().splitlines()[1].startswith("red,2,")
    header = (results / "curve-seed0.csv").read_text().splitlines()[0]
    assert header.startswith("epoch,train/box_loss") and "metrics/mAP50(B)" in header

    truth = json.loads((results / "ground-truth.json").read_text())
    assert [image["file_name"] for image in truth["images"]] == [f"{i}.png" for i in task.test]
    detections = json.loads((results / "predictions-seed0.json").read_text())
    assert 0 < len(detections) <= 2 * TINY.detections_per_image
    boxes = np.array([found["bbox"] for found in detections])
    assert boxes[:, :2].min() >= 0
    assert (boxes[:, 0] + boxes[:, 2]).max() <= 96.001 and boxes[:, 2].max() > 64


def test_a_kill_during_training_then_again(tmp_path: Path) -> None:
    task = make_task(tmp_path / "data", dataclasses.replace(TINY, epochs=2, seeds=(0, 1)))
    (tmp_path / "task.pickle").write_bytes(pickle.dumps(task))
    results = tmp_path / "results"
    results.mkdir()
    program = (
        "import pickle, pathlib; from bench.stages.detect import run\n"
        f"task = pickle.loads(pathlib.Path({str(tmp_path / 'task.pickle')!r}).read_bytes())\n"
        f"run(task, pathlib.Path({str(results)!r}), lambda d, t: print(d, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    victim = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    )
    assert victim.stdout is not None
    # Epoch 3 of 4 is the first of the second seed: that one is under way.
    while victim.stdout.readline() != b"3\n":
        assert victim.poll() is None
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    (orphan,) = (results / "work").glob("seed1-*")
    assert (results / "seed0.json").is_file() and not (results / "seed1.json").exists()
    wait_for_worker_to_end(str(orphan))
    first = {name: (results / name).read_bytes() for name in ("seed0.json", "curve-seed0.csv")}

    seen: list[int] = []
    run(task, results, lambda done, _: seen.append(done))
    assert seen == [2, 3, 4, 4]
    assert {name: (results / name).read_bytes() for name in first} == first
    assert not (results / "work").exists()
    assert {row.seed for row in values.read(results)} == {0, 1}
    curve = (results / "curve-seed1.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curve] == ["epoch", "1", "2"]
    assert "metrics" not in curve[0] and len({line.count(",") for line in curve}) == 1

    # Finished: nothing is trained.
    seen.clear()
    run(task, results, lambda done, _: seen.append(done))
    assert seen == [2, 4]

    # The same training from scratch gives the same detections; another recipe is trained anew.
    name = "predictions-seed1.json"
    interrupted = (results / name).read_bytes()
    again = tmp_path / "again"
    again.mkdir()
    one_seed = dataclasses.replace(task, recipe=dataclasses.replace(task.recipe, seeds=(1,)))
    run(one_seed, again, ignore_progress)
    assert (again / name).read_bytes() == interrupted
    facts = run(with_init(one_seed, tmp_path / "init.safetensors"), again, ignore_progress)
    assert facts["seeds"]["1"]["initialised_tensors"].startswith("1 of ")
    assert len(facts["init_sha256"]) == 64
    assert (again / name).read_bytes() != interrupted


def with_init(task: DetectTask, path: Path) -> DetectTask:
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


def test_a_failing_worker_says_why(tmp_path: Path) -> None:
    task = make_task(tmp_path / "data")
    (tmp_path / "results").mkdir()
    task.images[task.test[0]].write_bytes(b"not a PNG")
    with pytest.raises(DetectorError, match="the fused image cannot be decoded"):
        run(task, tmp_path / "results", ignore_progress)
    assert not (tmp_path / "results" / "seed0.json").exists()


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
    facts = run(task, tmp_path / "results", ignore_progress)
    assert facts["halved_batch"] == {"0": 2} and facts["recipe"]["batch"] == 4

    (tmp_path / "results" / "seed0.json").unlink()
    monkeypatch.setenv("LARGEST_BATCH", "1")
    with pytest.raises(OutOfMemoryError, match="batch 2 does not fit into memory"):
        run(task, tmp_path / "results", ignore_progress)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    save_file({"model.0.conv.weight": np.full((16, 3, 3, 3), np.nan, np.float32)}, broken)
    task = make_task(tmp_path / "data", dataclasses.replace(TINY, epochs=3, init=str(broken)))
    (tmp_path / "results").mkdir()
    with pytest.raises(DetectorError, match=r"loss of the training became nan in epoch 1"):
        run(task, tmp_path / "results", ignore_progress)
    assert not (tmp_path / "results" / "seed0.json").exists()


def test_user_errors(tmp_path: Path) -> None:
    task = make_task(tmp_path / "data")
    with pytest.raises(UserError, match="optimizer 'auto' ignores lr0"):
        DetectRecipe(optimizer="auto")
    with pytest.raises(UserError, match="imgsz must be a multiple of 32, not 300"):
        DetectRecipe(imgsz=300)
    with pytest.raises(UserError, match="init 'coco' is not a safetensors file"):
        init_file(dataclasses.replace(TINY, init="coco"))
    with pytest.raises(UserError, match="at least one train and one test image"):
        run(dataclasses.replace(task, test=()), tmp_path, ignore_progress)
    unlabelled = dataclasses.replace(task, boxes={})
    with pytest.raises(UserError, match=r"image 'im \[0\]\*\.v1' has no label file \(8 in all\)"):
        run(unlabelled, tmp_path, ignore_progress)


def test_the_bundled_weights_are_those_of_their_card() -> None:
    assert init_file(PRESETS["quick"]) == BUNDLED_INIT
    assert BUNDLED_INIT.stat().st_size <= 7_000_000
    card = json.loads(BUNDLED_INIT.with_suffix(".json").read_text())
    assert card["bytes"] == BUNDLED_INIT.stat().st_size
    assert "--out yolov8n-synthetic.safetensors" in card["command"]
    with pytest.raises(UserError, match=r"use the card's model"):
        init_file(dataclasses.replace(PRESETS["quick"], model="yolov8s"))
