"""What a detector is trained and tested on, in the YOLO layout, and the process in which it runs:
`yolo_train` or `yolo_ask`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench
from bench.data.box import Box
from bench.data.labels import read_boxes
from bench.errors import UserError

Progress = Callable[[int, int], None]


class DetectorError(RuntimeError):
    """The detector's process ended with an error; the message says why, or holds the end of its
    output."""


class OutOfMemoryError(DetectorError):
    """The batch does not fit into the device's memory."""


@dataclass(frozen=True)
class Labelled:
    """Fused images with their boxes.

    images: id -> fused PNG; boxes: id -> label file; sizes: id -> (width, height) in pixels.
    """

    images: Mapping[str, Path]
    boxes: Mapping[str, Path]
    sizes: Mapping[str, tuple[int, int]]
    classes: tuple[str, ...]

    def read(self, ids: Sequence[str]) -> dict[str, list[Box]]:
        """The boxes of these images. Raises UserError for one without (readable) labels."""
        missing = [id_ for id_ in ids if id_ not in self.boxes]
        if missing:
            raise UserError(
                f"detect: image '{missing[0]}' has no label file ({len(missing)} in all)."
            )
        return {
            id_: read_boxes(self.boxes[id_], image=id_, size=self.sizes[id_], classes=self.classes)
            for id_ in ids
        }


def write_part(
    data: Path, part: str, labelled: Labelled, boxes: Mapping[str, Sequence[Box]]
) -> Path:
    """One part in the YOLO layout (images/PART, labels/PART); returns its image folder.

    boxes: of each image of the part, in its order. Files are numbered: an id may hold characters
    with a meaning in ultralytics' globs, and a .npy file beside the original image would be read
    instead of it.
    """
    images, labels = data / "images" / part, data / "labels" / part
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for number, (id_, found) in enumerate(boxes.items()):
        source = labelled.images[id_].resolve()
        target = images / f"{number:06d}{source.suffix.lower()}"
        try:
            target.symlink_to(source)
        except OSError:
            shutil.copyfile(source, target)
        lines = [_yolo_line(box, labelled.sizes[id_], labelled.classes) for box in found]
        (labels / f"{number:06d}.txt").write_text("".join(lines), encoding="utf-8")
    return images


def _yolo_line(box: Box, size: tuple[int, int], classes: Sequence[str]) -> str:
    width, height = size
    cx, cy = (box.xmin + box.xmax) / 2 / width, (box.ymin + box.ymax) / 2 / height
    w, h = (box.xmax - box.xmin) / width, (box.ymax - box.ymin) / height
    return f"{classes.index(box.cls)} {cx:.8f} {cy:.8f} {w:.8f} {h:.8f}\n"


def run_worker(
    module: str, config: Mapping[str, Any], work: Path, threads: int, progress: Progress
) -> None:
    """Run `bench.stages.<module>` with `config`, offline and with all its files below `work`.

    It leaves its results there; progress: (epochs or detectors done, in all).
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
        [sys.executable, "-m", f"bench.stages.{module}", str(work / "config.json")],
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
            if match := re.fullmatch(r"done (\d+)/(\d+)", line.strip()):
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
