"""One training of the detector: its data in the YOLO layout, and its process, `yolo.py`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bench
from bench.data.box import Box

Progress = Callable[[int, int], None]


class DetectorError(RuntimeError):
    """The detector's process ended with an error; the message says why, or holds the end of its
    output."""


class OutOfMemoryError(DetectorError):
    """The batch does not fit into the device's memory."""


def write_part(
    data: Path,
    part: str,
    ids: Iterable[str],
    files: Mapping[str, Path],
    sizes: Mapping[str, tuple[int, int]],
    classes: Sequence[str],
    boxes: Mapping[str, Sequence[Box]],
) -> Path:
    """One part in the YOLO layout (images/PART, labels/PART); returns its image folder.

    Files are numbered: an id may hold characters with a meaning in ultralytics' globs, and a .npy
    file beside the original image would be read instead of it.
    """
    images, labels = data / "images" / part, data / "labels" / part
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for number, id_ in enumerate(ids):
        source = files[id_].resolve()
        target = images / f"{number:06d}{source.suffix.lower()}"
        try:
            target.symlink_to(source)
        except OSError:
            shutil.copyfile(source, target)
        lines = [_yolo_line(box, sizes[id_], classes) for box in boxes[id_]]
        (labels / f"{number:06d}.txt").write_text("".join(lines), encoding="utf-8")
    return images


def _yolo_line(box: Box, size: tuple[int, int], classes: Sequence[str]) -> str:
    width, height = size
    cx, cy = (box.xmin + box.xmax) / 2 / width, (box.ymin + box.ymax) / 2 / height
    w, h = (box.xmax - box.xmin) / width, (box.ymax - box.ymin) / height
    return f"{classes.index(box.cls)} {cx:.8f} {cy:.8f} {w:.8f} {h:.8f}\n"


def run_worker(config: Mapping[str, Any], work: Path, threads: int, progress: Progress) -> None:
    """Run `bench.stages.yolo` with `config`, offline and with all its files below `work`.

    It leaves curve.csv, predictions.json and facts.json there; progress: (epochs done, in all).
    """
    content = json.dumps({**config, "threads": threads})
    (work / "config.json").write_text(content, encoding="utf-8")
    package = str(Path(bench.__file__).resolve().parents[1])
    inherited = {k: v for k, v in os.environ.items() if k != "ULTRALYTICS_API_KEY"}
    environment = {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
        "OMP_NUM_THREADS": str(threads),
        # Spinning threads lose a factor of ten and more as soon as cores are shared.
        "OMP_WAIT_POLICY": "PASSIVE",
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_VERBOSE": "0",
        "YOLO_CONFIG_DIR": str(work / "config"),
        "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "1",
        "MPLCONFIGDIR": str(work / "config"),
        "XDG_CACHE_HOME": str(work / "config"),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    (work / "config").mkdir()
    worker = subprocess.Popen(
        [sys.executable, "-m", "bench.stages.yolo", str(work / "config.json")],
        # Its closing tells the worker that we are gone, however we went.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        cwd=work,
        env=environment,
    )
    assert worker.stdout is not None
    output: list[str] = []
    try:
        for line in worker.stdout:
            if match := re.fullmatch(r"epoch (\d+)/(\d+)", line.strip()):
                progress(int(match[1]), int(match[2]))
            else:
                output = [*output[-39:], line]
        worker.wait()
    finally:
        if worker.poll() is None:
            worker.kill()
        # Closing stdin of a dead worker may report its broken pipe.
        with contextlib.suppress(OSError):
            worker.communicate()
    if worker.returncode != 0:
        for line in output:
            if match := re.fullmatch(r"failed: (.+)", line.strip()):
                raise DetectorError(match[1])
            if match := re.fullmatch(r"out of memory: (.+)", line.strip()):
                raise OutOfMemoryError(match[1])
        raise DetectorError(
            f"the detector's process ended with code {worker.returncode}:\n{''.join(output)}"
        )
